"""Refuses a query whose joins or subqueries could reach rows that live on another shard.

The database would not notice: it would join with, or count, the rows it happens to have. Allowed is what
ties every row it looks at to the row it looks from, by a column that names the bucket.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import F
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql import Query
from django.db.models.sql.constants import INNER
from django.db.models.sql.where import AND, WhereNode

from sharding import keys, routing, topology
from sharding.errors import CrossShardQuery


def check(query: Query, keyspace: topology.Keyspace, run_on: tuple[str, ...]) -> None:
    """Raise ``CrossShardQuery`` where ``query``, run on the databases ``run_on``, could miss a row of another one."""
    for part in query.combined_queries:
        _check_model(part, keyspace)
        check(part, keyspace, run_on)
    for alias, join in query.alias_map.items():
        if query.alias_refcount.get(alias):
            _check_join(join)
    for expression in _expressions(query):
        for inner, lookup in subqueries(expression):
            _check_subquery(inner, lookup, keyspace, run_on)


def selects(inner: Query, bucket_of: keys.BucketOf) -> bool:
    """Whether ``inner`` yields a column that names buckets the way ``bucket_of`` does, row by row and never NULL.

    Then ``x IN (inner)`` looks, for each row, only at inner rows of the same bucket.
    """
    if inner.combinator or inner.is_sliced or inner.distinct_fields or inner.annotation_select or inner.extra_select:
        return False
    if len(inner.select) != 1 or type(inner.select[0]) is not Col:
        return False
    column = inner.select[0]
    join = inner.alias_map.get(column.alias)
    if join is None or column.target.null or keys.bucket_function(column.target) is not bucket_of:
        return False
    return getattr(join, "join_type", None) in (None, INNER)


def subqueries(expression: Any) -> Iterator[tuple[Query, Any]]:
    """Each query nested in ``expression``, but none within those, and the ``In`` it is an operand of, if any."""
    waiting: list[tuple[Any, Any]] = [(expression, None)]
    while waiting:
        part, lookup = waiting.pop()
        if isinstance(part, Query):
            yield part, lookup
            continue
        if isinstance(part, list | tuple | set | frozenset):
            waiting.extend((item, None) for item in part)
            continue
        operand_of = part if isinstance(part, In) else None
        if hasattr(part, "get_source_expressions"):
            waiting.extend((source, operand_of) for source in part.get_source_expressions() if source is not None)
        rhs = getattr(part, "rhs", None)
        if isinstance(rhs, list | tuple):
            waiting.append((rhs, None))


def _expressions(query: Query) -> Iterator[Any]:
    yield query.where
    yield from query.annotations.values()
    yield from query.order_by
    yield from query.distinct_fields
    if isinstance(query.group_by, tuple):
        yield from query.group_by
    for join in query.alias_map.values():
        relation = getattr(join, "filtered_relation", None)
        if relation is not None:
            yield relation.resolved_condition or relation.condition


def _check_model(inner: Query, keyspace: topology.Keyspace) -> str:
    label = inner.model._meta.label if inner.model is not None else "raw SQL"
    declared = keys.shard_key(inner.model) if inner.model is not None else None
    if declared is None or declared.keyspace != keyspace.name:
        raise CrossShardQuery(
            f"{label} is not in keyspace {keyspace.name}; fetch its ids first and filter by the list of them"
        )
    return label


def _check_join(join: Any) -> None:
    field = getattr(join, "join_field", None)
    if field is None:
        return  # the table the query starts from
    held_by = getattr(field, "field", None) or field
    if not keys.is_colocated_reference(held_by):
        raise CrossShardQuery(
            f"the join over {held_by} may leave the shard; make it a ShardForeignKey within the keyspace, or fetch the "
            "ids first"
        )


def _check_subquery(inner: Query, lookup: Any, keyspace: topology.Keyspace, run_on: tuple[str, ...]) -> None:
    label = _check_model(inner, keyspace)
    if not (_is_tied_by_in(inner, lookup) or _is_correlated(inner) or _runs_only_on(inner, keyspace, run_on)):
        raise CrossShardQuery(
            f"the subquery over {label} may have rows on other shards; tie it to the outer row by "
            "its key (OuterRef), add the same key to its filter, or fetch the ids first"
        )
    check(inner, keyspace, run_on)


def _is_tied_by_in(inner: Query, lookup: Any) -> bool:
    if not isinstance(lookup, In) or lookup.rhs is not inner or type(lookup.lhs) is not Col:
        return False
    bucket_of = keys.bucket_function(lookup.lhs.target)
    return bucket_of is not None and selects(inner, bucket_of)


def _is_correlated(inner: Query) -> bool:
    return not inner.combinator and _ties(inner.where, inner)


def _ties(node: WhereNode, inner: Query) -> bool:
    """Whether every matching row has ``its bucket column = the enclosing row's bucket column``."""
    if node.negated or node.connector != AND:
        return False
    return any(
        _ties(child, inner) if isinstance(child, WhereNode) else _ties_leaf(child, inner) for child in node.children
    )


def _ties_leaf(leaf: Any, inner: Query) -> bool:
    if not isinstance(leaf, Exact) or type(leaf.lhs) is not Col or type(leaf.rhs) is not Col:
        return False
    if (leaf.lhs.alias in inner.alias_map) == (leaf.rhs.alias in inner.alias_map):
        return False
    here = keys.bucket_function(leaf.lhs.target)
    return here is not None and here is keys.bucket_function(leaf.rhs.target)


def _runs_only_on(inner: Query, keyspace: topology.Keyspace, run_on: tuple[str, ...]) -> bool:
    if len(run_on) != 1:
        return False
    explicit = getattr(inner, "_db", None)
    if explicit is not None:
        return bool(explicit == run_on[0])
    found = routing.buckets(inner)
    return found is not None and {keyspace.alias_of[bucket] for bucket in found} <= set(run_on)


def looks_elsewhere(value: Any) -> bool:
    """Whether an expression given to ``update`` or ``aggregate`` holds a subquery, and so needs checking."""
    if not hasattr(value, "get_source_expressions") or isinstance(value, F):
        return False
    return next(subqueries(value), None) is not None
