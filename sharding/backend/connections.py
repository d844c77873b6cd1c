"""psycopg's connection with an end to its waiting.

A server that is frozen, or behind a network that swallows packets, ignores every timeout it was told, and so does TCP
for minutes: only the client can stop waiting. All waiting of a psycopg connection goes through ``wait``, which takes a
timeout, so nothing needs to watch from another thread, and a query pays half a microsecond.

Ten per cent before the deadline the server is asked to cancel the statement. If it does, it is alive, the statement
undone and the connection as good as before. If not, the connection is closed. A COMMIT is never cancelled: a server
that waits for its standby would then say yes without it.
"""

import select
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen, PQGenConn
from psycopg.errors import ConnectionTimeout, QueryCanceled, _WaitTimeout
from typing_extensions import override

from sharding import breakers, deadlines, metrics
from sharding.breakers import Breaker
from sharding.errors import DeadlineExceeded, ShardUnavailable, first_line

Answer = TypeVar("Answer")

POLL_SECONDS = 0.1
"""psycopg's own: how often a wait looks whether Ctrl-C was pressed."""
FOR_CANCELLING = 0.1
"""This part of the time is kept for asking the server to stop."""
TELLING_SECONDS = 0.2
"""An end to a shorter wait says nothing about the server."""
FOR_ROLLBACK_SECONDS = 0.2
"""What a ROLLBACK gets at least, as it usually comes after the deadline of what it undoes."""

UNDONE = "its transaction is undone: leave the atomic block and begin again"
UNKNOWN = " during COMMIT: whether it was done is unknown; look before repeating it"


class Connection(psycopg.Connection[Any]):
    """Raises ``DeadlineExceeded`` and ``ShardUnavailable`` instead of waiting for ever or for nothing."""

    alias: str = ""
    breaker: Breaker | None = None
    """None, and the alias empty, for connections that belong to no database of the settings."""
    seconds: float | None = None
    """How long a statement may take where no ``deadline()`` says."""
    observe: Callable[[float], None] = staticmethod(lambda seconds: None)

    def guard(self, alias: str, seconds: float | None, breaker: Breaker | None = None) -> Self:
        """From here on the connection counts as one to ``alias``, with its figures and its breaker or another."""
        self.alias, self.seconds = alias, seconds
        self.breaker = breaker or breakers.of(alias)
        self.observe = metrics.statements(alias)
        return self

    def has_word(self) -> bool:
        """Whether the server has said something unasked, or has cut the connection. Asks nobody."""
        if self.closed:
            return True
        looks = select.poll()
        looks.register(self.fileno(), select.POLLIN)
        return bool(looks.poll(0))

    @override
    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn["Connection"]:
        connecting = super()._connect_gen(conninfo)
        limit = deadlines.left(None)
        ends = None if limit is None else time.monotonic() + limit
        try:
            waits_for = next(connecting)
            while True:
                ready = yield waits_for
                if not ready and ends is not None and time.monotonic() >= ends:
                    raise ConnectionTimeout("deadline passed while connecting")
                waits_for = connecting.send(ready)
        except StopIteration as done:
            connected: Connection = done.value
            return connected

    @override
    def wait(self, gen: PQGen[Answer], interval: float = POLL_SECONDS, timeout: float | None = None) -> Answer:
        if timeout is not None or self.breaker is None:
            return super().wait(gen, interval, timeout)  # who gives a time looks after it
        return self._wait(gen, self.breaker, deadlines.left(self.seconds), interval)

    @override
    def commit(self) -> None:
        if self.breaker is None:
            return super().commit()
        if self.closed:
            raise ShardUnavailable(self.alias, f"the connection was lost before COMMIT; {UNDONE}")
        with self.lock:
            self._wait(self._commit_gen(), self.breaker, deadlines.left(self.seconds), is_commit=True)

    @override
    def rollback(self) -> None:
        if self.breaker is None:
            return super().rollback()
        limit = deadlines.left(self.seconds)
        with self.lock:
            self._wait(self._rollback_gen(), self.breaker, None if limit is None else max(limit, FOR_ROLLBACK_SECONDS))

    def _wait(
        self,
        gen: PQGen[Answer],
        breaker: Breaker,
        limit: float | None,
        interval: float = POLL_SECONDS,
        *,
        is_commit: bool = False,
    ) -> Answer:
        if breaker.suspect:
            self._ask_leave(breaker)
        patience = None
        if limit is not None:
            if limit <= 0:
                raise self._late("the deadline had passed before this statement, which was not sent")
            patience = limit if is_commit else limit * (1 - FOR_CANCELLING)
        began = time.perf_counter()
        try:
            answer = super().wait(gen, interval, patience)
        except _WaitTimeout:
            raise self._out_of_time(gen, breaker, limit or 0, is_commit=is_commit) from None
        except psycopg.Error as error:
            if self.closed:
                raise self._lost(error, is_commit=is_commit) from error
            metrics.error(self.alias, metrics.kind_of(error.sqlstate))
            breaker.succeeded()
            raise
        self.observe(time.perf_counter() - began)
        if breaker.suspect:
            breaker.succeeded()
        return answer

    def _ask_leave(self, breaker: Breaker) -> None:
        try:
            breaker.check()
        except ShardUnavailable:
            metrics.error(self.alias, "left_alone")
            raise

    def _out_of_time(self, gen: PQGen[Any], breaker: Breaker, limit: float, *, is_commit: bool) -> DeadlineExceeded:
        if not is_commit and self._was_cancelled(gen, limit * FOR_CANCELLING):
            breaker.succeeded()
            return self._late(f"the statement took longer than {limit:.1f} s and was cancelled")
        self.close()
        error = self._late(f"no answer within {limit:.1f} s{UNKNOWN if is_commit else ''}")
        if limit >= TELLING_SECONDS:
            breaker.failed(error)
        return error

    def _was_cancelled(self, gen: PQGen[Any], seconds: float) -> bool:
        """Whether the server said that it gave the statement up."""
        ends = time.monotonic() + seconds
        try:
            self.cancel_safe(timeout=seconds)
            super().wait(gen, seconds, max(ends - time.monotonic(), seconds / 10))
        except QueryCanceled:
            return not self.closed
        except psycopg.Error:
            pass  # it did not hear, did not answer, or had just come to another end: who asked shall not wait for it
        return False

    def _late(self, reason: str) -> DeadlineExceeded:
        metrics.error(self.alias, "deadline")
        return DeadlineExceeded(self.alias, reason)

    def _lost(self, error: psycopg.Error, *, is_commit: bool) -> ShardUnavailable:
        metrics.error(self.alias, "lost")
        return ShardUnavailable(
            self.alias, f"the connection was lost{UNKNOWN if is_commit else ''} ({first_line(error)})"
        )
