"""What is remembered of backfills: in each database how far it is, in the directory what somebody wants of the job.

Tables of the library's own, made when first needed, which nothing empties that empties the project's tables.
"""

import json
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Literal

import psycopg
from django.db import ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper

from sharding import directory, errors
from sharding.errors import DirectoryUnavailable, ShardingError

Wanted = Literal["run", "pause", "cancel"]

JOB_TABLE = "sharding_backfill_job"
POSITION_TABLE = "sharding_backfill_position"

_CREATE_JOB = f"""
CREATE TABLE IF NOT EXISTS {JOB_TABLE} (
  name text PRIMARY KEY,
  wanted text NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause', 'cancel')),
  holder text NOT NULL DEFAULT '',
  finished_at timestamptz
)
"""
_CREATE_POSITION = f"""
CREATE TABLE IF NOT EXISTS {POSITION_TABLE} (
  job text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('running', 'done')),
  last_pk jsonb,
  lap integer NOT NULL,
  changed bigint NOT NULL,
  seen bigint NOT NULL,
  expected bigint NOT NULL,
  seconds double precision NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
_LOCK = "hashtextextended('sharding.backfill:' || %s, 0)"
UNDEFINED_TABLE = "42P01"


class AlreadyRunning(ShardingError):
    """Another process is at this backfill."""


@dataclass(slots=True)
class Position:
    """How far one database is."""

    state: str = "running"
    last_pk: Any = None
    """The last row looked at: the parts of its key, as text; None at the beginning of a lap."""
    lap: int = 1
    changed: int = 0
    """Rows, in all laps."""
    seen: int = 0
    """Rows looked at in this lap."""
    expected: int = 0
    """Rows of the table, as the planner guesses."""
    seconds: float = 0.0
    """Work on this lap, in all runs."""
    updated_at: datetime | None = None


class Book:
    """A database's own notes on one job. Written in the transaction that changes the rows."""

    def __init__(self, connection: BaseDatabaseWrapper, job: str) -> None:
        self._connection = connection
        self._job = job

    def open(self, table: str) -> None:
        """Make the book, and its page for the job, if they are not there."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [POSITION_TABLE])
            if cursor.fetchone()[0] is None:
                cursor.execute(_CREATE_POSITION)
            cursor.execute(
                f"INSERT INTO {POSITION_TABLE} (job, state, lap, changed, seen, expected, seconds) "  # noqa: S608
                "SELECT %s, 'running', 1, 0, 0, greatest(reltuples, 0)::bigint, 0 FROM pg_class "
                "WHERE oid = to_regclass(%s) ON CONFLICT (job) DO NOTHING",
                [self._job, self._connection.ops.quote_name(table)],
            )

    def read(self, *, for_update: bool = False) -> Position | None:
        """The page of the job; None where there is none. With ``for_update`` nobody else writes it meanwhile."""
        statement = (
            "SELECT state, last_pk, lap, changed, seen, expected, seconds, updated_at "  # noqa: S608
            f"FROM {POSITION_TABLE} WHERE job = %s{' FOR UPDATE' if for_update else ''}"
        )
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, [self._job])
                row = cursor.fetchone()
        except ProgrammingError as error:
            if errors.sqlstate(error) == UNDEFINED_TABLE:
                return None
            raise
        if row is None:
            return None
        found = Position(*row)
        if isinstance(found.last_pk, str):  # Django leaves jsonb to its fields
            found.last_pk = json.loads(found.last_pk)
        return found

    def write(self, position: Position) -> None:
        last_pk = None if position.last_pk is None else json.dumps(position.last_pk)
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {POSITION_TABLE} SET (state, last_pk, lap, changed, seen, expected, seconds, updated_at) = "  # noqa: S608
                "(%s, %s, %s, %s, %s, %s, %s, clock_timestamp()) WHERE job = %s",
                [
                    position.state,
                    last_pk,
                    position.lap,
                    position.changed,
                    position.seen,
                    position.expected,
                    position.seconds,
                    self._job,
                ],
            )

    def forget(self) -> None:
        """Tear the page out: the job begins anew."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [POSITION_TABLE])
            if cursor.fetchone()[0] is not None:
                cursor.execute(f"DELETE FROM {POSITION_TABLE} WHERE job = %s", [self._job])  # noqa: S608


class Desk:
    """The directory's page for one job, and the lock of the one process that does it. A context manager.

    Raises ``AlreadyRunning`` while another process has it, ``DirectoryUnavailable`` when nobody can be asked.
    """

    def __init__(self, job: str) -> None:
        self._job = job

    def __enter__(self) -> "Desk":
        self._connection = _directory()
        try:
            if not self._one(f"SELECT pg_try_advisory_lock({_LOCK})", self._job):
                raise AlreadyRunning(
                    f"{self._job} is being filled by {self._one(_HOLDER, self._job) or 'somebody'} already; give "
                    "--pause to stop that"
                )
            self._connection.execute(_INSERT, [self._job])
            self._connection.execute(
                f"UPDATE {JOB_TABLE} SET holder = %s, finished_at = NULL WHERE name = %s",  # noqa: S608
                [f"{socket.gethostname()}:{os.getpid()}", self._job],
            )
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()  # gives back the lock

    def wanted(self) -> Wanted:
        """What somebody said last."""
        found: Wanted = self._one(f"SELECT wanted FROM {JOB_TABLE} WHERE name = %s", self._job)  # noqa: S608
        return found

    def finish(self) -> None:
        self._connection.execute(
            f"UPDATE {JOB_TABLE} SET finished_at = clock_timestamp() WHERE name = %s",  # noqa: S608
            [self._job],
        )

    def _one(self, statement: str, *params: object) -> Any:
        row = self._connection.execute(statement, params).fetchone()
        return row[0] if row else None


_HOLDER = f"SELECT holder FROM {JOB_TABLE} WHERE name = %s"  # noqa: S608
_INSERT = f"INSERT INTO {JOB_TABLE} (name) VALUES (%s) ON CONFLICT DO NOTHING"  # noqa: S608


def want(job: str, wanted: Wanted) -> None:
    """Say what the process at work, or the next one, shall do with the job."""
    with _directory() as connection:
        connection.execute(_INSERT, [job])
        connection.execute(f"UPDATE {JOB_TABLE} SET wanted = %s WHERE name = %s", [wanted, job])  # noqa: S608


def wanted(job: str) -> tuple[Wanted, datetime | None]:
    """What somebody said last of the job, and when it was finished."""
    with _directory() as connection:
        row: Any = connection.execute(
            f"SELECT wanted, finished_at FROM {JOB_TABLE} WHERE name = %s",  # noqa: S608
            [job],
        ).fetchone()
    return (row[0], row[1]) if row else ("run", None)


def _directory() -> "psycopg.Connection[Any]":
    try:
        connection = directory.connect()
    except psycopg.Error as error:
        raise DirectoryUnavailable(
            f"the directory, which keeps the book of backfills, does not answer: {error}"
        ) from error
    row: Any = connection.execute("SELECT to_regclass(%s)", [JOB_TABLE]).fetchone()
    if row[0] is None:
        connection.execute(_CREATE_JOB)
    return connection
