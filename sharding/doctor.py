"""Looks at every database of the map and says what is wrong, or soon will be, and what to do about it."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import Error

from sharding import directory, maps, migrating, names, ownership, promotion, schema, topology
from sharding.deadlines import deadline
from sharding.errors import DirectoryUnavailable, ShardingError
from sharding.ids import BUCKET_SHIFT, EPOCH_MS

Severity = Literal["error", "warning"]

LOOKING_SECONDS = 10.0
CLOCK_SECONDS = 1.0
"""Ids follow the clocks: further apart than this, their order says little about the order of events."""
ID_CLOCK_SECONDS = 60.0
OLD_TRANSACTION_IDS = 1_000_000_000
"""PostgreSQL stops taking writes a little after two thousand million."""
CONNECTIONS_SHARE = 0.8
RETAINED_BYTES = 1 << 30
LONG_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    alias: str
    severity: Severity
    what: str
    remedy: str


def examine(alias: str, plan: migrating.Plan | None = None) -> list[Finding]:
    """Everything found about one database; that it cannot be asked is a finding too. About ten queries."""
    found: list[Finding] = []
    try:
        with deadline(LOOKING_SECONDS), connections[alias].cursor() as cursor:
            for look in _LOOKS:
                found += (Finding(alias, *finding) for finding in look(cursor))
        lacking = len(migrating.pending(alias, plan))
        if lacking:
            found.append(Finding(alias, "error", f"lacks {lacking} migrations", "manage.py shard migrate"))
        found += [
            Finding(alias, "error", f"{table} lacks {name}", "manage.py shard migrate")
            for table, name in schema.missing(connections[alias])
        ]
        if topology.current().holds_buckets(alias):
            found += _ownership(alias)
            found += (Finding(alias, *finding) for finding in promotion.findings(alias))
    except Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        found.append(Finding(alias, "error", f"does not answer: {reason}", "start it, or look at DATABASES"))
        connections[alias].close()
    return found


def examine_map() -> list[Finding]:
    """The map itself: there, sound, and what this process goes by."""
    try:
        newest = directory.read()
        maps.check(newest, connections.databases.keys())
    except DirectoryUnavailable as error:
        return [Finding(DEFAULT_DB_ALIAS, "error", str(error), "routing goes on; moves and new maps wait for it")]
    except ShardingError as error:
        return [Finding(DEFAULT_DB_ALIAS, "error", str(error), "add what is missing, or undo the last change")]
    if newest.epoch == 0:
        return [Finding(DEFAULT_DB_ALIAS, "error", "the directory has no map yet", "manage.py shard migrate")]
    found = []
    if newest.epoch < topology.current().epoch:
        what = f"the directory has map {newest.epoch}, this process knows {topology.current().epoch} already"
        found.append(Finding(DEFAULT_DB_ALIAS, "error", what, "was it restored? store the newest map again"))
    for name, keyspace in newest.keyspaces.items():
        for first, last, alias in keyspace.copies:
            what = f"holds buckets {first} to {last} of {name}, which it does not own"
            found.append(Finding(alias, "warning", what, "a move is under way, or waits for manage.py shard cleanup"))
    return found


def _ownership(alias: str) -> list[Finding]:
    with connections[alias].cursor() as cursor:
        parts = ownership.parts(cursor)
    found = []
    for keyspace in topology.keyspaces().values():
        if alias not in keyspace.databases:
            continue
        lost = ownership.unowned(parts, keyspace, alias)
        if lost:
            what = f"the map gives it {len(lost)} buckets of {keyspace.name} that it does not own, such as {min(lost)}"
            found.append(Finding(alias, "error", what, "manage.py shard verify; a killed move is resumed"))
        stolen = [
            bucket
            for part in parts
            if part.keyspace == keyspace.name and part.state == "owned"
            for first, last in part.buckets
            for bucket in range(first, last + 1)
            if keyspace.alias_of[bucket] != alias
        ]
        if stolen:
            what = (
                f"it owns {len(stolen)} buckets of {keyspace.name} that the map gives to others, such as {min(stolen)}"
            )
            found.append(Finding(alias, "error", what, "manage.py shard verify; a killed move is resumed"))
    return found


Found = Iterator[tuple[Severity, str, str]]


def _clock(cursor: Any) -> Found:
    before = dt.datetime.now(dt.UTC)
    cursor.execute("SELECT clock_timestamp()")
    (theirs,) = cursor.fetchone()
    after = dt.datetime.now(dt.UTC)
    off = (theirs - before - (after - before) / 2).total_seconds()
    if abs(off) > CLOCK_SECONDS:
        yield "warning", f"its clock is {off:+.1f} s from this machine's", "set the clocks (NTP)"


def _ids(cursor: Any) -> Found:
    cursor.execute("SELECT to_regclass(%s)", [names.SEQUENCE])
    if cursor.fetchone()[0] is None:
        return
    cursor.execute(
        f"SELECT (last_value >> {BUCKET_SHIFT}) + {EPOCH_MS} - extract(epoch FROM clock_timestamp()) * 1000 "  # noqa: S608
        f"FROM {names.SEQUENCE}"
    )
    ahead = float(cursor.fetchone()[0]) / 1000
    if ahead > ID_CLOCK_SECONDS:
        yield "warning", f"its ids are {ahead:.0f} s ahead of its clock", "was the clock set back? ids stay unique"


def _transaction_ids(cursor: Any) -> Found:
    cursor.execute("SELECT max(age(datfrozenxid)) FROM pg_database WHERE datname = current_database()")
    (age,) = cursor.fetchone()
    if age > OLD_TRANSACTION_IDS:
        yield (
            "error",
            f"its oldest transaction id is {age:,} old",
            "VACUUM (FREEZE), and find what keeps it from working",
        )


def _connections(cursor: Any) -> Found:
    cursor.execute("SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity")
    used, most = cursor.fetchone()
    if used > CONNECTIONS_SHARE * most:
        yield "warning", f"{used} of {most} connections are in use", "put PgBouncer before it, or raise max_connections"


def _long_transactions(cursor: Any) -> Found:
    cursor.execute(
        "SELECT pid, extract(epoch FROM clock_timestamp() - xact_start)::int FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_type = 'client backend' "
        "AND xact_start < clock_timestamp() - make_interval(secs => %s) ORDER BY 2 DESC",
        [LONG_SECONDS],
    )
    for pid, seconds in cursor.fetchall():
        yield "warning", f"a transaction of process {pid} is open for {seconds} s", "moves and migrations wait for it"
    cursor.execute("SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::int FROM pg_prepared_xacts")
    for gid, seconds in cursor.fetchall():
        yield "warning", f"transaction {gid!r} is prepared for {seconds} s", "COMMIT PREPARED or ROLLBACK PREPARED"


def _indexes(cursor: Any) -> Found:
    cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    for (name,) in cursor.fetchall():
        yield "warning", f"index {name} is not valid", "manage.py shard migrate makes it anew"


def _slots(cursor: Any) -> Found:
    cursor.execute(
        "SELECT slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots "
        "WHERE database = current_database() AND NOT pg_is_in_recovery()"
    )
    for name, is_active, retained in cursor.fetchall():
        if retained is not None and retained > RETAINED_BYTES:
            yield (
                "error",
                f"slot {name} keeps {retained / RETAINED_BYTES:.1f} GB of WAL" + ("" if is_active else ", for nobody"),
                "finish or clean up the move it belongs to, or drop it",
            )


_LOOKS: tuple[Callable[[Any], Found], ...] = (
    _clock,
    _ids,
    _transaction_ids,
    _connections,
    _long_transactions,
    _indexes,
    _slots,
)
