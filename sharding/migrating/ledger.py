"""What is remembered of migrating, so that an interrupted run is seen and continued.

In the directory: each run, and how far each of its databases came. In each database, beside ``django_migrations``:
how far a migration has come that is not one transaction. Tables of the library's own, made when first needed: they must
be there before any migration, and nothing that empties the project's tables may empty them.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from typing_extensions import override

from sharding import directory, names
from sharding.errors import DirectoryUnavailable, ShardingError
from sharding.migrating.progress import Progress, State
from sharding.plans import Key

RUN_TABLE = "sharding_migration_run"
DATABASE_TABLE = "sharding_migration_database"
POSITION_TABLE = "sharding_migration_position"

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {RUN_TABLE} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  outcome text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'done', 'failed', 'interrupted')),
  holder text NOT NULL,
  plan text NOT NULL,
  unsafe text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS {DATABASE_TABLE} (
  run bigint NOT NULL REFERENCES {RUN_TABLE} ON DELETE CASCADE,
  alias text NOT NULL,
  keyspace text NOT NULL,
  is_canary boolean NOT NULL,
  state text NOT NULL,
  applied integer NOT NULL,
  total integer NOT NULL,
  step text NOT NULL,
  retries integer NOT NULL,
  seconds double precision NOT NULL,
  error text NOT NULL,
  PRIMARY KEY (run, alias)
);
"""

_KEEP_RUNS = 50


class AlreadyRunning(ShardingError):
    """Another process is migrating."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One call of ``shard migrate``, as the directory remembers it."""

    id: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    holder: str
    plan: str
    databases: int
    done: int

    @override
    def __str__(self) -> str:
        ended = f", {self.ended_at:%Y-%m-%d %H:%M:%S}" if self.ended_at else ""
        return (
            f"run {self.id} by {self.holder} of {self.started_at:%Y-%m-%d %H:%M:%S}: {self.outcome}{ended}, "
            f"{self.done} of {self.databases} databases"
        )


_RUN = f"""
SELECT r.id, r.started_at, r.ended_at, r.outcome, r.holder, r.plan, count(d.alias),
       count(d.alias) FILTER (WHERE d.state = 'done')
FROM {RUN_TABLE} r LEFT JOIN {DATABASE_TABLE} d ON d.run = r.id GROUP BY r.id ORDER BY r.id DESC LIMIT 1
"""  # noqa: S608


class Ledger:
    """The directory's book of runs, and the lock that lets one run at a time write it. A context manager.

    Raises ``AlreadyRunning`` while another process holds the lock, ``DirectoryUnavailable`` when nobody can be asked.
    """

    def __init__(self) -> None:
        self.interrupted: Run | None = None
        """The run before this one, if it did not come to its end."""
        self._id = 0
        self._written: dict[str, tuple[object, ...]] = {}

    def __enter__(self) -> "Ledger":
        try:
            self._connection = directory.connect()
        except psycopg.Error as error:
            raise DirectoryUnavailable(
                f"the directory, which keeps the book of migrations, does not answer: {error}"
            ) from error
        try:
            self._lock()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()  # gives back the lock

    def _lock(self) -> None:
        taken = self._one("SELECT pg_try_advisory_lock(%s, %s)", [names.ADVISORY_CLASS, names.MIGRATING_LOCK])
        if not taken[0]:
            raise AlreadyRunning(f"already migrating: {self._holder()}; wait for it, or end it")
        if self._one("SELECT to_regclass(%s)", [DATABASE_TABLE])[0] is None:
            self._connection.execute(_CREATE)
        # Who holds the lock knows that nobody else is at work, whatever the book says.
        self._connection.execute(
            f"UPDATE {RUN_TABLE} SET outcome = 'interrupted', ended_at = clock_timestamp() WHERE outcome = 'running'"  # noqa: S608
        )
        last = last_run(self._connection)
        if last is not None and last.outcome != "done":
            self.interrupted = last

    def _holder(self) -> str:
        row = self._connection.execute(
            "SELECT a.pid, a.client_addr::text, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s AND l.database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())",
            [names.ADVISORY_CLASS, names.MIGRATING_LOCK],
        ).fetchone()
        run = last_run(self._connection)
        session = f"session {row[0]} from {row[1] or 'a socket'} since {row[2]:%H:%M:%S}" if row else "a session"
        return f"{run}, {session}" if run is not None and run.outcome == "running" else session

    def begin(self, plan: str, unsafe: str) -> int:
        """Write down a new run; returns its number."""
        self._id = int(
            self._one(
                f"INSERT INTO {RUN_TABLE} (holder, plan, unsafe) VALUES (%s, %s, %s) RETURNING id",  # noqa: S608
                [f"{socket.gethostname()}:{os.getpid()}", plan, unsafe],
            )[0]
        )
        self._connection.execute(
            f"DELETE FROM {RUN_TABLE} WHERE id <= %s",  # noqa: S608
            [self._id - _KEEP_RUNS],
        )
        return self._id

    def write(self, everyone: Iterable[Progress]) -> None:
        """Write down what has changed since the last call; one query."""
        changed = []
        for one in everyone:
            row = _row(one)
            if self._written.get(one.alias) != row:
                changed.append(row)
                self._written[one.alias] = row
        if not changed:
            return
        with self._connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {DATABASE_TABLE} VALUES ({self._id}, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "  # noqa: S608
                "ON CONFLICT (run, alias) DO UPDATE SET (keyspace, is_canary, state, applied, total, step, retries, "
                "seconds, error) = (EXCLUDED.keyspace, EXCLUDED.is_canary, EXCLUDED.state, EXCLUDED.applied, "
                "EXCLUDED.total, EXCLUDED.step, EXCLUDED.retries, EXCLUDED.seconds, EXCLUDED.error)",
                changed,
            )

    def end(self, outcome: str) -> None:
        self._connection.execute(
            f"UPDATE {RUN_TABLE} SET outcome = %s, ended_at = clock_timestamp() WHERE id = %s",  # noqa: S608
            [outcome, self._id],
        )

    def databases(self, run: Run) -> list[tuple[str, bool, str]]:
        """``(alias, was it a canary, its state)`` of each database of ``run``."""
        rows = self._connection.execute(
            f"SELECT alias, is_canary, state FROM {DATABASE_TABLE} WHERE run = %s ORDER BY alias",  # noqa: S608
            [run.id],
        ).fetchall()
        return [(str(alias), bool(is_canary), str(state)) for alias, is_canary, state in rows]

    def _one(self, statement: str, params: list[object]) -> Any:
        return self._connection.execute(statement, params).fetchone()


