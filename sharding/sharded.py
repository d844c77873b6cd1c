"""The base class of sharded models."""

from typing import Any, ClassVar

from django.db import models
from typing_extensions import override

from sharding import colocation, keys
from sharding.keys import ShardKey
from sharding.querysets import ShardedQuerySet

ShardedManager = models.Manager.from_queryset(ShardedQuerySet, "ShardedManager")


class ShardedModel(models.Model):
    """A model whose rows are split over the shards of a keyspace, with queries that find their shard.

    A subclass says ``sharding = ShardKey(…)``, uses a ``ShardAutoField`` as its primary key unless it is a root
    table, and builds managers of its own from ``ShardedQuerySet``. Put this class first among several bases.
    """

    sharding: ClassVar[ShardKey]
    decides_money_or_stock: ClassVar[bool] = False
    """True: its rows are never read from a replica, however little that one lags (``sharding.replica_reads``)."""

    objects = ShardedManager()
    routed = ShardedManager()
    """What Django uses for related rows and ``refresh_from_db``, also where ``objects`` is replaced."""

    class Meta:
        abstract = True
        base_manager_name = "routed"

    @override
    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """As Django's, with subqueries among the row's values checked for looking at other shards."""
        colocation.check_row(self, kwargs.get("using") or keys.alias_of_row(self))
        super().save_base(*args, **kwargs)

    save_base.alters_data = True  # type: ignore[attr-defined]

    @override
    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """As Django's, from where the row lives now: its bucket may have moved since it was read."""
        if using is None and from_queryset is None:
            using = keys.alias_of_row(self)
        super().refresh_from_db(using, fields, from_queryset)

    def _get_next_or_previous_by_FIELD(self, field: Any, is_next: bool, **kwargs: Any) -> Any:  # noqa: N802  Django's
        """Behind ``get_next_by_…``: Django would look on this row's shard alone, so the rest has to name that shard."""
        read_from = self._state.db
        self._state.db = type(self)._default_manager.filter(**kwargs).db
        try:
            return super()._get_next_or_previous_by_FIELD(field, is_next, **kwargs)  # type: ignore[misc]
        finally:
            self._state.db = read_from
