"""What every table of every database holds, to say afterwards what has changed and, above all, what has not."""

from collections.abc import Collection

from django.db import connections

import sharding

Contents = dict[tuple[str, str], tuple[int, str]]

_TABLES = """
    SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'django_migrations' ORDER BY tablename
"""
_DIGEST = """
    SELECT '{table}', count(*), coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM "{table}" t
"""


def contents() -> Contents:
    """Number of rows, and a digest of them, by database and table."""
    found: Contents = {}
    for alias in sharding.all_aliases():
        with connections[alias].cursor() as cursor:
            cursor.execute(_TABLES)
            parts = [_DIGEST.format(table=table) for (table,) in cursor.fetchall()]
            cursor.execute(" UNION ALL ".join(parts))
            found |= {(alias, table): (count, digest) for table, count, digest in cursor.fetchall()}
    return found


def changed(before: Contents, after: Contents, *, ignoring: Collection[str] = ()) -> set[tuple[str, str]]:
    """Database and table wherever a row is new, gone or different."""
    return {place for place, held in after.items() if before[place] != held and place[1] not in ignoring}


def grown(before: Contents, after: Contents, *, ignoring: Collection[str] = ()) -> dict[tuple[str, str], int]:
    """By how many rows each table has grown (less than zero: shrunk), those left out that are as long as before."""
    more = {place: count - before[place][0] for place, (count, _) in after.items() if place[1] not in ignoring}
    return {place: rows for place, rows in more.items() if rows}
