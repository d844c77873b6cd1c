"""Which database holds which bucket, from ``settings.SHARDING``."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from sharding.errors import ShardingError
from sharding.ids import BUCKET_MASK, BUCKETS, bucket_of_id, bucket_of_key

Ranges = tuple[tuple[int, int, str], ...]
"""``(first bucket, last bucket, database alias)``, in order and without gaps."""


@dataclass(frozen=True, slots=True)
class Keyspace:
    """One set of tables that is split by one key, and where its buckets are."""

    name: str
    ranges: Ranges
    alias_of: tuple[str, ...]
    """Database by bucket, also for bucket numbers that no id has: the first shard will not find them."""
    aliases: tuple[str, ...]
    """Each database once, in the order of its first bucket."""

    @classmethod
    def of(cls, name: str, ranges: Ranges) -> "Keyspace":
        if not ranges:
            raise ShardingError(f"keyspace {name} has no shard; give it ranges in settings.SHARDING")
        alias_of = [ranges[0][2]] * (BUCKET_MASK + 1)
        for first, last, alias in ranges:
            alias_of[first : last + 1] = [alias] * (last - first + 1)
        return cls(name, ranges, tuple(alias_of), tuple(dict.fromkeys(alias for _, _, alias in ranges)))

    @property
    def gaps(self) -> list[int]:
        """Buckets that no range, or more than one, names; empty when the map is sound."""
        named = [0] * BUCKETS
        for first, last, _ in self.ranges:
            for bucket in range(max(first, 0), min(last, BUCKETS - 1) + 1):
                named[bucket] += 1
        return [bucket for bucket, times in enumerate(named) if times != 1]


@dataclass(frozen=True, slots=True)
class Home:
    """Where the rows of one key live. Asks the map each time, so that it stays right after a move."""

    keyspace: str
    bucket: int

    @property
    def alias(self) -> str:
        return keyspace(self.keyspace).alias_of[self.bucket]


_keyspaces: dict[str, Keyspace] = {}


def keyspaces() -> Mapping[str, Keyspace]:
    """Every keyspace by name."""
    if not _keyspaces:
        reload()
    return _keyspaces


def reload() -> None:
    """Read ``settings.SHARDING`` again."""
    configured: Mapping[str, Ranges] = settings.SHARDING["KEYSPACES"]
    fresh = {name: Keyspace.of(name, tuple(ranges)) for name, ranges in configured.items()}
    _keyspaces.clear()
    _keyspaces.update(fresh)


def keyspace(name: str) -> Keyspace:
    """The keyspace called ``name``; raises ``ShardingError`` where there is none."""
    found = _keyspaces.get(name) or keyspaces().get(name)
    if found is None:
        raise ShardingError(f"no keyspace is called {name!r}; settings.SHARDING has {', '.join(sorted(keyspaces()))}")
    return found


def home(keyspace: str, key: int) -> Home:
    """Where the rows of ``key`` live."""
    return Home(keyspace, bucket_of_key(key))


def home_of_id(keyspace: str, id: int) -> Home:
    """Where the row with this bucket-carrying ``id`` lives. Not for keys: those go to ``home``."""
    return Home(keyspace, bucket_of_id(id))


def alias_for(keyspace: str, key: int) -> str:
    """The database of ``key``."""
    return home(keyspace, key).alias


def alias_of_id(keyspace: str, id: int) -> str:
    """The database of the row with this bucket-carrying ``id``."""
    return home_of_id(keyspace, id).alias


def aliases(keyspace: str) -> tuple[str, ...]:
    """The databases of one keyspace, each once."""
    return _named(keyspace).aliases


def all_aliases() -> tuple[str, ...]:
    """Every database: the global one first, then each shard once."""
    shards = (alias for found in keyspaces().values() for alias in found.aliases)
    return tuple(dict.fromkeys((DEFAULT_DB_ALIAS, *shards)))


_named = keyspace  # under a name that a parameter does not hide
