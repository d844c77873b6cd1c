"""One direction of replication of a range: a publication and a slot at one database, a subscription at the other.

Everything here may be repeated: what is there is left, what is gone is not missed.
"""

import time
from dataclasses import dataclass

import psycopg

from sharding import names
from sharding.errors import MoveStopped
from sharding.moves import servers
from sharding.moves.servers import Session
from sharding.moves.tables import Table, quoted

DROPPING_SECONDS = 20.0
"""How long a slot may be busy after its subscription is gone."""


@dataclass(frozen=True, slots=True)
class Link:
    """From ``publisher`` to ``subscriber``; publication, slot and subscription are all called ``name``."""

    name: str
    publisher: Session
    subscriber: Session
    tables: tuple[Table, ...]
    first: int
    last: int
    marks: int
    """Whose rows of the marker table come along; each direction has a number of its own."""

    # Building.

    def publish(self) -> None:
        """Changes of the range's rows, never TRUNCATE: row filters do not apply to it."""
        if self.is_published:
            return
        parts = [f"{table.quoted} WHERE ({table.within(self.first, self.last)})" for table in self.tables]
        parts.append(f"{names.MARKER_TABLE} WHERE (move = {self.marks})")
        self.publisher.run(
            f"CREATE PUBLICATION {self.name} FOR TABLE {', '.join(parts)} WITH (publish = 'insert, update, delete')"
        )

    def open_slot(self) -> None:
        """Keep the publisher's changes from now on. Waits for every transaction of the server that is writing now."""
        if self.slot is None:
            self.publisher.rows("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", self.name)

    def subscribe(self, *, copy: bool) -> None:
        """Apply what the slot keeps, after a copy of all that is there if ``copy``."""
        if self.is_subscribed:
            return
        wanted = {"create_slot": "false", "slot_name": f"'{self.name}'", "copy_data": str(copy).lower()}
        if self.subscriber.version >= 160_000:
            # Before, the first copy could not be binary; and without "none", changes could go round in circles.
            wanted |= {"binary": str(_has_binary_forms(self.publisher, self.tables)).lower(), "origin": "none"}
            if copy:
                wanted["origin"] = "any"  # rows that came to the publisher by an earlier move
        options = ", ".join(f"{key} = {value}" for key, value in wanted.items())
        where = servers.conninfo(self.publisher.alias).replace("'", "''")
        self.subscriber.run(
            f"CREATE SUBSCRIPTION {self.name} CONNECTION '{where}' PUBLICATION {self.name} WITH ({options})"
        )

    # Looking.

    @property
    def is_published(self) -> bool:
        return bool(self.publisher.value("SELECT true FROM pg_publication WHERE pubname = %s", self.name))

    @property
    def is_subscribed(self) -> bool:
        return bool(self.subscriber.value(f"SELECT true {_SUBSCRIPTION}", self.name))

    @property
    def slot(self) -> str | None:
        """``wal_status`` of the slot; None where there is none."""
        found = self.publisher.rows(
            "SELECT coalesce(wal_status, 'reserved') FROM pg_replication_slots WHERE slot_name = %s", self.name
        )
        return str(found[0][0]) if found else None

    def states(self) -> dict[str, str]:
        """By table: ``i``, ``d``, ``f``, ``s``, or ``r`` once it is copied and takes part in the stream."""
        rows = self.subscriber.rows(
            "SELECT c.relname, r.srsubstate::text FROM pg_subscription_rel r JOIN pg_class c ON c.oid = r.srrelid "
            f"WHERE r.srsubid = (SELECT oid {_SUBSCRIPTION})",
            self.name,
        )
        return dict(rows)

    def copied(self) -> dict[str, int]:
        """Rows copied so far, of the tables that are being copied now."""
        return dict(
            self.subscriber.rows(
                "SELECT c.relname, p.tuples_processed FROM pg_stat_progress_copy p JOIN pg_class c ON c.oid = p.relid "
                "JOIN pg_stat_subscription s ON s.pid = p.pid WHERE s.subname = %s AND p.datname = current_database()",
                self.name,
            )
        )

    def failures(self) -> int:
        """How often applying or copying has failed; the server tries again by itself."""
        return int(
            self.subscriber.value(
                "SELECT apply_error_count + sync_error_count FROM pg_stat_subscription_stats "
                f"WHERE subid = (SELECT oid {_SUBSCRIPTION})",
                self.name,
            )
            or 0
        )

    def check(self) -> None:
        """Raise ``MoveStopped`` when the link is broken for good."""
        if self.slot in (None, "lost"):
            raise MoveStopped(
                f"slot {self.name} of {self.publisher.alias} is gone, and with it changes that were not copied: the "
                "server was replaced, or max_slot_wal_keep_size is too small; give the move up with shard rollback"
            )

    # Markers: what was committed before one at the publisher has arrived when it has.

    def mark(self) -> int:
        return int(
            self.publisher.value(
                f"INSERT INTO {names.MARKER_TABLE} (move, mark) "
                f"SELECT %s, coalesce(max(mark), 0) + 1 FROM {names.MARKER_TABLE} WHERE move = %s RETURNING mark",
                self.marks,
                self.marks,
            )
        )

    def has_arrived(self, mark: int) -> bool:
        found = self.subscriber.value(
            f"SELECT true FROM {names.MARKER_TABLE} WHERE move = %s AND mark = %s", self.marks, mark
        )
        return bool(found)

    def wait_for(self, mark: int, seconds: float) -> bool:
        """Whether the mark came within that time."""
        until = time.monotonic() + seconds
        while not self.has_arrived(mark):
            if time.monotonic() > until:
                return False
            time.sleep(0.0005)
        return True

    # Taking down, in this order.

    def unsubscribe(self) -> None:
        if not self.is_subscribed:
            return
        self.subscriber.run(f"ALTER SUBSCRIPTION {self.name} DISABLE")
        self.subscriber.run(f"ALTER SUBSCRIPTION {self.name} SET (slot_name = NONE)")  # the slot is ours to drop
        self.subscriber.run(f"DROP SUBSCRIPTION {self.name}")

    def close_slot(self) -> None:
        until = time.monotonic() + DROPPING_SECONDS
        while self.slot is not None:
            try:
                self.publisher.rows("SELECT pg_drop_replication_slot(%s)", self.name)
            except psycopg.errors.ObjectInUse:
                if time.monotonic() > until:
                    raise
                self.publisher.rows(
                    "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                    "WHERE slot_name = %s AND active_pid IS NOT NULL",
                    self.name,
                )
                time.sleep(0.02)
            except psycopg.errors.UndefinedObject:
                return

    def unpublish(self) -> None:
        self.publisher.run(f"DROP PUBLICATION IF EXISTS {self.name}")

    def take_down(self) -> None:
        self.unsubscribe()
        self.close_slot()
        self.unpublish()


_SUBSCRIPTION = (
    "FROM pg_subscription WHERE subname = %s "
    "AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _has_binary_forms(session: Session, tables: tuple[Table, ...]) -> bool:
    """Whether every column can be sent and read in binary."""
    return not session.value(
        "SELECT true FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = ANY(%s::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped "
        "AND (t.typsend = 0 OR t.typreceive = 0) LIMIT 1",
        [quoted(table.name) for table in tables],
    )