def _row(one: Progress) -> tuple[object, ...]:
    # The first line: what follows it may quote a row.
    error = f"{type(one.error).__name__}: {one.error}".splitlines()[0] if one.error else ""
    seconds = round(one.seconds, 3) if one.is_ended else 0.0
    state = str(one.state if one.is_ended or one.state is State.WAITING else State.MIGRATING)
    return (one.alias, one.group, one.is_canary, state, one.applied, one.total, one.step, one.retries, seconds, error)


def last_run(connection: "psycopg.Connection[Any] | None" = None) -> Run | None:
    """The newest run in the book; None where nothing was ever migrated."""
    if connection is None:
        with directory.connect() as fresh:
            return last_run(fresh)
    try:
        row = connection.execute(_RUN).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    if row is None:
        return None
    id, started_at, ended_at, outcome, holder, plan, databases, done = row
    return Run(
        id=id,
        started_at=started_at,
        ended_at=ended_at,
        outcome=outcome,
        holder=holder,
        plan=plan,
        databases=databases,
        done=done,
    )


@dataclass(frozen=True, slots=True)
class Position:
    """How far one database is with a migration that is not one transaction."""

    done: int
    """Steps that are over."""
    begun: int
    """Steps that were begun: one more than ``done`` while a step runs that is no transaction, or if it was cut off."""


class Positions:
    """The book of unfinished migrations that each database keeps."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def ensure(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [POSITION_TABLE])
            if cursor.fetchone()[0] is None:
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {POSITION_TABLE} (app text NOT NULL, name text NOT NULL, "
                    "done integer NOT NULL, begun integer NOT NULL, PRIMARY KEY (app, name))"
                )

    def get(self, migration: Key) -> Position:
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"SELECT done, begun FROM {POSITION_TABLE} WHERE app = %s AND name = %s",  # noqa: S608
                migration,
            )
            row = cursor.fetchone()
        return Position(*row) if row else Position(0, 0)

    def put(self, migration: Key, position: Position) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {POSITION_TABLE} VALUES (%s, %s, %s, %s) "  # noqa: S608
                "ON CONFLICT (app, name) DO UPDATE SET done = EXCLUDED.done, begun = EXCLUDED.begun",
                [*migration, position.done, position.begun],
            )

    def forget(self, migration: Key) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {POSITION_TABLE} WHERE app = %s AND name = %s",  # noqa: S608
                migration,
            )
