"""The base class of sharded models, and the library's own tables in the directory."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from typing_extensions import override

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


class MapVersion(models.Model):
    """One version of the shard map, in the directory. The newest counts; rows are never changed."""

    epoch = models.BigIntegerField(primary_key=True)
    document = models.JSONField()
    reason = models.TextField(help_text="What the map was changed for.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-epoch",)
        constraints = (models.CheckConstraint(condition=models.Q(epoch__gt=0), name="sharding_map_epoch"),)

    @override
    def __str__(self) -> str:
        return f"map {self.epoch}"
