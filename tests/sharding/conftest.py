from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connections

import sharding

ONE, SAME_SHARD, OTHER = 7, 1007, 9007
"""Customers: the first two in different buckets of the first shard, the third on the last shard."""


@contextmanager
def _asked() -> Iterator[list[str]]:
    aliases: list[str] = []

    def note(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK TO")):
            aliases.append(context["connection"].alias)
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in sharding.all_aliases():
            stack.enter_context(connections[alias].execute_wrapper(note))
        yield aliases


@pytest.fixture
def asked() -> Callable[[], object]:
    """``with asked() as aliases:`` lists the database of every statement, in order."""
    return _asked


@pytest.fixture
def first() -> str:
    return sharding.alias_for("customer", ONE)


@pytest.fixture
def last() -> str:
    return sharding.alias_for("customer", OTHER)
