"""Refuses a query that could reach rows of another shard by a join, a subquery or SQL text.

The database would not notice: it would join with, or count, the rows it happens to have. Allowed is what ties every
row it looks at to the row it looks from, by a column that names the bucket.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import Col, ColPairs, DatabaseDefault, RawSQL, Star, Subquery, Value, Window
from django.db.models.fields.tuple_lookups import TupleExact
from django.db.models.lookups import In
from django.db.models.sql import Query, UpdateQuery
from django.db.models.sql.constants import INNER
from django.db.models.sql.where import AND, XOR, ExtraWhere, WhereNode

from sharding import keys, narrowing, topology
from sharding.errors import CrossShardQuery

RunOn = tuple[str, ...]
"""The databases that a query is going to run on."""

_COLUMN = re.compile(r'"(?P<table>[^"]+)"\."[^"]+"')


def is_plain(query: Any) -> bool:
    """Whether the query is one table and plain comparisons, so that nothing in it could look elsewhere."""
    if query.annotations or query.combinator or query.extra or query.extra_tables or query.extra_order_by:
        return False
    if len(query.alias_map) > 1 and sum(map(bool, query.alias_refcount.values())) > 1:
        return False  # (filtering by a foreign key's own column leaves the other table behind, unused)
    for leaf in query.where.children:
        rhs = getattr(leaf, "rhs", leaf)
        kind = type(rhs)
        if not (kind is int or kind is str or (kind is list and all(type(value) is int for value in rhs))):
            return False
        if type(leaf.lhs) is not Col:
            return False
    return _shows_everything(query)


def check(query: Query, keyspace: topology.Keyspace, run_on: RunOn) -> None:
    """Raise ``CrossShardQuery`` where ``query``, run on ``run_on``, could miss a row of another database."""
    _refuse_text(query)
    for part in query.combined_queries:
        _label_in(part, keyspace)
        check(part, keyspace, run_on)
    if query.combinator:
        _check_expressions(query, _ordering(query), keyspace, run_on)  # can only name selected columns
    elif not _shows_everything(query):
        _check_compiled(query, keyspace, run_on)
    _check_joins(query)
    _check_expressions(query, _expressions(query), keyspace, run_on)


def check_update(query: Query, values: Mapping[str, Any], keyspace: topology.Keyspace, run_on: RunOn) -> None:
    """``check`` for what ``update`` is given."""
    if not all(map(_is_plain_value, values.values())):
        _keep_iterators(values.values())
        probe: Any = query.chain(UpdateQuery)
        probe.add_update_values(dict(values))
        _check_expressions(probe, (value for _, _, value in probe.values), keyspace, run_on)


def check_aggregates(query: Query, aggregates: Mapping[str, Any], keyspace: topology.Keyspace, run_on: RunOn) -> None:
    """``check`` for what ``aggregate`` is given, by the name each is to have."""
    if all(map(_is_plain_aggregate, aggregates.values())):
        return
    _keep_iterators(aggregates.values())
    probe = query.chain()
    for name, aggregate in aggregates.items():
        resolved = aggregate.resolve_expression(probe, allow_joins=True, reuse=None, summarize=True)
        probe.append_annotation_mask([name])
        probe.annotations[name] = resolved
    check(probe, keyspace, run_on)


def check_row(row: Model, alias: str, names: Iterable[str] | None = None) -> None:
    """``check`` for a row to be saved on ``alias`` whose columns, or those in ``names``, may be set to expressions."""
    held = row.__dict__
    if all(map(_is_plain_value, held.values())):
        return
    values = [
        (field, None, held[field.attname])
        for field in row._meta.concrete_fields
        if names is None or not {field.name, field.attname}.isdisjoint(names)
        if not _is_plain_value(held.get(field.attname))
    ]
    _keep_iterators(value for _, _, value in values)
    keyspace = topology.keyspace(keys.layout(type(row)).keyspace)
    probe: Any = UpdateQuery(type(row))
    probe.add_update_fields(values)
    _check_expressions(probe, (value for _, _, value in probe.values), keyspace, (alias,))


# What a query consists of.


def _is_plain_value(value: Any) -> bool:
    return not hasattr(value, "resolve_expression") or isinstance(value, F | Value | DatabaseDefault)


def _is_plain_aggregate(aggregate: Any) -> bool:
    if getattr(aggregate, "filter", None) is not None or getattr(aggregate, "default", None) is not None:
        return False
    sources = getattr(aggregate, "source_expressions", None)
    return sources is not None and all(map(_is_local, sources))


def _is_local(source: Any) -> bool:
    return isinstance(source, Star) or (type(source) is F and "__" not in source.name)  # type: ignore[attr-defined]


def _shows_everything(query: Any) -> bool:
    """Whether making SQL adds no join and no expression that the query does not hold yet."""
    if query.distinct_fields or (query.select_related and query._filtered_relations):
        return False
    ordering = query.order_by or (query.default_ordering and query.model._meta.ordering)
    if not ordering:
        return True
    local = _local_columns(query.model)
    return all(
        type(term) is str and (term.lstrip("-") in local or term.lstrip("-") in query.annotations) for term in ordering
    )


@cache
def _local_columns(model: type[Model]) -> frozenset[str]:
    """What rows can be ordered by without another table; the name of a reference means the order of its target."""
    fields = model._meta.concrete_fields
    return frozenset({"pk", "?"} | {f.name for f in fields if not f.is_relation} | {f.attname for f in fields})


def _ordering(query: Query) -> Iterable[Any]:
    return query.order_by or (query.get_meta().ordering if query.default_ordering else None) or ()


def _expressions(query: Query) -> Iterator[Any]:
    yield query.where
    yield from query.annotations.values()
    if isinstance(query.group_by, tuple):
        yield from query.group_by
    for join in query.alias_map.values():
        relation = getattr(join, "filtered_relation", None)
        if relation is not None:
            yield relation.resolved_condition or relation.condition


def _check_compiled(query: Query, keyspace: topology.Keyspace, run_on: RunOn) -> None:
    """Orderings, DISTINCT ON and selected relations become joins and expressions only when SQL is made."""
    _keep_iterators(_ordering(query))
    compiler = query.clone().get_compiler(run_on[0])
    try:
        _, order_by, _ = compiler.pre_sql_setup()
        compiler.get_distinct()
    except EmptyResultSet:
        return  # nothing will be asked
    _check_joins(compiler.query)
    _check_expressions(compiler.query, _expressions(compiler.query), keyspace, run_on)
    _check_expressions(compiler.query, (term for term, _ in order_by), keyspace, run_on)


def _keep_iterators(expressions: Iterable[Any]) -> None:
    """Put lists in the place of what can be gone through once: resolving for a look must not use up the values."""
    waiting = list(expressions)
    while waiting:
        part = waiting.pop()
        if isinstance(part, Q):
            for position, child in enumerate(part.children):
                if isinstance(child, tuple) and isinstance(child[1], Iterator):
                    part.children[position] = (child[0], list(child[1]))
            waiting.extend(child[1] if isinstance(child, tuple) else child for child in part.children)
        elif hasattr(part, "get_source_expressions"):
            waiting.extend(part.get_source_expressions())


# What is refused.


def _refuse_text(query: Any) -> None:
    for text, params in query.extra.values():
        column = _COLUMN.fullmatch(text)  # as Django itself selects one of a joined table, to prefetch many-to-many
        if params or column is None or column["table"] not in query.alias_map:
            raise _text(text)
    if query.extra_tables or query.extra_order_by:
        raise _text(", ".join([*query.extra_tables, *query.extra_order_by]))


def _text(text: str) -> CrossShardQuery:
    return CrossShardQuery(
        f"nothing is known about what the SQL text {text!r} looks at; use expressions, or name the database with "
        ".using(alias)"
    )


def _label_in(inner: Query, keyspace: topology.Keyspace) -> str:
    label = inner.model._meta.label if inner.model is not None else "raw SQL"
    declared = keys.shard_key(inner.model) if inner.model is not None else None
    if declared is None or declared.keyspace != keyspace.name:
        raise CrossShardQuery(
            f"{label} is not in keyspace {keyspace.name}; fetch its ids first and filter by the list of them"
        )
    return label


def _check_joins(query: Query) -> None:
    for alias, join in query.alias_map.items():
        field = getattr(join, "join_field", None)
        if field is None or not query.alias_refcount.get(alias):
            continue  # the table the query starts from, or one it no longer needs
        held_by = getattr(field, "field", None) or field
        if not keys.is_colocated_reference(held_by):
            raise CrossShardQuery(
                f"the join over {held_by} may leave the shard; make it a ShardForeignKey within the keyspace, or fetch "
                "the ids first"
            )


def _check_expressions(query: Query, expressions: Iterable[Any], keyspace: topology.Keyspace, run_on: RunOn) -> None:
    waiting = [_Part(expression, only_truth=expression is query.where) for expression in expressions]
    while waiting:
        part = waiting.pop()
        found = part.expression.query if isinstance(part.expression, QuerySet) else part.expression
        if isinstance(found, Query):
            _check_subquery(query, found, part, keyspace, run_on)
        elif isinstance(found, RawSQL | ExtraWhere):
            raise _text(found.sql if isinstance(found, RawSQL) else " AND ".join(found.sqls))
        elif isinstance(found, list | tuple | set | frozenset):
            waiting.extend(map(_Part, found))
        else:
            if isinstance(found, Window) and len(run_on) > 1 and not _is_partitioned(found, query):
                raise CrossShardQuery(
                    f"a window over {', '.join(run_on)} would see the rows of one at a time; partition it by the key, "
                    "name one key, or ask each with .using(alias)"
                )
            waiting.extend(_within(part))


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a query, and where in it that piece stands."""

    expression: Any
    compared_by: In | None = None
    """The ``… IN (…)`` whose right side it is."""
    only_truth: bool = False
    """Whether being false and being unknown come to the same there: it is a filter, and nothing negates it."""


