"""Which ranges should move where, so that databases carry alike.

Rows are counted in a sample of each table. How much is written is what the server has counted for each table, spread
over buckets as recently made ids are: they carry the time of their making.
"""

import time
from dataclasses import dataclass
from typing import Literal

from sharding import directory
from sharding.errors import MoveRefused
from sharding.ids import BUCKETS, EPOCH_MS, TIME_SHIFT
from sharding.moves import tables
from sharding.moves.servers import Session, session
from sharding.moves.tables import Table
from sharding.topology import Keyspace

By = Literal["rows", "writes"]

SAMPLED_ROWS = 200_000
"""Of each table, about; smaller tables are read whole."""
RECENT_SECONDS = 24 * 3600
MOST_BUCKETS = 2_500
"""Of one move: the locks of all its buckets are held at once."""
TOLERANCE = 0.05
"""So far from the mean a database may be without anything being proposed."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What one database carries of a keyspace, by bucket. Estimates."""

    alias: str
    rows: list[float]
    recent: list[float]
    """Rows made lately."""
    writes: float
    """Inserts, updates and deletes since the server's statistics began."""
    bytes_per_row: float

    def by_bucket(self, by: By) -> list[float]:
        if by == "rows":
            return self.rows
        made = sum(self.recent)
        if not made:  # nothing is new: writes go where rows are
            total = sum(self.rows) or 1.0
            return [self.writes * rows / total for rows in self.rows]
        return [self.writes * recent / made for recent in self.recent]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One move that would even things out."""

    keyspace: str
    first: int
    last: int
    source: str
    target: str
    rows: int
    bytes: int
    share: float
    """Of the keyspace's whole weight, what this range carries."""

    @property
    def command(self) -> str:
        return f"shard move {self.keyspace} {self.first}-{self.last} {self.source} {self.target}"


@dataclass(frozen=True, slots=True)
class Plan:
    keyspace: str
    by: By
    before: dict[str, float]
    """By database, the part of the whole that it carries."""
    after: dict[str, float]
    moves: list[Proposal]


def plan(name: str, by: By = "rows") -> Plan:
    """Moves after which every database of the keyspace, spares too, carries about the same. Reads samples only."""
    keyspaces = directory.read().keyspaces
    if name not in keyspaces:
        raise MoveRefused(f"no keyspace is called {name!r}; there are {', '.join(sorted(keyspaces))}")
    keyspace = keyspaces[name]
    weights = {}
    for alias in keyspace.databases:
        with session(alias, "sharding plan") as one:
            weights[alias] = weigh(one, keyspace)
    return propose(keyspace, weights, by)


def weigh(one: Session, keyspace: Keyspace) -> Weights:
    """One query for each table, of a sample of it."""
    rows, recent = [0.0] * BUCKETS, [0.0] * BUCKETS
    writes, total_bytes = 0.0, 0
    mine = [alias == one.alias for alias in keyspace.alias_of[:BUCKETS]]
    since = (int(time.time() - RECENT_SECONDS) * 1000 - EPOCH_MS) << TIME_SHIFT
    for table in tables.of_keyspace(keyspace.name):
        known, pages, written, size = one.rows(
            "SELECT greatest(c.reltuples, 0)::bigint, pg_relation_size(c.oid) / 8192, "
            "coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0), pg_total_relation_size(c.oid) "
            "FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid WHERE c.oid = %s::regclass",
            table.quoted,
        )[0]
        writes += written
        total_bytes += size
        percent = 100.0 if known <= SAMPLED_ROWS or pages < 100 else max(100.0 * SAMPLED_ROWS / known, 0.001)
        for bucket, count, new in _sampled(one, table, percent, since):
            if mine[bucket]:
                rows[bucket] += count * 100 / percent
                recent[bucket] += new * 100 / percent
    return Weights(one.alias, rows, recent, writes, total_bytes / (sum(rows) or 1.0))


def _sampled(one: Session, table: Table, percent: float, since: int) -> list[tuple[int, int, int]]:
    sample = "" if percent >= 100 else f"TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (1)"
    new = f"count(*) FILTER (WHERE {table.made_after(since)})" if table.id is not None else "0"
    found = one.rows(f"SELECT ({table.bucket})::int, count(*), {new} FROM {table.quoted} {sample} GROUP BY 1")
    return [(bucket, count, made) for bucket, count, made in found if bucket < BUCKETS]


def propose(keyspace: Keyspace, weights: dict[str, Weights], by: By) -> Plan:
    """The fullest gives to the emptiest, from the end of its ranges, until all are near the mean."""
    holders = list(keyspace.alias_of[:BUCKETS])
    of_bucket = {alias: one.by_bucket(by) for alias, one in weights.items()}
    weight = [of_bucket[holder][bucket] for bucket, holder in enumerate(holders)]
    whole = sum(weight)
    carried = {alias: sum(of_bucket[alias]) for alias in weights}
    before = {alias: load / whole if whole else 0.0 for alias, load in carried.items()}
    mean = whole / len(weights)
    found: list[Proposal] = []
    moved = [False] * BUCKETS  # each bucket at most once
    while whole and len(found) < 100:
        source, target = max(carried, key=carried.__getitem__), min(carried, key=carried.__getitem__)
        wanted = min(carried[source] - mean, mean - carried[target])
        if carried[source] <= mean * (1 + TOLERANCE) and carried[target] >= mean * (1 - TOLERANCE):
            break
        chosen = _range(holders, moved, weight, source, wanted)
        if chosen is None:
            break
        first, last = chosen
        part = sum(weight[first : last + 1])
        rows = sum(weights[source].rows[first : last + 1])
        size = round(rows * weights[source].bytes_per_row)
        found.append(Proposal(keyspace.name, first, last, source, target, round(rows), size, part / whole))
        holders[first : last + 1] = [target] * (last - first + 1)
        moved[first : last + 1] = [True] * (last - first + 1)
        carried[source] -= part
        carried[target] += part
    after = {alias: load / whole if whole else 0.0 for alias, load in carried.items()}
    return Plan(keyspace.name, by, before, after, found)


def _range(
    holders: list[str], moved: list[bool], weight: list[float], source: str, wanted: float
) -> tuple[int, int] | None:
    """The last buckets of one of the source's ranges, as many as come nearest to ``wanted``."""
    last = BUCKETS - 1
    while last >= 0:
        if holders[last] != source or moved[last]:
            last -= 1
            continue
        first, part = last + 1, 0.0
        while (
            first > 0
            and holders[first - 1] == source
            and not moved[first - 1]
            and part + weight[first - 1] / 2 <= wanted
            and last - first + 2 <= MOST_BUCKETS
        ):
            first -= 1
            part += weight[first]
        if part > 0:
            return first, last
        last -= 1  # this bucket alone is too much
    return None
