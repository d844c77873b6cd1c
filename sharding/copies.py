"""Leaves out rows that a database holds and does not own: on their way in, or moved away and still there."""

from typing import Any, TypeVar

from django.db.models import Func, IntegerField, Manager, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.lookups import Range
from django.db.models.sql import Query
from django.db.models.sql.where import AND, OR, NothingNode, WhereNode

from sharding import keys, topology
from sharding.ids import BUCKET_MASK, BUCKET_SHIFT, BUCKETS, bucket_of_id

Ranges = tuple[tuple[int, int], ...]
Row = TypeVar("Row", bound=Model)


class _BucketOfId(Func):
    template = f"((%(expressions)s >> {BUCKET_SHIFT}) & {BUCKET_MASK})"
    output_field = IntegerField()


class _BucketOfKey(Func):
    template = f"(%(expressions)s %%%% {BUCKETS})"  # doubled again: the statement has parameters
    output_field = IntegerField()


def owned(queryset: "QuerySet[Row] | Manager[Row]", alias: str) -> QuerySet[Row]:
    """``queryset.using(alias)``, less the rows of buckets that ``alias`` does not own as the map is now.

    For whatever goes through every database by itself: without it, a row that a move has copied is met twice. Changes
    nothing while no move is under way, nor for models that are not split. A slice is cut from what is left.
    """
    pinned = queryset.using(alias)
    declared = keys.shard_key(queryset.model)
    ranges = topology.keyspace(declared.keyspace).only(alias) if declared is not None else None
    if ranges is not None:
        narrow(pinned.query, ranges)
    return pinned


def narrow(query: Query, ranges: Ranges) -> None:
    """Let ``query`` see rows of these buckets only. Rows it joins with, or looks up by them, share their buckets."""
    for part in query.combined_queries:
        narrow(part, ranges)
    if not query.combinator:
        query.where.add(_within(query, ranges), AND)


def _within(query: Query, ranges: Ranges) -> Any:
    if not ranges:
        return NothingNode()
    bucket: Any = _bucket(query.model, str(query.get_initial_alias()))  # type: ignore[arg-type]
    children: list[Any] = [Range(bucket, found) for found in ranges]
    return WhereNode(children, connector=OR)


def _bucket(model: type[Model], table: str) -> Func:
    placed = keys.layout(model)
    bucket_of = keys.bucket_function(placed.pk)
    if bucket_of is None:  # several columns, the key among them
        return _BucketOfKey(Col(table, placed.key))
    return (_BucketOfId if bucket_of is bucket_of_id else _BucketOfKey)(Col(table, placed.pk))
