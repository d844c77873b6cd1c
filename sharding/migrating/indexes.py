"""Mending what an interrupted ``CREATE INDEX CONCURRENTLY`` leaves: an invalid index, kept up to date for nobody."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from sharding.errors import ShardingError

_LOOK = """
SELECT t.relname, x.indisvalid AND x.indisready FROM pg_class i
JOIN pg_index x ON x.indexrelid = i.oid JOIN pg_class t ON t.oid = x.indrelid
WHERE i.relname = %s AND pg_table_is_visible(i.oid)
"""
_INVALID = """
SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE NOT x.indisvalid AND i.relkind = 'i' AND pg_table_is_visible(i.oid) ORDER BY 1
"""


class NameTaken(ShardingError):
    """An index of that name is there and was not made by the migration that is to make it."""


@dataclass(frozen=True, slots=True)
class Found:
    table: str
    is_valid: bool


def found(connection: BaseDatabaseWrapper, name: str) -> Found | None:
    """The index called ``name``, if there is one. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, [name])
        row = cursor.fetchone()
    return Found(*row) if row else None


def clear_the_way(connection: BaseDatabaseWrapper, name: str, table: str, *, was_begun: bool) -> bool:
    """Drop an invalid index called ``name``; says whether a valid one is there already, so that nothing is left to do.

    A valid one counts only if this migration had begun to make it: it ended after its client was gone. Raises
    ``NameTaken`` for any other.
    """
    index = found(connection, name)
    if index is None:
        return False
    if index.table != table:
        raise NameTaken(f"index {name} is on {index.table} and not on {table}; rename one of them")
    if index.is_valid:
        if was_begun:
            return True
        raise NameTaken(f"index {name} is on {table} already and was not made by this migration; drop it, or fake that")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {connection.ops.quote_name(name)}")
    return False


def invalid(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of all invalid indexes. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_INVALID)
        return [name for (name,) in cursor.fetchall()]
