"""How far one database has come with something that is done on many at once."""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

State = TypeVar("State", bound=StrEnum)


@dataclass(slots=True)
class DatabaseProgress(Generic[State]):
    """One database. Written by the one thread that works on it, read by others."""

    ENDED: ClassVar[frozenset[StrEnum]]

    alias: str
    group: str
    state: State
    retries: int = 0
    """How often a lock could not be had, or the rows were elsewhere."""
    error: Exception | None = None
    _began: float | None = None
    _took: float = 0.0

    @property
    def seconds(self) -> float:
        """Of work, in this run."""
        return self._took if self._began is None else self._took + time.monotonic() - self._began

    @property
    def is_ended(self) -> bool:
        return self.state in self.ENDED

    def begin(self, state: State) -> None:
        self._began, self.state = time.monotonic(), state

    def end(self, state: State, error: Exception | None = None) -> None:
        """``state`` is one of ``ENDED``."""
        self._took, self._began = self.seconds, None
        self.state, self.error = state, error
