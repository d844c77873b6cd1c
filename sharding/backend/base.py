"""Django's PostgreSQL, on connections that do not wait for ever."""

from collections.abc import Callable
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.db.backends.postgresql import base
from psycopg.errors import ConnectionTimeout
from typing_extensions import override

from sharding import breakers, deadlines, metrics, primaries, topology
from sharding.backend.connections import TELLING_SECONDS, UNDONE, Connection
from sharding.breakers import Breaker
from sharding.errors import BucketMoved, DeadlineExceeded, ShardUnavailable, first_line

ADDRESS = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
"""What an entry of ``DATABASES`` says about where its server is."""


def _go_on(connection: BaseDatabaseWrapper) -> None:
    pass


before_commit: Callable[[BaseDatabaseWrapper], None] = _go_on
"""Called before each COMMIT, which it may refuse; ``sharding.leases`` puts itself here."""


class _Psycopg:
    """psycopg as Django looks at it, but for the class of its connections."""

    connect = Connection.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """Asks the database's breaker before connecting, and replaces a connection that is gone at its next use.

    A request begins and ends without a word to any server: it would wait for shards that it does not need.
    """

    Database: Any = _Psycopg()

    _address: str = ""
    """The entry of ``DATABASES`` that the connection was made by: after a promotion, that of another server."""
    _primaries: object = None
    """Those of the map by which the address was last looked up."""
    _is_doubtful: bool = False
    """Something went wrong on the connection in an earlier request."""

    # A connection is made, or is not.

    @override
    def get_connection_params(self) -> dict[str, Any]:
        self._address = self._current_address()
        if self._address == self.alias:
            return super().get_connection_params()
        mine, other = self.settings_dict, connections.settings[self._address]
        self.settings_dict = {**mine, **{part: other[part] for part in ADDRESS}}
        try:
            return super().get_connection_params()
        finally:
            self.settings_dict = mine

    def _current_address(self) -> str:
        shard_map = topology.known()
        self._primaries = shard_map.primaries if shard_map else None
        return self.alias if self.alias in (NO_DB_ALIAS, DEFAULT_DB_ALIAS) else primaries.address_of(self.alias)

    def _has_moved(self) -> bool:
        """Whether the map has named another server since the connection was made."""
        shard_map = topology.known()
        if shard_map is None or shard_map.primaries is self._primaries:
            return False
        return self._current_address() != self._address

    @override
    def get_new_connection(self, conn_params: Any) -> Any:
        if self.pool:
            raise ImproperlyConfigured(
                f'{self.alias}: OPTIONS["pool"] is not supported, as each pool keeps threads and connections for every '
                "database; put PgBouncer in front of the servers"
            )
        if self.alias == NO_DB_ALIAS:  # creating and dropping databases; whoever does that waits
            return super().get_new_connection(conn_params)
        breaker = breakers.of(self.alias)
        seconds = deadlines.usual()
        limit = deadlines.left(seconds)
        try:
            breaker.check()
            with deadlines.deadline(limit):
                connection: Connection = super().get_new_connection(conn_params)
        except ShardUnavailable:
            metrics.error(self.alias, "left_alone")
            raise
        except psycopg.OperationalError as error:
            raise self._unreachable(breaker, limit, error) from error
        breaker.succeeded()
        return connection.guard(self.alias, seconds)

    def _unreachable(self, breaker: Breaker, limit: float | None, error: psycopg.OperationalError) -> ShardUnavailable:
        found: ShardUnavailable
        if isinstance(error, ConnectionTimeout):
            metrics.error(self.alias, "deadline")
            found = DeadlineExceeded(self.alias, "connecting took too long")
        else:
            metrics.error(self.alias, "unreachable")
            found = ShardUnavailable(self.alias, first_line(error))
        if limit is None or limit >= TELLING_SECONDS:
            breaker.failed(found)
        return found

    # A connection is gone.

    @override
    def ensure_connection(self) -> None:
        if self.connection is not None and not self.in_atomic_block and (self.connection.closed or self._has_moved()):
            self.close()
        super().ensure_connection()

    def _commit(self) -> None:
        if self.connection is not None and not self.connection.closed:
            if self._has_moved():
                raise BucketMoved(self.alias, "another server has taken over; its transaction is undone, begin again")
            before_commit(self)
        super()._commit()  # type: ignore[misc]  # the stubs leave it out

    @override
    def create_cursor(self, name: str | None = None) -> Any:
        if self.connection.closed:
            raise ShardUnavailable(self.alias, f"the connection was lost; {UNDONE}")
        return super().create_cursor(name)

    @override
    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        is_gone = self.connection is None or self.connection.closed
        if is_gone and autocommit == self.settings_dict["AUTOCOMMIT"] and not self.in_atomic_block:
            # The end of a transaction whose connection was lost: a new one would be made only to say what is so anyway.
            self.close()
            self.autocommit = autocommit
            return
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)

    @override
    def is_usable(self) -> bool:
        """Asks the server, if there is a reason to: an error since it was last asked, or word from it.

        A server that ended, or cut the connection, has said so by now; of one that vanished or stands still the
        statement itself learns as soon as a question before it would, and that would be one for every request.
        Raises ``DeadlineExceeded`` where it stays silent: connecting anew would be no faster.
        """
        if not self._is_doubtful and self.connection is not None and not self.connection.has_word():
            return True
        try:
            self._is_doubtful = not super().is_usable()
        except DeadlineExceeded:
            raise
        except ShardUnavailable:
            return False
        return not self._is_doubtful

    @override
    def close_if_unusable_or_obsolete(self) -> None:
        if self.connection is not None and self.connection.closed and not self.in_atomic_block:
            self.close()
        # What is wrong shows at the next use, which looks (CONN_HEALTH_CHECKS).
        self._is_doubtful = self._is_doubtful or self.errors_occurred
        self.errors_occurred = False
        super().close_if_unusable_or_obsolete()
