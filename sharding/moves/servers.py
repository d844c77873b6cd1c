"""Sessions with the databases themselves, and how one server reaches another.

All that a move does to a database goes over one session that holds the move's lock there. Whoever lost the session has
lost the lock, and whoever has the lock knows that no earlier runner can still do anything: it needs no other fence.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connections
from psycopg import pq
from psycopg.conninfo import make_conninfo

from sharding import names, primaries
from sharding.conf import options
from sharding.errors import MoveRefused

Row = tuple[Any, ...]

TAKING_SECONDS = 3.0
"""So long after its end a killed runner may still be holding its locks: the server has to notice first."""

SETTINGS = {
    "synchronous_commit": "on",
    "lock_timeout": "10s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "30s",
    "idle_session_timeout": "0",
    # A runner whose machine is gone must not keep writers waiting for as long as TCP does.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}


@dataclass(frozen=True, slots=True)
class Session:
    """One connection to one database, in autocommit."""

    alias: str
    connection: "psycopg.Connection[Row]"

    def run(self, statement: str, *parameters: object) -> int:
        """Number of rows affected."""
        return self._execute(statement, parameters).rowcount

    def rows(self, statement: str, *parameters: object) -> list[Row]:
        return self._execute(statement, parameters).fetchall()

    def value(self, statement: str, *parameters: object) -> Any:
        """First column of the first row; None where there is no row."""
        row = self._execute(statement, parameters).fetchone()
        return None if row is None else row[0]

    def together(self, *statements: str) -> None:
        """All of them in one transaction, and in one message: for when each word counts."""
        try:
            self.connection.execute("; ".join(("BEGIN", *statements, "COMMIT")).encode())
        except psycopg.Error:
            if not self.connection.closed:
                self.connection.rollback()
            raise

    def _execute(self, statement: str, parameters: tuple[object, ...]) -> "psycopg.Cursor[Row]":
        return self.connection.execute(statement.encode(), parameters or None)

    @property
    def version(self) -> int:
        """As 180001."""
        return self.connection.info.server_version

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.connection.transaction():
            yield


def conninfo(alias: str) -> str:
    """Where the database is, past any pooler, for this process and for the other servers."""
    address = primaries.address_of(alias)
    if address in options().servers:
        return options().servers[address]
    known = {default.keyword.decode() for default in pq.Conninfo.get_defaults()}
    parameters = {
        name: value
        for name, value in connections[alias].get_connection_params().items()
        if name in known and value is not None
    }
    host = str(parameters.get("host", ""))
    if host.startswith("/"):  # a server may not be able to follow the link that leads to a socket's folder
        parameters["host"] = os.path.realpath(host)
    return make_conninfo("", **parameters)


@contextmanager
def session(alias: str, name: str = "sharding") -> Iterator[Session]:
    """A session for the block; raises ``psycopg.OperationalError`` where the database cannot be reached in 5 s."""
    with psycopg.connect(conninfo(alias), connect_timeout=5, autocommit=True, application_name=name) as connection:
        connection.execute(
            "SELECT " + ", ".join(f"set_config('{key}', '{value}', false)" for key, value in SETTINGS.items())
        )
        with suppress(psycopg.errors.InvalidParameterValue):  # not on every operating system
            connection.execute("SET client_connection_check_interval = '1s'")
        yield Session(alias, connection)


@contextmanager
def sessions(aliases: tuple[str, ...], move: int, runner: str) -> Iterator[tuple[Session, ...]]:
    """Sessions that hold the lock of ``move`` on all these databases. Raises ``MoveRefused`` while another one does."""
    with ExitStack() as stack:
        found = tuple(stack.enter_context(session(alias, f"sharding move {move} ({runner})")) for alias in aliases)
        for one in found:
            _take(one, move)
        yield found


def _take(session: Session, move: int) -> None:
    until = time.monotonic() + TAKING_SECONDS
    while not session.value("SELECT pg_try_advisory_lock(%s, %s)", names.MOVE_CLASS, move):
        if time.monotonic() > until:
            holder = session.value(
                "SELECT a.application_name || ', pid ' || a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = %s AND l.granted "
                "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                names.MOVE_CLASS,
                move,
            )
            raise MoveRefused(
                f"move {move} is being carried out by somebody else ({holder} on {session.alias}); see shard moves"
            )
        time.sleep(0.05)
