"""Which shards a query can find rows on, read from its WHERE when it runs.

The answer is a set of buckets that holds every row the query can match, or None for "could be anywhere".
Each rule below keeps that promise for itself: what is negated, or not understood, narrows nothing.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db.models import Model
from django.db.models.expressions import Col, ColPairs, Value
from django.db.models.lookups import Exact, In
from django.db.models.sql import Query
from django.db.models.sql.where import AND, OR, NothingNode, WhereNode

from sharding import colocation, keys, topology
from sharding.errors import UnroutableQuery

Buckets = frozenset[int]

NOWHERE: Buckets = frozenset()


class Route(NamedTuple):
    """Where a query runs, at one moment of the map."""

    keyspace: topology.Keyspace
    aliases: tuple[str, ...]
    """At least one."""


def aliases(model: type[Model], query: Query) -> tuple[str, ...]:
    """The databases of ``route``."""
    return route(model, query).aliases


def route(model: type[Model], query: Query, *, everywhere: bool = False) -> Route:
    """The databases this query has to run on: those that it names, or all of the keyspace where it may go everywhere.

    Raises ``UnroutableQuery`` when it names none and may not, and ``CrossShardQuery`` when it joins, or looks into,
    rows that may live elsewhere.
    """
    found = buckets(query)
    declared: keys.ShardKey = model.sharding  # type: ignore[attr-defined]
    keyspace = topology.keyspace(declared.keyspace)
    if found is None and not everywhere:
        raise UnroutableQuery(_unroutable(model, declared))
    if found is None:
        run_on = keyspace.aliases
    elif len(found) == 1:
        (bucket,) = found
        run_on = (keyspace.alias_of[bucket],)
    else:
        # Nothing can match an empty set, which any shard can say.
        run_on = tuple(sorted({keyspace.alias_of[bucket] for bucket in found})) or keyspace.aliases[:1]
    if not _is_plain(query):
        colocation.check(query, keyspace, run_on)
    return Route(keyspace, run_on)


def buckets(query: Query) -> Buckets | None:
    """The buckets of every row that ``query`` can return; None where nothing in it says."""
    if query.combinator:
        return _either([buckets(part) for part in query.combined_queries])
    return _of_node(query.where, query.alias_map)


def _of_node(node: WhereNode, alias_map: dict[str, Any]) -> Buckets | None:
    if node.negated:
        return None
    children = node.children
    if node.connector == AND:
        found: Buckets | None = None
        for child in children:
            part = _of_node(child, alias_map) if isinstance(child, WhereNode) else _of_leaf(child, alias_map)
            if part is not None:
                found = part if found is None else found & part
        return found
    if node.connector == OR:
        return _either(
            [_of_node(c, alias_map) if isinstance(c, WhereNode) else _of_leaf(c, alias_map) for c in children]
        )
    return None


def _either(parts: list[Buckets | None]) -> Buckets | None:
    together = NOWHERE
    for part in parts:
        if part is None:
            return None
        together |= part
    return together


def _of_leaf(leaf: Any, alias_map: dict[str, Any]) -> Buckets | None:
    lhs = getattr(leaf, "lhs", None)
    if type(lhs) is Col:
        # A column of an enclosing query says nothing about the rows of this one.
        bucket_of = keys.bucket_function(lhs.target) if lhs.alias in alias_map else None
        if bucket_of is None:
            return None
        rhs = leaf.rhs
        if isinstance(leaf, Exact):
            return _of_values(bucket_of, (rhs,))
        if isinstance(leaf, In):
            if isinstance(rhs, Query):
                return buckets(rhs) if colocation.selects(rhs, bucket_of) else None
            return _of_values(bucket_of, rhs) if leaf.rhs_is_direct_value() else None
        return None
    if isinstance(leaf, NothingNode):
        return NOWHERE
    if isinstance(leaf, Exact | In) and leaf.rhs_is_direct_value():
        rows = (leaf.rhs,) if isinstance(leaf, Exact) else leaf.rhs
        return _of_tuples(lhs, rows, alias_map)
    return None


def _of_values(bucket_of: keys.BucketOf, values: Any) -> Buckets | None:
    found = set()
    for value in values:
        if type(value) is not int:
            if value is None:
                continue  # equals nothing
            if not (isinstance(value, Value) and type(value.value) is int):
                return None
            value = value.value
        found.add(bucket_of(value))
    return frozenset(found)


def _of_tuples(lhs: Any, rows: Any, alias_map: dict[str, Any]) -> Buckets | None:
    """``(a, b) = (1, 2)`` and ``(a, b) IN (…)``: composite keys, and how Django prefetches a foreign key's targets."""
    if isinstance(lhs, ColPairs):
        columns = lhs.get_cols()
    elif hasattr(lhs, "__iter__"):
        columns = list(lhs)
    else:
        return None
    for position, column in enumerate(columns):
        if type(column) is Col and column.alias in alias_map:
            bucket_of = keys.bucket_function(column.target)
            if bucket_of is not None:
                return _of_values(bucket_of, _column(rows, position))
    return None


def _column(rows: Any, position: int) -> Iterator[Any]:
    for row in rows:
        yield row[position] if isinstance(row, tuple | list) else row


def _is_plain(query: Query) -> bool:
    """Whether the query is one table and plain comparisons, so that nothing in it could look elsewhere."""
    return (
        _is_one_table(query)
        and not query.annotations
        and not query.combinator
        and all(type(term) is str for term in query.order_by)
        and not query.extra_tables
        and all(_is_plain_leaf(child) for child in query.where.children)
    )


def _is_one_table(query: Query) -> bool:
    # Filtering by a foreign key's own column leaves the other table behind, unused.
    return len(query.alias_map) <= 1 or sum(map(bool, query.alias_refcount.values())) <= 1


def _is_plain_leaf(leaf: Any) -> bool:
    rhs = getattr(leaf, "rhs", leaf)
    if type(rhs) is int or type(rhs) is str:
        return type(leaf.lhs) is Col
    return type(rhs) is list and type(leaf.lhs) is Col and all(type(value) is int for value in rhs)


def _unroutable(model: type[Model], declared: keys.ShardKey) -> str:
    return (
        f"{model._meta.label}: nothing in this query names a shard; filter by {declared.field}=…, by pk=… or by a "
        "reference to a row of the same key, or say .scatter() to ask every shard, or .using(alias)"
    )
