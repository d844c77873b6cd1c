"""Whether everything is where the map says, and copies are what they are copies of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from sharding import directory, names, ownership
from sharding.ids import BUCKETS
from sharding.models import Move
from sharding.moves import switching, tables
from sharding.moves.links import Link
from sharding.moves.servers import Session, session
from sharding.moves.tables import Table
from sharding.moves.work import Work
from sharding.topology import Keyspace

ROUNDS = 3
"""How often buckets that differ are compared again before their writers are stopped for it."""
LOCKED_MS = 300
ARRIVAL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    alias: str
    text: str


def verify(aliases: Iterable[str] | None = None) -> list[Finding]:
    """Look through every database (or ``aliases``): its rows, what it says it owns, and what moves have left there.

    Reads every sharded table once, and changes nothing.
    """
    shard_map = directory.read()
    tags = {tag for (tag,) in _unfinished().values_list("tag")}
    found: list[Finding] = []
    for alias in aliases or shard_map.all_aliases():
        mine = [keyspace for keyspace in shard_map.keyspaces.values() if alias in keyspace.databases]
        with session(alias, "sharding verify") as one:
            for keyspace in mine:
                found += [Finding(alias, text) for text in _misplaced(one, keyspace)]
            if mine:
                found += [Finding(alias, text) for text in _ownership(one, mine)]
            found += [Finding(alias, text) for text in leftovers(one, tags)]
    return found


def _unfinished() -> "QuerySet[Move]":
    return Move.objects.exclude(phase__in=(Move.Phase.DONE, Move.Phase.UNDONE))


def _misplaced(one: Session, keyspace: Keyspace) -> Iterator[str]:
    copies = [(first, last) for first, last, alias in keyspace.copies if alias == one.alias]
    expected = [*keyspace.owned(one.alias), *copies]
    for table in tables.of_keyspace(keyspace.name):
        inside = " OR ".join(table.within(first, last) for first, last in expected) or "false"
        rows = one.rows(
            f"SELECT {table.bucket}, count(*) FROM {table.quoted} WHERE NOT ({inside}) GROUP BY 1 ORDER BY 1"
        )
        if rows:
            shown = ", ".join(f"{bucket} ({keyspace.alias_of[bucket]}'s)" for bucket, _ in rows[:5])
            yield f"{table.name} holds {sum(count for _, count in rows)} rows of buckets it should not have: {shown}"


def _ownership(one: Session, keyspaces: list[Keyspace]) -> Iterator[str]:
    with one.connection.cursor() as cursor:
        parts = ownership.parts(cursor)
    moving = {
        (move.keyspace, bucket)
        for move in _unfinished()
        for bucket in range(move.first, move.last + 1)
        if move.step in ("switch", "open", "switch back", "open again")
    }
    for keyspace in keyspaces:
        owned = {
            bucket
            for part in parts
            if part.keyspace == keyspace.name and part.state == "owned"
            for first, last in part.buckets
            for bucket in range(first, last + 1)
        }
        given = {bucket for bucket in range(BUCKETS) if keyspace.alias_of[bucket] == one.alias}
        for buckets, text in ((given - owned, "does not own"), (owned - given, "owns, against the map,")):
            settled = sorted(bucket for bucket in buckets if (keyspace.name, bucket) not in moving)
            if settled:
                yield f"{text} {len(settled)} buckets of {keyspace.name}, the first is {settled[0]}"


def leftovers(one: Session, tags: set[str]) -> Iterator[str]:
    """Publications, slots and subscriptions here that no unfinished move knows."""
    for what, statement in _LEFTOVERS.items():
        for (name,) in one.rows(statement):
            if not any(name.startswith(f"sharding_{tag}_") for tag in tags):
                yield f"{what} {name} belongs to no move; drop it"


_LEFTOVERS = {
    "subscription": r"SELECT subname FROM pg_subscription WHERE subname LIKE 'sharding\_%' "
    "AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
    "publication": r"SELECT pubname FROM pg_publication WHERE pubname LIKE 'sharding\_%'",
    # Replication's own slots for first copies carry no name of ours; they are busy for as long as they are needed.
    "slot": r"SELECT slot_name FROM pg_replication_slots WHERE database = current_database() "
    r"AND (slot_name LIKE 'sharding\_%' OR slot_name ~ '^pg_[0-9]+_sync_[0-9]+_' AND NOT active)",
}


# The two copies of a move.


def compare(work: Work) -> list[Finding]:
    """Where the two copies of a move's range differ, while they follow one another; empty when they are alike.

    Buckets that differ because they are being written are compared again, at last with their writers stopped for the
    moment it takes. One query for each table and side, which reads the rows of the range.
    """
    link = work.out if work.out.is_subscribed else work.back
    if not link.is_subscribed:
        return [Finding(link.subscriber.alias, f"{work.move} has no second copy to compare now")]
    buckets: set[int] | None = None
    for _ in range(ROUNDS):
        buckets = _different(work, link, buckets)
        if not buckets:
            return []
    return [
        Finding(link.subscriber.alias, f"bucket {bucket} of {work.move.keyspace} differs from {link.publisher.alias}'s")
        for bucket in sorted(buckets or ())
        if _differs_at_rest(work, link, bucket)
    ]


def _different(work: Work, link: Link, buckets: set[int] | None) -> set[int]:
    link.wait_for(link.mark(), ARRIVAL_SECONDS)
    found: set[int] = set()
    for table in work.tables:
        here, there = (_digests(one, table, work, buckets) for one in (link.publisher, link.subscriber))
        found |= {bucket for bucket in here.keys() | there.keys() if here.get(bucket) != there.get(bucket)}
    return found


def _differs_at_rest(work: Work, link: Link, bucket: int) -> bool:
    number = names.bucket_class(work.move.keyspace)
    for _ in range(20):
        try:
            switching.lock(link.publisher, number, bucket, bucket, LOCKED_MS)
        except switching.NotNow:
            continue
        try:
            return bool(_different(work, link, {bucket}))
        finally:
            switching.unlock(link.publisher, number, bucket, bucket)
    return True


def _digests(one: Session, table: Table, work: Work, buckets: set[int] | None) -> dict[int, tuple[int, int]]:
    """By bucket: number of rows and a digest of them, whatever their order."""
    columns = ", ".join(
        tables.quoted(name)
        for (name,) in one.rows(
            "SELECT attname FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1",
            table.quoted,
        )
    )
    only = (
        "" if buckets is None else f" AND {table.bucket} = ANY(ARRAY[{', '.join(map(str, sorted(buckets)))}]::bigint[])"
    )
    rows = one.rows(
        f"SELECT {table.bucket}, count(*), sum(hashtextextended(ROW({columns})::text, 0)::numeric) "
        f"FROM {table.quoted} WHERE {table.within(work.move.first, work.move.last)}{only} GROUP BY 1"
    )
    return {bucket: (count, digest) for bucket, count, digest in rows}
