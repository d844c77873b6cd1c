"""Which databases a query has to run on, decided when it runs."""

from typing import NamedTuple

from django.db.models import Model
from django.db.models.sql import Query

from sharding import colocation, keys, narrowing, topology
from sharding.errors import UnroutableQuery


class Route(NamedTuple):
    """Where a query runs, at one moment of the map."""

    keyspace: topology.Keyspace
    aliases: tuple[str, ...]
    """At least one."""


def route(model: type[Model], query: Query, *, everywhere: bool = False) -> Route:
    """The databases this query has to run on: those that it names, or all of the keyspace where it may go everywhere.

    Raises ``UnroutableQuery`` when it names none and may not, and ``CrossShardQuery`` when it joins, or looks into,
    rows that may live elsewhere.
    """
    keyspace = topology.keyspace(model.sharding.keyspace)  # type: ignore[attr-defined]
    return Route(keyspace, _run_on(keyspace, model, query, everywhere))


def aliases(model: type[Model], query: Query) -> tuple[str, ...]:
    """The databases of ``route``, for those who need nothing else."""
    return _run_on(topology.keyspace(model.sharding.keyspace), model, query, everywhere=False)  # type: ignore[attr-defined]


def _run_on(keyspace: topology.Keyspace, model: type[Model], query: Query, everywhere: bool) -> tuple[str, ...]:
    found = narrowing.buckets(query)
    if found is None:
        if not everywhere:
            raise UnroutableQuery(_unroutable(model))
        run_on = keyspace.aliases
    elif len(found) == 1:
        (bucket,) = found
        run_on = (keyspace.alias_of[bucket],)
    else:
        # Nothing can match an empty set, which any shard can say.
        run_on = tuple(sorted({keyspace.alias_of[bucket] for bucket in found})) or keyspace.aliases[:1]
    if not colocation.is_plain(query):
        colocation.check(query, keyspace, run_on)
    return run_on


def _unroutable(model: type[Model]) -> str:
    declared: keys.ShardKey = model.sharding  # type: ignore[attr-defined]
    return (
        f"{model._meta.label}: nothing in this query names a shard; filter by {declared.field}=…, by pk=… or by a "
        "reference to a row of the same key, or say .scatter() to ask every shard, or .using(alias)"
    )
