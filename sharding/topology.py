"""Which database holds which bucket, as this process knows it now.

The map is read from the directory when it is first asked for (``sharding.leases``) and replaced as a whole
whenever a newer one is seen, so that one query always sees one epoch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.db import DEFAULT_DB_ALIAS

from sharding.conf import Ranges, options
from sharding.errors import ShardingError
from sharding.ids import BUCKET_MASK, BUCKETS, bucket_of_id, bucket_of_key

Copy = tuple[int, int, str]
"""``(first bucket, last bucket, alias)``: rows that a database holds and must not answer for."""


@dataclass(frozen=True, slots=True)
class Keyspace:
    """One set of tables that is split by one key, and where its buckets are."""

    name: str
    ranges: Ranges
    alias_of: tuple[str, ...]
    """Database by bucket, also for bucket numbers that no id has: the first shard will not find them."""
    aliases: tuple[str, ...]
    """Each database that owns buckets once, in the order of its first bucket."""
    databases: tuple[str, ...] = ()
    """Each database that has the tables: ``aliases``, and those that own nothing yet or nothing any more."""
    copies: tuple[Copy, ...] = ()
    """Where rows are on their way in, or not cleaned up yet."""

    @classmethod
    def of(cls, name: str, ranges: Ranges, spares: tuple[str, ...] = (), copies: tuple[Copy, ...] = ()) -> "Keyspace":
        if not ranges:
            raise ShardingError(f"keyspace {name} has no shard; give it ranges in settings.SHARDING")
        alias_of = [ranges[0][2]] * (BUCKET_MASK + 1)
        for first, last, alias in ranges:
            alias_of[first : last + 1] = [alias] * (last - first + 1)
        aliases = tuple(dict.fromkeys(alias for _, _, alias in ranges))
        return cls(name, ranges, tuple(alias_of), aliases, tuple(dict.fromkeys((*aliases, *spares))), copies)

    @property
    def gaps(self) -> list[int]:
        """Buckets that no range, or more than one, names; empty when the map is sound."""
        named = [0] * BUCKETS
        for first, last, _ in self.ranges:
            for bucket in range(max(first, 0), min(last, BUCKETS - 1) + 1):
                named[bucket] += 1
        return [bucket for bucket, times in enumerate(named) if times != 1]

    def owned(self, alias: str) -> tuple[tuple[int, int], ...]:
        """The ranges ``alias`` answers for."""
        return tuple((first, last) for first, last, holder in self.ranges if holder == alias)

    def only(self, alias: str) -> tuple[tuple[int, int], ...] | None:
        """The ranges to which a query for "everything on ``alias``" has to be narrowed, or None where it need not be.

        Needed while the database also holds rows of buckets it does not own: a move is bringing them, or took them away
        and the old copy is still there.
        """
        if any(holder == alias for _, _, holder in self.copies):
            return self.owned(alias)
        return None


@dataclass(frozen=True, slots=True)
class ShardMap:
    """Every keyspace at one moment. A higher ``epoch`` is a later moment; 0 is what the settings say."""

    epoch: int
    keyspaces: Mapping[str, Keyspace]
    primaries: Mapping[str, str] = field(default_factory=dict)
    """By alias: the alias of the server that took its place."""

    def address_of(self, alias: str) -> str:
        """The alias whose server is the one of ``alias`` now: itself, unless a promotion made two swap roles."""
        for one, other in self.primaries.items():
            if alias in (one, other):
                return other if alias == one else one
        return alias

    def primaries_with(self, alias: str, address: str) -> dict[str, str]:
        """``primaries``, with the server of the entry ``address`` as the primary of ``alias``."""
        others = {one: other for one, other in self.primaries.items() if one != alias}
        return others if address == alias else {**others, alias: address}

    def holds_buckets(self, alias: str) -> bool:
        """Whether ``alias`` has the tables of any keyspace."""
        return any(alias in keyspace.databases for keyspace in self.keyspaces.values())

    def all_aliases(self) -> tuple[str, ...]:
        """Every database: the global one first, then each shard once. Replicas are not among them."""
        shards = (alias for keyspace in self.keyspaces.values() for alias in keyspace.databases)
        return tuple(dict.fromkeys((DEFAULT_DB_ALIAS, *shards)))


@dataclass(frozen=True, slots=True)
class Home:
    """Where the rows of one key live. Asks the map each time, so that it stays right after a move."""

    keyspace: str
    bucket: int

    @property
    def alias(self) -> str:
        return keyspace(self.keyspace).alias_of[self.bucket]


source: "Callable[[], ShardMap]"
"""Where the first map comes from; ``sharding.leases`` puts itself here."""
_current: ShardMap | None = None
_keyspaces: Mapping[str, Keyspace] = {}
_all_aliases: tuple[ShardMap | None, tuple[str, ...]] = (None, ())


def configured() -> ShardMap:
    """The map that ``settings.SHARDING`` begins with."""
    found = options()
    keyspaces = {
        name: Keyspace.of(
            name, tuple((first, last, alias) for first, last, alias in ranges), found.spares.get(name, ())
        )
        for name, ranges in found.keyspaces.items()
    }
    return ShardMap(0, keyspaces)


source = configured


def current() -> ShardMap:
    """The map this process goes by."""
    return _current or reload()


def known() -> ShardMap | None:
    """The map this process goes by, or None before it has one."""
    return _current


def use(shard_map: ShardMap) -> ShardMap:
    """Go by ``shard_map`` from now on, in all threads."""
    global _current, _keyspaces
    _current, _keyspaces = shard_map, shard_map.keyspaces
    return shard_map


def forget() -> None:
    """Let whoever needs the map next read it anew."""
    global _current, _keyspaces
    _current, _keyspaces = None, {}


def reload() -> ShardMap:
    """Forget the map and read it again."""
    forget()
    found = source()
    return known() or use(found)


def keyspaces() -> Mapping[str, Keyspace]:
    """Every keyspace by name."""
    return current().keyspaces


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
    """The databases of one keyspace that own buckets, each once."""
    return _named(keyspace).aliases


def databases(keyspace: str) -> tuple[str, ...]:
    """The databases that have the tables of one keyspace, each once."""
    return _named(keyspace).databases


def all_aliases() -> tuple[str, ...]:
    """Every database: the global one first, then each shard once. Replicas are not among them."""
    global _all_aliases
    now = current()
    if _all_aliases[0] is not now:  # asked for each table that is migrated, and there may be hundreds
        _all_aliases = (now, now.all_aliases())
    return _all_aliases[1]


_named = keyspace  # under a name that a parameter does not hide
