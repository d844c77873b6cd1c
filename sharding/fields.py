"""Columns of sharded tables."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from typing_extensions import override


class ShardAutoField(models.BigAutoField):  # type: ignore[type-arg]
    """The primary key of a sharded table: a 64-bit id that carries the row's bucket.

    Left empty, the table's trigger fills it; ``sharding.reserve_ids`` gives ids ahead of the insert. There is no
    identity and no default behind it, because a default cannot see the row's key.
    """

    carries_bucket = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("primary_key", True)
        super().__init__(*args, **kwargs)

    @override
    def db_type_suffix(self, connection: BaseDatabaseWrapper) -> str | None:
        return None


class _Colocated:
    """A reference to a row that lives in the same bucket, so that the database can hold the constraint."""

    is_colocated = True

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        super().__init__(to, on_delete, **kwargs)  # type: ignore[call-arg]


class ShardForeignKey(_Colocated, models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key to the primary key of a table of the same keyspace; on delete, PROTECT unless said otherwise."""


class ShardOneToOneField(_Colocated, models.OneToOneField):  # type: ignore[type-arg]
    """A ``ShardForeignKey`` of which a row has at most one; may be the primary key."""


class ShardRef(models.BigIntegerField):  # type: ignore[type-arg]
    """The id of a row that lives elsewhere: ``store_id = ShardRef("stores.Store")``.

    A number and nothing more: no constraint, no join, no index unless ``db_index=True`` asks for it. ``to`` is the
    label of the model, for people and tools.
    """

    def __init__(self, to: str, *args: Any, **kwargs: Any) -> None:
        self.to = to
        super().__init__(*args, **kwargs)

    @override
    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, [self.to, *args], kwargs
