"""Which buckets the rows of a query can be in, read from its WHERE.

The answer is a set that holds the bucket of every row the query can match, or None for "could be anywhere". Each
rule keeps that promise for itself: what is not understood narrows nothing.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models.expressions import Col, ColPairs, Subquery, Value
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.db.models.fields.tuple_lookups import Tuple, TupleExact, TupleIn
from django.db.models.lookups import Exact, In, IntegerFieldExact
from django.db.models.sql import Query
from django.db.models.sql.where import OR, XOR, NothingNode, WhereNode

from sharding import keys

Buckets = frozenset[int]

NOWHERE: Buckets = frozenset()

# Named one by one: a project's own subclass of one of them may mean anything.
EQUALS = frozenset({Exact, IntegerFieldExact, RelatedExact})
CONTAINS = frozenset({In, RelatedIn})


def buckets(query: Query) -> Buckets | None:
    """The buckets of every row that ``query`` can return; None where nothing in it says."""
    if query.combinator:
        return _either([buckets(part) for part in query.combined_queries])
    return _of_node(query.where, query.alias_map)


def inner_query(rhs: Any) -> Query | None:
    """The query that a lookup compares with, bare or as a ``Subquery``; None where it compares with something else."""
    inner = rhs.query if type(rhs) is Subquery else rhs
    return inner if isinstance(inner, Query) else None


def selected_column(inner: Query, bucket_of: keys.BucketOf) -> Col | None:
    """The one column ``inner`` selects, where its values name buckets the way ``bucket_of`` does; else None.

    A value of that column that is not NULL names the bucket of the row of ``inner`` it comes from.
    """
    if inner.combinator or inner.annotation_select or inner.extra_select or len(inner.select) != 1:
        return None
    column = inner.select[0]
    if type(column) is not Col or column.alias not in inner.alias_map:
        return None
    return column if keys.bucket_function(column.target) is bucket_of else None


def _of_node(node: WhereNode, tables: dict[str, Any], when_true: bool = True) -> Buckets | None:
    """The buckets of the rows for which ``node`` is true, or for which it is false (and not unknown)."""
    if node.negated:
        when_true = not when_true
    connector = node.connector
    if connector == XOR:
        if not when_true:
            return None
        connector = OR  # an odd number of them is true, so at least one
    is_any = (connector == OR) == when_true
    if is_any and node.contains_over_clause:
        return None  # filtered after its windows have looked at every row
    found: Buckets | None = NOWHERE if is_any else None
    for child in node.children:
        if isinstance(child, WhereNode):
            part = _of_node(child, tables, when_true)
        else:
            part = _of_leaf(child, tables) if when_true else None
        if part is None:
            if is_any:
                return None
        elif found is None:
            found = part
        else:
            found = found | part if is_any else found & part
    return found


def _either(parts: list[Buckets | None]) -> Buckets | None:
    together = NOWHERE
    for part in parts:
        if part is None:
            return None
        together |= part
    return together


def _of_leaf(leaf: Any, tables: dict[str, Any]) -> Buckets | None:
    kind = type(leaf)
    is_equality = kind in EQUALS
    if is_equality or kind in CONTAINS:
        lhs = leaf.lhs
        if type(lhs) is Col:
            # A column of an enclosing query says nothing about the rows of this one.
            bucket_of = keys.bucket_function(lhs.target) if lhs.alias in tables else None
            if bucket_of is None:
                return None
            rhs = leaf.rhs
            if type(rhs) is int and is_equality:
                return frozenset((bucket_of(rhs),))
            if type(rhs) is list and not is_equality:
                return _of_values(bucket_of, rhs)
            inner = inner_query(rhs)
            if inner is not None:
                return None if selected_column(inner, bucket_of) is None else buckets(inner)
            return _of_values(bucket_of, (rhs,)) if is_equality else None
        return _of_tuples(lhs, leaf.rhs, tables, is_equality=is_equality) if isinstance(lhs, ColPairs) else None
    if kind is TupleExact or kind is TupleIn:
        return _of_tuples(leaf.lhs, leaf.rhs, tables, is_equality=kind is TupleExact)
    return NOWHERE if kind is NothingNode else None


def _of_values(bucket_of: keys.BucketOf, values: Any) -> Buckets | None:
    found = set()
    for value in values:
        if type(value) is not int:
            if value is None:
                continue  # equals nothing
            if not (type(value) is Value and type(value.value) is int):
                return None
            value = value.value
        found.add(bucket_of(value))
    return frozenset(found)


def _of_tuples(lhs: Any, rhs: Any, tables: dict[str, Any], *, is_equality: bool) -> Buckets | None:
    """``(a, b) = (1, 2)`` and ``(a, b) IN (…)``: composite keys, and how Django prefetches a foreign key's targets."""
    if not isinstance(rhs, list | tuple):
        return None
    columns = lhs.get_cols() if isinstance(lhs, ColPairs) else list(lhs) if isinstance(lhs, Tuple) else []
    rows = (rhs,) if is_equality else rhs
    for position, column in enumerate(columns):
        if type(column) is Col and column.alias in tables:
            bucket_of = keys.bucket_function(column.target)
            if bucket_of is not None:
                return _of_values(bucket_of, _prepared(column, rows, position))
    return None


def _prepared(column: Col, rows: Any, position: int) -> Iterator[Any]:
    """The values of one column, as they will be sent: tuples are prepared only when they become SQL."""
    for row in rows:
        value = row[position] if isinstance(row, tuple | list) else row
        yield value if hasattr(value, "resolve_expression") else column.target.get_prep_value(value)