def subqueries(query: Query) -> Iterator[Query]:
    """Every query that is nested in ``query``, but none within those."""
    waiting = [_Part(expression) for expression in _expressions(query)]
    while waiting:
        part = waiting.pop()
        found = part.expression.query if isinstance(part.expression, QuerySet) else part.expression
        if isinstance(found, Query):
            yield found
        elif isinstance(found, list | tuple | set | frozenset):
            waiting.extend(map(_Part, found))
        else:
            waiting.extend(_within(part))


def _within(part: _Part) -> Iterator[_Part]:
    found = part.expression
    if isinstance(found, WhereNode):
        filters = part.only_truth and not found.negated and found.connector != XOR
        yield from (_Part(child, only_truth=filters) for child in found.children)
    elif hasattr(found, "get_source_expressions"):
        compared_by = (
            found if type(found) in narrowing.CONTAINS else part.compared_by if type(found) is Subquery else None
        )
        for source in found.get_source_expressions():
            if source is not None:
                yield _Part(source, compared_by, only_truth=part.only_truth and compared_by is not None)
    elif hasattr(found, "children"):  # a Q that nobody has resolved
        yield from map(_Part, found.children)
    rhs = getattr(found, "rhs", None)
    if isinstance(rhs, list | tuple):
        yield _Part(rhs)


