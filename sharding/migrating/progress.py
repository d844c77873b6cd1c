"""How far each database has come, as its worker says and others read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from django.db.migrations import Migration

from sharding.progress import DatabaseProgress


class State(StrEnum):
    WAITING = "waiting"
    MIGRATING = "migrating"
    LOCKED_OUT = "locked out"
    """Waits until the locks it needs can be had."""
    CHECKING = "checking"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    """Ended between two migrations because another database failed, or somebody said stop."""


_AT_WORK = frozenset({State.MIGRATING, State.LOCKED_OUT, State.CHECKING})


@dataclass(slots=True)
class Progress(DatabaseProgress[State]):
    ENDED = frozenset({State.DONE, State.FAILED, State.STOPPED})

    state: State = State.WAITING
    is_canary: bool = False
    applied: int = 0
    """Migrations, of ``total`` that it lacked."""
    total: int = 0
    step: str = ""
    """What it does now, or did last."""
    lacking: list[Migration] = field(default_factory=list, repr=False)
    is_new: bool = False
    """Nothing was ever migrated there."""

    @property
    def is_at_work(self) -> bool:
        return self.state in _AT_WORK

    @property
    def is_well(self) -> bool:
        return self.state not in (State.FAILED, State.STOPPED)


Report = Callable[[Progress], None]
"""Called by the worker whenever its database has come further; must be quick and safe to call from several threads."""


def pace(everyone: Sequence[Progress]) -> float | None:
    """Seconds that one migration takes on one database, on average of those that are done; None before the first."""
    done = [one for one in everyone if one.state is State.DONE and one.total]
    migrations = sum(one.total for one in done)
    return sum(one.seconds for one in done) / migrations if migrations else None


def remaining_seconds(everyone: Sequence[Progress], workers: int) -> float | None:
    """How long the run still takes at its present pace; None while that cannot be told."""
    per_migration = pace(everyone)
    if per_migration is None:
        return None
    left = sum(one.total - one.applied for one in everyone if not one.is_ended)
    return left * per_migration / max(1, min(workers, sum(1 for one in everyone if not one.is_ended)))
