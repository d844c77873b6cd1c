"""The base class of sharded models. The library has no table of its own yet."""

from typing import ClassVar

from django.db import models

from sharding.keys import ShardKey
from sharding.querysets import ShardedQuerySet

ShardedManager = models.Manager.from_queryset(ShardedQuerySet, "ShardedManager")


class ShardedModel(models.Model):
    """A model whose rows are split over the shards of a keyspace, with queries that find their shard.

    A subclass says ``sharding = ShardKey(…)``, uses a ``ShardAutoField`` as its primary key unless it is a root
    table, and builds managers of its own from ``ShardedQuerySet``. Put this class first among several bases.
    """

    sharding: ClassVar[ShardKey]

    objects = ShardedManager()
    routed = ShardedManager()
    """What Django uses for related rows and ``refresh_from_db``, also where ``objects`` is replaced."""

    class Meta:
        abstract = True
        base_manager_name = "routed"
