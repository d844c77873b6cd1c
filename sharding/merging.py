"""Reading one query from several shards, as if it had been one: same rows, same order, same limits, or refused."""

import heapq
from collections.abc import Callable, Iterator
from functools import cmp_to_key
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Field
from django.db.models.query import FlatValuesListIterable, ModelIterable, ValuesIterable

from sharding.errors import CrossShardQuery

Term = tuple[str, bool]
"""A column to sort by, and whether it is descending."""

SORTS_ALIKE = (
    models.IntegerField,
    models.DecimalField,
    models.FloatField,
    models.DateField,
    models.TimeField,
    models.DurationField,
    models.BooleanField,
    models.UUIDField,
)
"""Columns that Python sorts as PostgreSQL does. Text is not among them: its order is the database's collation."""


def rows(queryset: Any, aliases: tuple[str, ...], *, chunk_size: int | None = None) -> Iterator[Any]:
    """The rows of ``queryset`` from all of ``aliases``, one query each, in its order and within its limits."""
    _refuse_unmergeable(queryset, aliases)
    query = queryset.query
    low, high = query.low_mark, query.high_mark
    terms = _terms(queryset, aliases)
    parts = [_part(queryset, alias) for alias in aliases]
    streams = [part if chunk_size is None else part.iterator(chunk_size) for part in parts]
    merged = heapq.merge(*streams, key=_sort_key(queryset, terms)) if terms else _one_after_another(streams)
    for position, row in enumerate(merged):
        if high is not None and position >= high:
            return
        if position >= low:
            yield row


def count(queryset: Any, aliases: tuple[str, ...]) -> int:
    """How many rows ``rows`` would yield."""
    _refuse_unmergeable(queryset, aliases)
    query = queryset.query
    total: int = sum(_part(queryset, alias).count() for alias in aliases)
    if query.high_mark is not None:
        total = min(total, int(query.high_mark))
    return max(0, total - int(query.low_mark))


def _one_after_another(streams: list[Any]) -> Iterator[Any]:
    for stream in streams:
        yield from stream


def _part(queryset: Any, alias: str) -> Any:
    part = queryset._chain()
    part._db = alias
    part._prefetch_related_lookups = ()
    part.query.low_mark = 0  # each shard gives what could be among the first ``high`` of all
    return part


def _refuse_unmergeable(queryset: Any, aliases: tuple[str, ...]) -> None:
    query = queryset.query
    reason = None
    if query.combinator:
        reason = "union, intersection or difference"
    elif isinstance(query.group_by, tuple):
        reason = "GROUP BY"
    elif query.distinct_fields or (query.distinct and queryset._fields is not None):
        reason = "distinct values"
    elif query.select_for_update:
        reason = "select_for_update"
    elif any(getattr(annotation, "contains_over_clause", False) for annotation in query.annotations.values()):
        reason = "a window function"
    if reason:
        raise CrossShardQuery(
            f"{queryset.model._meta.label}: {reason} over {', '.join(aliases)} cannot be merged; name one key, or ask "
            "each with .using(alias)"
        )


def _terms(queryset: Any, aliases: tuple[str, ...]) -> list[Term]:
    query = queryset.query
    if query.extra_order_by:
        raise _unsortable(queryset, aliases, "extra(order_by)")
    ordering = query.order_by or (queryset.model._meta.ordering if query.default_ordering else ())
    terms = []
    for entry in ordering:
        if not isinstance(entry, str):
            raise _unsortable(queryset, aliases, entry)
        name = entry.removeprefix("-")
        terms.append((_column(queryset, aliases, name), entry.startswith("-") == query.standard_ordering))
    return terms


def _column(queryset: Any, aliases: tuple[str, ...], name: str) -> str:
    """The attribute or value name of something that can be sorted by; raises where Python's order could differ."""
    query = queryset.query
    if name in query.annotations:
        if isinstance(query.annotations[name].output_field, SORTS_ALIKE):
            return name
        raise _unsortable(queryset, aliases, name)
    options = queryset.model._meta
    try:
        field = options.pk if name == "pk" else options.get_field(name)
    except FieldDoesNotExist:
        raise _unsortable(queryset, aliases, name) from None
    kind = field
    if isinstance(field, models.ForeignKey):
        if name != field.attname:  # by the reference itself means: by the other table's own ordering
            raise _unsortable(queryset, aliases, name)
        kind = field.target_field
    if not isinstance(kind, SORTS_ALIKE) or hasattr(kind, "from_db_value"):
        raise _unsortable(queryset, aliases, name)
    assert isinstance(field, Field)  # noqa: S101
    return field.attname


def _unsortable(queryset: Any, aliases: tuple[str, ...], what: Any) -> CrossShardQuery:
    return CrossShardQuery(
        f"{queryset.model._meta.label}: {', '.join(aliases)} cannot be merged in the order of {what!r}; order by "
        "columns of the table itself that hold numbers or times, or sort in Python"
    )


def _sort_key(queryset: Any, terms: list[Term]) -> Callable[[Any], Any]:
    values = _reader(queryset, [name for name, _ in terms])
    descending = [is_descending for _, is_descending in terms]

    def compare(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
        for a, b, backwards in zip(one, other, descending, strict=True):
            if a != b and not (_is_nan(a) and _is_nan(b)):
                smaller = _precedes(a, b)
                return -1 if smaller != backwards else 1
        return 0

    comparable = cmp_to_key(compare)
    return lambda row: comparable(values(row))


def _precedes(a: Any, b: Any) -> bool:
    """PostgreSQL's ascending order: NaN after every number, NULL after everything."""
    if a is None or b is None:
        return b is None
    if _is_nan(a) or _is_nan(b):
        return _is_nan(b)
    return bool(a < b)


def _is_nan(value: Any) -> bool:
    return bool(value != value)


def _reader(queryset: Any, names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads the sorted columns of a row, in whatever shape the queryset gives its rows."""
    shape = queryset._iterable_class
    if issubclass(shape, ModelIterable):

        def values(row: Any) -> tuple[Any, ...]:
            try:
                return tuple(row.__dict__[name] for name in names)
            except KeyError as missing:
                raise _missing(queryset, missing.args[0]) from None

        return values
    query = queryset.query
    selected = [*query.extra_select, *query.values_select, *query.annotation_select]
    for name in names:
        if name not in selected:
            raise _missing(queryset, name)
    if issubclass(shape, ValuesIterable):
        return lambda row: tuple(row[name] for name in names)
    if issubclass(shape, FlatValuesListIterable):
        return lambda row: (row,) * len(names)
    if query.selected is not None:
        selected = list(query.selected)
    positions = [selected.index(name) for name in names]
    return lambda row: tuple(row[position] for position in positions)


def _missing(queryset: Any, name: str) -> CrossShardQuery:
    return CrossShardQuery(
        f"{queryset.model._meta.label}: to merge in the order of {name!r}, select that column as well"
    )
