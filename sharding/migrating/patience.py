"""Waiting for locks without making others wait.

A statement that waits for a strong lock stands at the head of a queue: everybody who comes after it waits too, readers
included. So it waits for a moment only, gives up, lets the others through, and tries again later.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from sharding import errors
from sharding.deadlines import deadline
from sharding.errors import ShardingError

Answer = TypeVar("Answer")

LOCK_NOT_AVAILABLE = "55P03"
WORTH_ANOTHER_TRY = frozenset({LOCK_NOT_AVAILABLE, errors.DEADLOCK})


class LocksNotGranted(ShardingError):
    """Somebody held a lock for longer than all tries together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for locks, and how often."""

    lock_timeout_ms: int = 200
    """For one statement, and for all statements of one transaction together: about the longest time that others wait
    behind a migration."""
    retries: int = 30
    first_pause_seconds: float = 0.2
    """Doubled for each further try, up to ``longest_pause_seconds``, and spread by half at random."""
    longest_pause_seconds: float = 5.0

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the try number ``attempt``, which counts from 0."""
        seconds = min(self.first_pause_seconds * 2.0**attempt, self.longest_pause_seconds)
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311  spreads tries, guards nothing

    def insist(self, do: Callable[[], Answer], rest: Callable[[float], None]) -> Answer:
        """``do()``, again and again while locks are the only reason why it fails; ``rest(seconds)`` in between.

        ``do`` must leave nothing behind when it fails. Raises ``LocksNotGranted`` after the last try.
        """
        for attempt in range(self.retries + 1):
            try:
                return do()
            except OperationalError as error:
                if errors.sqlstate(error) not in WORTH_ANOTHER_TRY:
                    raise
                if attempt == self.retries:
                    raise LocksNotGranted(
                        f"no lock after {self.retries + 1} tries: {str(error).splitlines()[0]}; end what holds it "
                        "(manage.py shard migrate says who), or give --retries and --lock-timeout"
                    ) from error
            rest(self.pause(attempt))
        raise AssertionError("unreachable")


class LockLimit:
    """An ``execute_wrapper`` that keeps ``lock_timeout`` right for each statement of a connection.

    What a transaction has taken already counts against what its next statement may wait: the locks it holds keep others
    waiting all the while. A tenth of the limit is left to every statement. CONCURRENTLY may wait for ever, because
    nobody waits for it.
    """

    def __init__(self, limit_ms: int) -> None:
        self._limit_ms = limit_ms
        self._session_ms: int | None = None
        self._local_ms = limit_ms
        self._began = 0.0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        connection: BaseDatabaseWrapper = context["connection"]
        if connection.in_atomic_block:
            self._within_transaction(connection)
        else:
            self._for_session(connection, 0 if "CONCURRENTLY" in str(sql).upper() else self._limit_ms)
        return execute(sql, params, many, context)

    def _within_transaction(self, connection: BaseDatabaseWrapper) -> None:
        now = time.monotonic()
        status = connection.connection.info.transaction_status
        if status == TransactionStatus.INERROR:
            return  # it can only be rolled back
        if status == TransactionStatus.IDLE:  # this statement begins it
            self._began, self._local_ms = now, self._limit_ms
            if self._session_ms != self._limit_ms:
                self._tell(connection, "LOCAL", self._limit_ms)
        tenth = self._limit_ms // 10 or 1
        left_ms = max(tenth, self._limit_ms - int((now - self._began) * 1000))
        if self._local_ms - left_ms >= tenth:
            self._tell(connection, "LOCAL", left_ms)
            self._local_ms = left_ms

    def _for_session(self, connection: BaseDatabaseWrapper, wanted_ms: int) -> None:
        if self._session_ms != wanted_ms:
            self._tell(connection, "SESSION", wanted_ms)
            self._session_ms = wanted_ms

    def _tell(self, connection: BaseDatabaseWrapper, scope: str, milliseconds: int) -> None:
        # psycopg's own cursor: Django's would come here again
        connection.connection.execute(f"SET {scope} lock_timeout = {milliseconds}")


@contextmanager
def unhurried(connection: BaseDatabaseWrapper, limit_ms: int) -> Iterator[None]:
    """Statements may take as long as they take, and wait for locks for ``limit_ms`` at most.

    The one place where migrating opts out of limits meant for requests.
    """
    connection.ensure_connection()
    with deadline(None), connection.execute_wrapper(LockLimit(limit_ms)):
        connection.connection.execute("SET statement_timeout = 0")
        yield


OLDEST = """
SELECT pid, coalesce(nullif(application_name, ''), usename, backend_type), state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '150 ms'
ORDER BY xact_start LIMIT 1
"""


def oldest_transaction(connection: BaseDatabaseWrapper) -> str:
    """Who most probably holds the lock, for people to read; empty when nobody has been at it for long."""
    with connection.cursor() as cursor:
        cursor.execute(OLDEST)
        row = cursor.fetchone()
    if row is None:
        return ""
    pid, who, state, seconds = row
    return f"oldest transaction: pid {pid} ({who}, {state}) for {seconds:.1f} s"
