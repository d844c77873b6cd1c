"""Which databases a query has to run on, decided when it runs."""

from django.db.models import Model
from django.db.models.sql import Query

from sharding import colocation, keys, narrowing, topology
from sharding.errors import UnroutableQuery


def aliases(model: type[Model], query: Query) -> tuple[str, ...]:
    """The databases this query has to run on, at least one.

    Raises ``UnroutableQuery`` when it names no shard and ``CrossShardQuery`` when it joins, or looks into, rows that
    may live elsewhere.
    """
    found = narrowing.buckets(query)
    declared: keys.ShardKey = model.sharding  # type: ignore[attr-defined]
    keyspace = topology.keyspace(declared.keyspace)
    if found is None:
        raise UnroutableQuery(_unroutable(model, declared))
    if len(found) == 1:
        (bucket,) = found
        run_on: tuple[str, ...] = (keyspace.alias_of[bucket],)
    else:
        # Nothing can match an empty set, which any shard can say.
        run_on = tuple(sorted({keyspace.alias_of[bucket] for bucket in found})) or keyspace.aliases[:1]
    if not colocation.is_plain(query):
        colocation.check(query, keyspace, run_on)
    return run_on


def _unroutable(model: type[Model], declared: keys.ShardKey) -> str:
    return (
        f"{model._meta.label}: nothing in this query names a shard; filter by {declared.field}=…, by pk=… or by a "
        "reference to a row of the same key, or say .using(alias)"
    )
