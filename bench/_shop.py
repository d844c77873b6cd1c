"""The library's example shop on databases of its own, for benchmarks: made, migrated, and gone afterwards."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import django
import psycopg
from django.conf import settings
from psycopg import sql

from deploy.local import postgres
from deploy.local.layout import Layout

BUCKETS = 10_000


@contextmanager
def server(name: str, **wanted: str) -> Iterator[postgres.Server]:
    """An embedded PostgreSQL of its own, its files deleted afterwards. It does not wait for the disk."""
    directory = Layout.read().var / "bench" / name
    found = postgres.start(directory, durable=False)
    try:
        yield found
    finally:
        found.stop()
        found.remove()
        shutil.rmtree(directory.parent, ignore_errors=True)


def configure(url_of: Mapping[str, str], **sharding: Any) -> None:
    """Django with the example shop: customers split evenly over all of ``url_of`` but ``default``."""
    from instacart.env import django_database

    shards = [alias for alias in url_of if alias != "default"]
    starts = [n * BUCKETS // len(shards) for n in range(len(shards) + 1)]
    ranges = tuple((first, last - 1, alias) for first, last, alias in zip(starts, starts[1:], shards, strict=False))
    keyspaces = {"customer": ranges, "store": ranges}
    settings.configure(
        DATABASES={alias: django_database(url) for alias, url in url_of.items()},
        DATABASE_ROUTERS=["sharding.routers.ShardRouter"],
        SHARDING={"KEYSPACES": keyspaces, "WATCH": False, **sharding},
        INSTALLED_APPS=["sharding", "tests.sharding.shop"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()


def urls(found: postgres.Server, shards: int) -> dict[str, str]:
    """Addresses of a directory and ``shards`` databases on one server; those that do not exist yet are made."""
    names = {"default": "directory", **{f"customer_{n}": f"shard_{n}" for n in range(shards)}}
    for name in names.values():
        postgres.ensure_database(found, name)
    return {alias: found.url(name) for alias, name in names.items()}


def make(found: postgres.Server, names: list[str], *, prepare: str) -> None:
    """These databases, all alike: ``prepare`` is run in the first and the others are copies of it."""
    pattern, *copies = names
    postgres.ensure_database(found, pattern)
    with psycopg.connect(found.url(pattern), autocommit=True) as connection:
        connection.execute(prepare)
    with psycopg.connect(found.url("postgres"), autocommit=True) as connection:
        for name in copies:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(pattern)
                )
            )
