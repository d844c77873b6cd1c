"""A database that does not answer is left alone for a while: its callers hear so at once instead of waiting one by one.

*Closed*, everything passes. After ``breaker_failures`` failures in a row it is *open*: ``check`` refuses. Every
``breaker_seconds`` one caller passes to try (*half-open*); an answer closes it, a failure opens it anew.

A failure is no answer: a refused or lost connection, a deadline that passed. What the server said, it answered,
be it that a statement was wrong. Nothing here waits, and no database's breaker knows of another's.
"""

import logging
import threading
import time
from typing import Literal

from sharding import conf, metrics
from sharding.errors import DeadlineExceeded, ShardUnavailable, first_line

logger = logging.getLogger(__name__)

State = Literal["closed", "open", "half-open"]

SILENCE = 2
"""A deadline that passed counts as so many failures: one caller alone needs seconds to meet each of them."""

clock = time.monotonic


class Breaker:
    """One database's. Callers go through the functions below; connections keep theirs at hand."""

    __slots__ = ("_lock", "_opened_at", "_prober", "_reason", "_retry_at", "alias", "suspect")

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.suspect = 0
        """Failures since the last answer. Zero says closed and sound: then neither method below needs a call."""
        self._opened_at: float | None = None
        self._retry_at = 0.0
        self._prober: threading.Thread | None = None
        self._reason = ""
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "open" if self._prober is None else "half-open"

    def check(self) -> None:
        """Pass, or raise ``ShardUnavailable``. The thread that was let through to try passes again until it knows."""
        me = threading.current_thread()
        with self._lock:
            if self._opened_at is None or self._prober is me:
                return
            now = clock()
            if now >= self._retry_at:
                options = conf.options()
                self._prober = me
                # Whoever tries and never says how it went does not keep the others out for ever.
                self._retry_at = now + max(options.breaker_seconds, options.deadline_seconds)
                return
            wait = self._retry_at - now
        raise ShardUnavailable(
            self.alias, f"left alone since it did not answer ({self._reason}); try again in {wait:.1f} s"
        )

    def failed(self, error: BaseException) -> None:
        options = conf.options()
        with self._lock:
            self.suspect += SILENCE if isinstance(error, DeadlineExceeded) else 1
            self._reason = error.reason if isinstance(error, ShardUnavailable) else first_line(error)
            opens = self._opened_at is None and self.suspect >= options.breaker_failures
            if opens:
                self._opened_at = clock()
            elif self._prober is not threading.current_thread():
                return  # somebody who had been let in before
            self._prober = None
            self._retry_at = clock() + options.breaker_seconds
        if opens:
            metrics.breaker(self.alias, is_open=True)
            logger.warning("breaker.opened %s: %s", self.alias, self._reason)

    def succeeded(self) -> None:
        if not self.suspect:
            return
        with self._lock:
            opened_at, self._opened_at = self._opened_at, None
            self._prober = None
            self.suspect = 0
        if opened_at is not None:
            metrics.breaker(self.alias, is_open=False)
            logger.warning("breaker.closed %s after %.1f s", self.alias, clock() - opened_at)


_breakers: dict[str, Breaker] = {}


def of(alias: str) -> Breaker:
    """The breaker of a database, the same one each time."""
    found = _breakers.get(alias)
    return _breakers.setdefault(alias, Breaker(alias)) if found is None else found


def check(alias: str) -> None:
    """Raise ``ShardUnavailable`` while the database is left alone; say how it went with one of the next two."""
    found = _breakers.get(alias)
    if found is not None and found.suspect:
        found.check()


def failed(alias: str, error: BaseException) -> None:
    """The database gave no answer."""
    of(alias).failed(error)


def succeeded(alias: str) -> None:
    """The database answered, whatever it said."""
    found = _breakers.get(alias)
    if found is not None and found.suspect:
        found.succeeded()


def state(alias: str) -> State:
    return of(alias).state


def reset() -> None:
    """Close all of them, as if nothing had ever failed. For tests."""
    for breaker in _breakers.values():
        breaker.succeeded()
