"""Tables split over PostgreSQL databases, without a query that silently sees only some of them.

The README beside this file starts from an example. Everything a project needs is a name of this module;
``sharding.testing`` holds what its tests need. The module can be imported before Django's apps are loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sharding.deadlines import deadline
from sharding.errors import (
    BucketMoved,
    CrossShardQuery,
    CrossShardTransaction,
    DeadlineExceeded,
    MisplacedRow,
    ShardingError,
    ShardUnavailable,
    UnroutableQuery,
)
from sharding.ids import BUCKETS, bucket_of_id, bucket_of_key
from sharding.topology import Home, alias_for, alias_of_id, aliases, all_aliases, home, home_of_id

if TYPE_CHECKING:
    from sharding.backfilling import BackfillJob
    from sharding.copies import owned
    from sharding.fields import ShardAutoField, ShardForeignKey, ShardOneToOneField, ShardRef
    from sharding.keys import EveryDatabase, ShardKey
    from sharding.querysets import ShardedQuerySet
    from sharding.replicas import replica_reads
    from sharding.sharded import ShardedManager, ShardedModel
    from sharding.tokens import written
    from sharding.transactions import atomic, on_commit, repeatable, reserve_ids, run

# An app's package is imported while Django's registry is still empty, where a model cannot be defined.
_LATER = {
    "ShardAutoField": "fields",
    "ShardForeignKey": "fields",
    "ShardOneToOneField": "fields",
    "ShardRef": "fields",
    "BackfillJob": "backfilling",
    "EveryDatabase": "keys",
    "ShardKey": "keys",
    "ShardedManager": "sharded",
    "ShardedModel": "sharded",
    "ShardedQuerySet": "querysets",
    "atomic": "transactions",
    "on_commit": "transactions",
    "owned": "copies",
    "replica_reads": "replicas",
    "repeatable": "transactions",
    "reserve_ids": "transactions",
    "run": "transactions",
    "written": "tokens",
}

__all__ = [
    "BUCKETS",
    "BackfillJob",
    "BucketMoved",
    "CrossShardQuery",
    "CrossShardTransaction",
    "DeadlineExceeded",
    "EveryDatabase",
    "Home",
    "MisplacedRow",
    "ShardAutoField",
    "ShardForeignKey",
    "ShardKey",
    "ShardOneToOneField",
    "ShardRef",
    "ShardUnavailable",
    "ShardedManager",
    "ShardedModel",
    "ShardedQuerySet",
    "ShardingError",
    "UnroutableQuery",
    "alias_for",
    "alias_of_id",
    "aliases",
    "all_aliases",
    "atomic",
    "bucket_of_id",
    "bucket_of_key",
    "deadline",
    "home",
    "home_of_id",
    "on_commit",
    "owned",
    "repeatable",
    "replica_reads",
    "reserve_ids",
    "run",
    "written",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'sharding' has no attribute {name!r}")
    found = getattr(import_module(f"sharding.{_LATER[name]}"), name)
    globals()[name] = found
    return found
