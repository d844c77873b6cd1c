"""What every database holds, to say afterwards what has changed and, above all, what has not."""

from collections.abc import Collection

from django.apps import apps
from django.db import connections

import sharding

_LABELS = (
    "accounts",
    "carts",
    "catalog",
    "inventory",
    "ledger",
    "orders",
    "payments",
    "pricing",
    "slots",
    "stores",
    "common",
)
Snapshot = dict[tuple[str, str], tuple[int, str]]


def snapshot(*, also: Collection[str] = ()) -> Snapshot:
    """Number of rows and a digest of their content, by database and table; ``also`` of these apps."""
    found: Snapshot = {}
    for alias in sharding.all_aliases():
        with connections[alias].cursor() as cursor:
            there = set(connections[alias].introspection.table_names(cursor))
            for model in apps.get_models():
                table = model._meta.db_table
                if model._meta.app_label in {*_LABELS, *also} and table in there:
                    digest = "coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '')"
                    cursor.execute(f"SELECT count(*), {digest} FROM {table} t")  # noqa: S608  our own tables' names
                    found[alias, table] = cursor.fetchone()
    return found


def changed(before: Snapshot, after: Snapshot, *, ignoring: Collection[str] = ()) -> set[str]:
    """The tables whose content is not what it was, in whichever database."""
    return {table for (alias, table), held in after.items() if before[alias, table] != held} - set(ignoring)
