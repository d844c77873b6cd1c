"""Whether a move would be safe: asked before anything is changed, and again right before the switch."""

from dataclasses import dataclass

from sharding import directory, names
from sharding.errors import MoveRefused
from sharding.moves import tables
from sharding.moves.servers import Session
from sharding.moves.work import RANGE, Work

LOCKS_LEFT = 0.5
"""Of the server's room for locks, what a move may take: the buckets' locks are held all at once."""


def check(work: Work) -> None:
    """Raise ``MoveRefused`` with everything that speaks against the move, a sentence each."""
    found = [*_ownership(work), *_tables(work), *_servers(work), *_rows(work)]
    if found:
        raise MoveRefused(f"{work.move} is refused: " + "; ".join(found))
    work.record(rows=estimate(work.source, work.tables, work.move.buckets, _held(work)))


def check_structure(work: Work) -> None:
    """Raise ``MoveRefused`` when the two databases no longer have the same tables."""
    found = _tables(work)
    if found:
        raise MoveRefused(f"{work.move} cannot be switched: " + "; ".join(found))


def estimate(session: Session, of: tuple[tables.Table, ...], buckets: int, held: int) -> dict[str, int]:
    """About how many rows of each table such a part of the database's buckets has; one query."""
    rows = session.rows(
        "SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = ANY(%s::regclass[])",
        [table.quoted for table in of],
    )
    return {name: round(count * buckets / max(held, 1)) for name, count in rows}


def _held(work: Work) -> int:
    return int(
        work.source.value(
            f"SELECT count(*) FROM {names.BUCKET_TABLE} WHERE keyspace = %s AND state = 'owned'", work.move.keyspace
        )
    )


def _ownership(work: Work) -> list[str]:
    found = []
    move = work.move
    keyspace = directory.read().keyspaces[move.keyspace]
    holders = set(keyspace.alias_of[move.first : move.last + 1])
    if holders != {move.source}:
        found.append(f"the map gives it to {', '.join(sorted(holders))}; name the one that has it")
    if move.target not in keyspace.databases:
        found.append(f"{move.target} has no tables of {move.keyspace}; add it to SHARDING['SPARES']")
    inside = f"FROM {names.BUCKET_TABLE} WHERE {RANGE}"
    owned = work.source.value(f"SELECT count(*) {inside} AND state = 'owned'", *work.range)
    if owned != move.buckets:
        found.append(f"{move.source} itself owns {owned} of its {move.buckets} buckets; run shard verify")
    taken = work.target.value(f"SELECT count(*) {inside} AND state = 'owned'", *work.range)
    if taken:
        found.append(f"{move.target} owns {taken} of its buckets already; run shard verify")
    return found


def _tables(work: Work) -> list[str]:
    found = tables.differences(work.source, work.target, work.tables)
    mine = {table.name for table in work.tables}
    for session in (work.source, work.target):
        guarded = tables.guarded(session, work.move.keyspace)
        found += [
            f"{session.alias} has {name}, which this code does not know; use the newest code"
            for name in sorted(guarded - mine)
        ]
        found += [f"{session.alias} does not guard {name}; run shard migrate" for name in sorted(mine - guarded)]
        found += [
            f"{name} of {session.alias} has no primary key to replicate by; add it"
            for (name,) in session.rows(
                "SELECT c.relname FROM pg_class c WHERE c.oid = ANY(%s::regclass[]) AND (c.relreplident <> 'd' "
                "OR NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid))",
                [table.quoted for table in work.tables if table.name in guarded],
            )
        ]
    applied = [set(session.rows("SELECT app, name FROM django_migrations")) for session in (work.source, work.target)]
    found += [f"only one of the two has migration {app}.{name}" for app, name in sorted(applied[0] ^ applied[1])]
    return found


@dataclass(frozen=True, slots=True)
class _Need:
    what: str
    free: str
    at_least: int


_SLOTS = _Need(
    "replication slots",
    "current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)",
    4,
)
_SENDERS = _Need(
    "walsenders", "current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)", 4
)
_WORKERS = _Need(
    "logical replication workers",
    "current_setting('max_logical_replication_workers')::int "
    "- (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%%worker')",
    2,
)


def _servers(work: Work) -> list[str]:
    found = []
    for session in (work.source, work.target):
        level = session.value("SELECT current_setting('wal_level')")
        if level != "logical":
            found.append(f"wal_level of {session.alias} is {level}; set it to logical and restart the server")
        for need in (_SLOTS, _SENDERS, _WORKERS):
            free = int(session.value(f"SELECT {need.free}"))
            if free < need.at_least:
                found.append(
                    f"{session.alias} has {free} {need.what} left, a move needs {need.at_least}; raise the setting"
                )
        room = int(
            session.value(
                "SELECT current_setting('max_locks_per_transaction')::int * "
                "(current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"
            )
        )
        if work.move.buckets > room * LOCKS_LEFT:
            found.append(
                f"{session.alias} has room for {room} locks, too few for {work.move.buckets} buckets; move fewer at "
                "a time, or raise max_locks_per_transaction"
            )
        prepared = [gid for (gid,) in session.rows("SELECT gid FROM pg_prepared_xacts")]
        if prepared:
            found.append(f"{session.alias} has prepared transactions ({', '.join(prepared)}); finish them")
        if not session.value("SELECT has_parameter_privilege('session_replication_role', 'SET')"):
            found.append(f"its role at {session.alias} may not SET session_replication_role; grant it")
    return found


def _rows(work: Work) -> list[str]:
    """Reads every row of the target's tables, once."""
    move = work.move
    return [
        f"{move.target} holds rows of it in {table.name}; clean them up first"
        for table in work.tables
        if work.target.value(f"SELECT true FROM {table.quoted} WHERE {table.within(move.first, move.last)} LIMIT 1")
    ]
