"""Callers that keep asking, each in a thread of its own, and what they were told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import OperationalError, connections


@dataclass(frozen=True, slots=True)
class Call:
    began: float
    seconds: float
    ok: bool

    @property
    def ended(self) -> float:
        return self.began + self.seconds


@dataclass(slots=True)
class Callers:
    calls: list[Call] = field(default_factory=list)

    def between(self, began: float, ended: float) -> list[Call]:
        """What was answered in that time, by ``time.monotonic()``."""
        return [call for call in self.calls if began <= call.ended <= ended]

    def p99(self, began: float, ended: float) -> float:
        """Seconds."""
        times = sorted(call.seconds for call in self.between(began, ended))
        return times[int(len(times) * 0.99)]

    def slowest(self) -> float:
        return max(call.seconds for call in self.calls)

    def failures(self) -> int:
        return sum(not call.ok for call in self.calls)


@contextmanager
def callers(ask: Callable[[], object], *, count: int, pause: float) -> Iterator[Callers]:
    """``count`` threads that call ``ask`` and rest for ``pause`` seconds, until the block ends.

    An ``OperationalError`` is a failed call; anything else that ``ask`` raises ends its thread, which pytest reports.
    """
    found = Callers()
    over = threading.Event()

    def work() -> None:
        try:
            while not over.wait(pause):
                began = time.monotonic()
                try:
                    ask()
                    ok = True
                except OperationalError:
                    ok = False
                found.calls.append(Call(began, time.monotonic() - began, ok))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()
