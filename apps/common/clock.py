"""The time, asked for once at an edge (page, API, task, command) and handed on as ``now``."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

_shift: ContextVar[timedelta] = ContextVar("clock_shift", default=timedelta(0))


def now() -> datetime:
    """The present moment, aware and UTC."""
    return datetime.now(UTC) + _shift.get()


@contextmanager
def shifted_to(moment: datetime) -> Iterator[None]:
    """Let ``now()`` run from ``moment`` on within the block: for building histories and for tests."""
    token = _shift.set(moment - datetime.now(UTC))
    try:
        yield
    finally:
        _shift.reset(token)
