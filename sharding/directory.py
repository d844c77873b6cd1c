"""The map in the directory: the database ``default`` keeps every version of it, the newest counts.

Each change is a new row whose primary key is the next epoch, so that of two changers one fails, and a NOTIFY in the
same transaction, so that nobody hears of a map that was not stored.
"""

import json
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, IntegrityError, connections, transaction
from psycopg import sql

from sharding import maps, names, topology
from sharding.backend.connections import Connection
from sharding.conf import options
from sharding.errors import ChangeInDoubt, DirectoryUnavailable, MapConflict, ShardUnavailable
from sharding.models import MapVersion
from sharding.topology import ShardMap

Edit = Callable[[ShardMap], ShardMap]

_NEWEST = sql.SQL("SELECT epoch, document FROM {} ORDER BY epoch DESC LIMIT 1").format(
    sql.Identifier(MapVersion._meta.db_table)
)


# In one word: while a move changes the map, writers wait.
_INSERT = (
    f"WITH made AS (INSERT INTO {MapVersion._meta.db_table} (epoch, document, reason) "  # noqa: S608
    "VALUES (%s, %s, %s) RETURNING epoch) SELECT pg_notify(%s, epoch::text) FROM made"
)


def connect(timeout: int = 2) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection of its own to the directory, outside of Django's transactions; ``timeout`` is for connecting."""
    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    wanted = {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context")}
    connection = Connection.connect(**{**wanted, "connect_timeout": timeout, "autocommit": True})
    return connection.guard(DEFAULT_DB_ALIAS, options().deadline_seconds)


def newest(connection: "psycopg.Connection[tuple[object, ...]]") -> ShardMap:
    """The map that counts; the configured one while the directory has none. One query."""
    try:
        row = connection.execute(_NEWEST).fetchone()
    except psycopg.errors.UndefinedTable:
        return topology.configured()  # before the first migration
    return maps.parsed(int(str(row[0])), row[1]) if row else topology.configured()  # type: ignore[arg-type]


def read() -> ShardMap:
    """The map that counts, asked for now. Raises ``DirectoryUnavailable`` when the directory does not answer."""
    try:
        with connect() as connection:
            return newest(connection)
    except (psycopg.Error, ShardUnavailable) as error:
        raise DirectoryUnavailable(f"the directory does not answer: {str(error).strip()}") from error


def change(edit: Edit, reason: str, *, within: Callable[[], object] = lambda: None) -> ShardMap:
    """Store ``edit(newest map)`` as the next one, tell all processes, and go by it here.

    Raises what ``prepared`` and ``store`` raise.
    """
    return store(prepared(edit), reason, within=within)


def prepared(edit: Edit) -> ShardMap:
    """``edit(newest map)`` as it would be stored now.

    Raises ``DirectoryUnavailable``, and ``ShardingError`` for an unsound map.
    """
    before = read()
    after = edit(before)
    changed = ShardMap(before.epoch + 1, after.keyspaces, after.primaries)
    maps.check(changed, connections.databases.keys())
    return changed


def store(changed: ShardMap, reason: str, *, within: Callable[[], object] = lambda: None) -> ShardMap:
    """Make a prepared map the newest one, tell all processes, and go by it here. 2 queries.

    ``reason`` is for people who read the history. ``within`` runs in the same transaction on the directory; what it
    raises undoes the change. Raises ``MapConflict`` when somebody else changed the map since it was prepared,
    ``DirectoryUnavailable`` when nothing was stored because the directory is away, and its ``ChangeInDoubt`` when
    nobody can tell.
    """
    is_sent = False
    try:
        with transaction.atomic(using=DEFAULT_DB_ALIAS, durable=True):
            _insert(changed, reason)
            within()
            is_sent = True
    except IntegrityError as error:
        raise MapConflict(
            f"map {changed.epoch} was made by somebody else meanwhile; look at it, then repeat"
        ) from error
    except DatabaseError as error:
        doubt = ChangeInDoubt if is_sent else DirectoryUnavailable
        raise doubt(f"the map could not be stored: {str(error).strip()}") from error
    maps.learn(changed)
    return changed


def after_migrate(using: str, **_: Any) -> None:
    """Receiver of ``post_migrate``."""
    if using == DEFAULT_DB_ALIAS:
        publish()


def publish() -> None:
    """Store the configured map if the directory has none; a keyspace that is new is added to the map that is there."""
    if MapVersion._meta.db_table not in connections[DEFAULT_DB_ALIAS].introspection.table_names():
        return  # not migrated yet
    before = read()
    if before.epoch == 0:
        _insert(ShardMap(1, before.keyspaces), "the configured map")
    elif MapVersion.objects.filter(epoch=before.epoch, document__keyspaces__has_keys=list(before.keyspaces)).exists():
        return
    else:
        _insert(ShardMap(before.epoch + 1, before.keyspaces, before.primaries), "a new keyspace")
    topology.reload()


def _insert(shard_map: ShardMap, reason: str) -> None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        document = json.dumps(maps.document(shard_map))
        cursor.execute(_INSERT, [shard_map.epoch, document, reason, names.CHANNEL])