def _is_partitioned(window: Window, query: Query) -> bool:
    """Whether rows that share a partition share a bucket."""
    by: Any = window.partition_by
    return by is not None and any(_names_bucket(column, query) for column in by.get_source_expressions())


def _names_bucket(column: Any, query: Query) -> bool:
    """Whether it is a column of a table of ``query`` that names a bucket and is never NULL."""
    if type(column) is not Col or column.alias not in query.alias_map or column.target.null:
        return False
    is_always_there = getattr(query.alias_map[column.alias], "join_type", None) in (None, INNER)
    return is_always_there and keys.bucket_function(column.target) is not None


def _check_subquery(query: Query, inner: Query, part: _Part, keyspace: topology.Keyspace, run_on: RunOn) -> None:
    label = _label_in(inner, keyspace)
    if not (_is_tied_by_in(query, inner, part) or _is_correlated(inner) or _runs_only_on(inner, keyspace, run_on)):
        raise CrossShardQuery(
            f"the subquery over {label} may have rows on other shards; tie it to the outer row by "
            "its key (OuterRef), add the same key to its filter, or fetch the ids first"
        )
    check(inner, keyspace, run_on)


def _is_tied_by_in(query: Query, inner: Query, part: _Part) -> bool:
    """Whether it is ``x IN (inner)`` and looks, for each row, only at inner rows of the same bucket.

    Where it matters whether that is false or unknown, none of the values may be NULL: one anywhere, and
    ``x NOT IN (…)`` is true for no row at all.
    """
    lookup: Any = part.compared_by
    if query.where.contains_over_clause:
        return False  # Django may compare after the windows, with what it then takes for one value
    if lookup is None or narrowing.inner_query(lookup.rhs) is not inner or type(lookup.lhs) is not Col:
        return False
    bucket_of = keys.bucket_function(lookup.lhs.target)
    column = None if bucket_of is None else narrowing.selected_column(inner, bucket_of)
    picks_rows = inner.is_sliced or inner.distinct_fields or inner.where.contains_over_clause
    return column is not None and not picks_rows and (part.only_truth or _names_bucket(column, inner))


def _is_correlated(inner: Query) -> bool:
    if inner.combinator:
        return all(map(_is_correlated, inner.combined_queries))
    return _ties(inner.where, inner)


def _ties(node: WhereNode, inner: Query) -> bool:
    """Whether every matching row has ``its bucket column = the enclosing row's bucket column``."""
    if node.negated or node.connector != AND:
        return False
    return any(
        _ties(child, inner) if isinstance(child, WhereNode) else _ties_leaf(child, inner) for child in node.children
    )


def _ties_leaf(leaf: Any, inner: Query) -> bool:
    kind = type(leaf)
    if kind is TupleExact and isinstance(leaf.lhs, ColPairs) and isinstance(leaf.rhs, ColPairs):
        return any(_are_tied(*pair, inner) for pair in zip(leaf.lhs, leaf.rhs, strict=True))
    return kind in narrowing.EQUALS and _are_tied(leaf.lhs, leaf.rhs, inner)


def _are_tied(one: Any, other: Any, inner: Query) -> bool:
    if type(one) is not Col or type(other) is not Col:
        return False
    if (one.alias in inner.alias_map) == (other.alias in inner.alias_map):
        return False
    here = keys.bucket_function(one.target)
    return here is not None and here is keys.bucket_function(other.target)


def _runs_only_on(inner: Query, keyspace: topology.Keyspace, run_on: RunOn) -> bool:
    if len(run_on) != 1:
        return False
    explicit = getattr(inner, "_db", None)
    if explicit is not None:
        return bool(explicit == run_on[0])
    found = narrowing.buckets(inner)
    return found is not None and {keyspace.alias_of[bucket] for bucket in found} <= set(run_on)
