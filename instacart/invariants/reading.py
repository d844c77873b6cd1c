"""Rows of all databases, asked for in SQL."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connections

import sharding


class Row:
    """A row by its columns' names."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.__dict__.update(columns)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def rows(keyspace: str, statement: str, parameters: Sequence[datetime] = ()) -> Iterator[dict[str, Any]]:
    """Answers of every database of the keyspace (``*``: of every database), each with its ``alias``."""
    everywhere = {"*": sharding.all_aliases(), "default": ("default",)}
    for alias in everywhere.get(keyspace) or sharding.aliases(keyspace):
        yield from asked(alias, statement, parameters)


def asked(alias: str, statement: str, parameters: Sequence[datetime] = ()) -> Iterator[dict[str, Any]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description]
        rows = cursor.fetchall()
    for row in rows:
        yield {"alias": alias, **dict(zip(names, row, strict=True))}
