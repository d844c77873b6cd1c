"""What a model says about where its rows live, and which of its columns name a bucket."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, ForeignKey, Model

from sharding import topology
from sharding.errors import MisplacedRow, ShardingError, UnroutableQuery
from sharding.ids import bucket_of_id, bucket_of_key

BucketOf = Callable[[int], int]
"""``bucket_of_key`` or ``bucket_of_id``: compared by identity, to tell two kinds of numbers apart."""


@dataclass(frozen=True, slots=True)
class ShardKey:
    """``sharding = ShardKey("customer", field="customer_id")``: rows live with that key, in that keyspace.

    ``field`` is a column of the table itself. A *root* table names its primary key, whose dense numbers come
    from the directory; every other table gets ids that carry the bucket.
    """

    keyspace: str
    field: str


@dataclass(frozen=True, slots=True)
class EveryDatabase:
    """``sharding = EveryDatabase()``: the table exists in every database, each with rows of its own.

    Always used with ``.using(alias)``: nothing about such a row says where it is.
    """


@dataclass(frozen=True, slots=True)
class Layout:
    """A sharded model's columns that matter for placing, looked up once."""

    keyspace: str
    key: "Field[Any, Any]"
    pk: "Field[Any, Any]"

    @property
    def is_root(self) -> bool:
        return self.key is self.pk

    @property
    def pk_columns(self) -> "tuple[Field[Any, Any], ...]":
        """The columns of the primary key, of which there are several where it is composite."""
        return tuple(getattr(self.pk, "fields", (self.pk,)))


def shard_key(model: type[Model]) -> ShardKey | None:
    """What ``model`` declares, or None where its rows are not split."""
    declared = getattr(model, "sharding", None)
    return declared if isinstance(declared, ShardKey) else None


@cache
def layout(model: type[Model]) -> Layout:
    """The placing columns of a sharded model; raises ``ShardingError`` where its key is not a column of it."""
    declared = shard_key(model)
    if declared is None:
        raise ShardingError(f"{model._meta.label} is not sharded; add sharding = ShardKey(…)")
    field = key_field(model)
    if field is None:
        raise ShardingError(f"{model._meta.label}: ShardKey names {declared.field!r}, which is not a column of it")
    return Layout(declared.keyspace, field, model._meta.pk)


def key_field(model: type[Model]) -> "Field[Any, Any] | None":
    """The column that ``ShardKey.field`` names, by field name or by column attribute (``customer``/``customer_id``)."""
    declared = shard_key(model)
    if declared is None:
        return None
    if declared.field == "pk":
        return model._meta.pk
    try:
        found = model._meta.get_field(declared.field)
    except FieldDoesNotExist:
        return None
    return found if isinstance(found, Field) and found.column else None


def bucket_function(field: "Field[Any, Any]") -> BucketOf | None:
    """How a value of this column names a bucket, or None. Kept on the field, as each lookup asks."""
    try:
        return field._sharding_bucket_of  # type: ignore[attr-defined,no-any-return]
    except AttributeError:
        found = _bucket_function(field)
        if not field.model._meta.abstract and not isinstance(field.related_model, str):  # else it may yet change
            field._sharding_bucket_of = found  # type: ignore[attr-defined]
        return found


def _bucket_function(field: "Field[Any, Any]") -> BucketOf | None:
    model = field.model
    if shard_key(model) is None:
        return None
    placed = layout(model)
    if field is placed.key:
        return bucket_of_key
    if is_colocated_reference(field):
        return bucket_function(field.target_field)  # type: ignore[attr-defined]
    if field.primary_key and carries_bucket(field):
        return bucket_of_id
    return None


def carries_bucket(field: "Field[Any, Any]") -> bool:
    return bool(getattr(field, "carries_bucket", False))


def is_colocated_reference(field: "Field[Any, Any]") -> bool:
    """Whether ``field`` is a ``ShardForeignKey`` to the primary key of a table of the same keyspace."""
    if not (getattr(field, "is_colocated", False) and isinstance(field, ForeignKey)):
        return False
    target = field.remote_field.model
    if isinstance(target, str):
        return False
    here, there = shard_key(field.model), shard_key(target)
    return here is not None and there is not None and here.keyspace == there.keyspace and field.target_field.primary_key


def bucket_of_row(row: Model) -> int | None:
    """The bucket that the row's id names, else its key; None while it has neither. Never fetches what is deferred.

    The id comes first: a row that exists stays where it is, whatever its key was set to since.
    """
    placed = layout(type(row))
    id = _number(row.__dict__.get(placed.pk.attname))
    bucket_of = None if id is None else bucket_function(placed.pk)
    if id is not None and bucket_of is not None:
        return bucket_of(id)
    key = _number(row.__dict__.get(placed.key.attname))
    return None if key is None else bucket_of_key(key)


def alias_of_row(row: Model) -> str:
    """The database where ``row`` lives or will live.

    Raises ``UnroutableQuery`` while its key is not set, and ``MisplacedRow`` for a new one whose id and key disagree.
    """
    placed = layout(type(row))
    bucket = bucket_of_row(row)
    if bucket is None:
        raise UnroutableQuery(f"{row._meta.label}: this row has no {placed.key.attname} yet; set it first")
    if row._state.adding and not placed.is_root:
        key = _number(row.__dict__.get(placed.key.attname))
        if key is not None and bucket_of_key(key) != bucket:
            raise MisplacedRow(
                f"{row._meta.label}: the id {row.pk} is not one of {placed.key.attname} {key}; leave it out"
            )
    return topology.keyspace(placed.keyspace).alias_of[bucket]


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
