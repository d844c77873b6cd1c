"""How long a database may keep a caller waiting.

Without a word, each statement has ``deadline_seconds`` of the settings. ``deadline(…)`` says otherwise for a block::

    with sharding.deadline(0.3):  # its statements together; they end 0.3 s from here
        ...
    with sharding.deadline(None):  # as long as it takes
        ...

A block inside a block can end earlier than the outer one, not later; ``None`` lifts them all. It is a context variable:
it goes along into ``sync_to_async`` and tasks of asyncio, and not into threads one starts oneself.

A statement is each time the client waits for the server: a query with all its rows, a fetch from a server-side cursor,
a chunk of COPY, COMMIT, connecting. Looking up a host's name is not bounded: name servers by address, or use sockets.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sharding.conf import options

clock = time.monotonic

_ends: ContextVar[float | None] = ContextVar("sharding_deadline", default=None)
"""When the innermost block ends, by ``clock``; infinity where it never does, None outside of all blocks."""

_is_patient = False


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """What the block asks of databases ends ``seconds`` from now, or raises ``DeadlineExceeded``; None: no limit."""
    outer = _ends.get()
    if seconds is None:
        ends = math.inf
    else:
        ends = clock() + seconds
        if outer is not None:
            ends = min(ends, outer)
    token = _ends.set(ends)
    try:
        yield
    finally:
        _ends.reset(token)


def left(otherwise: float | None) -> float | None:
    """Seconds that the next statement may take, zero when they are over, None for any time.

    ``otherwise`` is the answer outside of all blocks.
    """
    ends = _ends.get()
    if ends is None:
        return otherwise
    if ends == math.inf:
        return None
    return max(ends - clock(), 0.0)


def usual() -> float | None:
    """What a new connection gives its statements where nothing else is said."""
    return None if _is_patient else options().deadline_seconds


def be_patient() -> None:
    """On connections made from here on, statements take as long as they take, except inside ``deadline(…)``.

    For a command line, where a person waits who can interrupt; ``manage.py`` says so for all commands.
    """
    global _is_patient
    _is_patient = True
