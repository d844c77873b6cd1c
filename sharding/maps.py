"""The shard map as a document: what the directory stores, and what a process keeps on disk."""

import json
import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sharding import topology
from sharding.conf import options
from sharding.errors import ShardingError
from sharding.ids import BUCKETS
from sharding.topology import Keyspace, ShardMap

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]


def document(shard_map: ShardMap) -> dict[str, Any]:
    """``shard_map`` without its epoch, in lists and dicts."""
    return {
        "keyspaces": {
            name: {"ranges": [list(one) for one in keyspace.ranges], "copies": [list(one) for one in keyspace.copies]}
            for name, keyspace in shard_map.keyspaces.items()
        },
        "primaries": dict(shard_map.primaries),
    }


def parsed(epoch: int, text: Document) -> ShardMap:
    """The map that a document of the directory describes, checked; raises ``ShardingError`` where it is unsound.

    Databases that hold no bucket are known from ``settings.SHARDING``; so is a keyspace which the document lacks,
    because it is younger than the document.
    """
    configured = topology.configured().keyspaces
    keyspaces = dict(configured)
    for name, one in text["keyspaces"].items():
        ranges = tuple((int(first), int(last), str(alias)) for first, last, alias in one["ranges"])
        copies = tuple((int(first), int(last), str(alias)) for first, last, alias in one["copies"])
        others = (*(alias for _, _, alias in copies), *(configured[name].databases if name in configured else ()))
        keyspaces[name] = Keyspace.of(name, ranges, others, copies)
    shard_map = ShardMap(epoch, keyspaces, dict(text.get("primaries", {})))
    check(shard_map)
    return shard_map


def check(shard_map: ShardMap, databases: Collection[str] | None = None) -> None:
    """Raise ``ShardingError`` unless every bucket of every keyspace is named once, by one of ``databases`` if given."""
    for keyspace in shard_map.keyspaces.values():
        if keyspace.gaps:
            raise ShardingError(
                f"map {shard_map.epoch}: bucket {keyspace.gaps[0]} of {keyspace.name} is named by no range, or by more "
                "than one; make the ranges cover 0 to 9999 once"
            )
        for alias in keyspace.databases if databases is not None else ():
            if alias not in (databases or ()):
                raise ShardingError(
                    f"map {shard_map.epoch}: {keyspace.name} names {alias!r}, which is not in DATABASES; add it"
                )


def assigned(keyspace: Keyspace, first: int, last: int, alias: str) -> Keyspace:
    """``keyspace`` with the buckets ``first`` to ``last`` given to ``alias``."""
    holders = list(keyspace.alias_of[:BUCKETS])
    holders[first : last + 1] = [alias] * (last - first + 1)
    return Keyspace.of(keyspace.name, _ranges(holders), keyspace.databases, keyspace.copies)


def with_copies(keyspace: Keyspace, copies: tuple[topology.Copy, ...]) -> Keyspace:
    """``keyspace`` with other ``copies``."""
    others = (*keyspace.databases, *(alias for _, _, alias in copies))
    return Keyspace.of(keyspace.name, keyspace.ranges, others, copies)


def _ranges(holders: list[str]) -> tuple[tuple[int, int, str], ...]:
    starts = [bucket for bucket, alias in enumerate(holders) if bucket == 0 or holders[bucket - 1] != alias]
    ends = [start - 1 for start in starts[1:]] + [len(holders) - 1]
    return tuple((start, end, holders[start]) for start, end in zip(starts, ends, strict=True))


def save(shard_map: ShardMap, path: Path) -> None:
    """Keep ``shard_map`` in the file ``path``, unless that already holds a newer one; whole or not at all."""
    try:
        if load(path).epoch >= shard_map.epoch:
            return
    except (OSError, ShardingError):
        pass  # nothing there, or nothing of use
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"epoch": shard_map.epoch, **document(shard_map)}))
    fresh.replace(path)


def load(path: Path) -> ShardMap:
    """The map in the file ``path``; raises ``OSError`` where there is none, ``ShardingError`` where it is unsound."""
    try:
        text = json.loads(path.read_text())
        return parsed(int(text["epoch"]), text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardingError(f"{path} holds no shard map: {error}; delete it") from error


def learn(shard_map: ShardMap) -> None:
    """Go by ``shard_map`` if it is newer than the one in use; keep it on disk. An older one is never gone back to."""
    now = topology.known()
    if now is not None and now.epoch >= shard_map.epoch:
        return
    topology.use(shard_map)
    path = options().map_file
    if path is not None and shard_map.epoch > 0:
        try:
            save(shard_map, path)
        except OSError as error:
            logger.warning("the map could not be kept in %s: %s", path, error)
