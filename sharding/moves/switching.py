"""The moment in which a range changes hands: the only part of a move that writers notice.

In this order, whoever dies where: nobody writes at the old home, all that was written there is at the new home, the map
says so, the new home is open. So a reader with the newest map never reads a home that can be behind another one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models.functions import Now
from django.db.utils import DatabaseError

from sharding import deadlines, directory, maps, names
from sharding.errors import ChangeInDoubt, DirectoryUnavailable, MapConflict, MoveStopped
from sharding.models import Move
from sharding.moves import work as works
from sharding.moves.links import Link
from sharding.moves.servers import Session
from sharding.moves.work import RANGE, Work, with_copy, without_copy
from sharding.schema import AHEAD
from sharding.topology import Keyspace, ShardMap

LOCK_MS = (40, 80, 160, 300)
"""How long each try waits for writers that are under way. The others wait behind it, for nothing if it fails."""
ARRIVAL_SECONDS = 2.0
"""How long writers may wait for what they wrote to arrive; beyond it the old home is opened again."""
IN_DOUBT_SECONDS = 5.0
"""How long the buckets stay locked when the directory was lost in the very moment of storing the map."""


class NotNow(Exception):
    """The range cannot change hands at this moment; nothing has changed. Try again later."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Hands the range of a move from ``old`` to ``new``, over ``link``."""

    work: Work
    old: Session
    new: Session
    link: Link
    way_back: Link | None
    """Whose slot shall keep what is written at the new home, and nothing that came there before."""
    then: str
    """The step to be recorded together with the new map."""

    def attempt(self, number: int) -> None:
        """One try, the ``number``-th. Raises ``NotNow`` when it was in vain, and then nothing has changed."""
        try:
            # Ahead, as it takes its time; and whether the directory answers, before any writer is stopped.
            flipped = directory.prepared(self.work.edit(self._flipped))
        except DirectoryUnavailable as error:
            raise NotNow(str(error)) from error
        works.passed("switch: locking")
        with self._locked(LOCK_MS[min(number, len(LOCK_MS) - 1)]):
            works.passed("switch: locked")
            with self._fenced(flipped.epoch) as (mark, last_id):
                works.passed("switch: fenced")
                if not self.link.wait_for(mark, ARRIVAL_SECONDS):
                    raise NotNow(f"what was written at {self.old.alias} did not arrive in {ARRIVAL_SECONDS:.0f} s")
                works.passed("switch: arrived")
                self._adopt(last_id)
                works.passed("switch: adopted")
                epoch = self._flip(flipped)
            works.passed("switch: flipped")
            self._open(epoch)
            works.passed("switch: opened")
        works.passed("switch: released")

    def open(self) -> None:
        """Let the new home be written, once all that the old one had is there. Repeating it changes nothing."""
        waiting = self.new.value(
            f"SELECT count(*) FROM {names.BUCKET_TABLE} WHERE {RANGE} AND state <> 'owned'", *self.work.range
        )
        if not waiting:
            return
        mark = self.old.value(f"SELECT max(mark) FROM {names.MARKER_TABLE} WHERE move = %s", self.link.marks)
        if not self.link.wait_for(int(mark), self.work.patience):  # again: a crash of the new home may have undone it
            raise MoveStopped(
                f"what was written at {self.old.alias} does not arrive at {self.new.alias}; look at its log"
            )
        self._adopt(self.old.value(f"SELECT last_value FROM {names.SEQUENCE}"))
        self._open(directory.read().epoch)

    def _open(self, epoch: int) -> None:
        self.new.run(
            f"UPDATE {names.BUCKET_TABLE} SET state = 'owned', moved_to = NULL, epoch = %s "
            f"WHERE {RANGE} AND state <> 'owned'",
            epoch,
            *self.work.range,
        )

    def reopen(self, epoch: int) -> None:
        """Undo the fence. Only while the map gives the range to the old home and the new one is closed."""
        self.old.run(
            f"UPDATE {names.BUCKET_TABLE} SET state = 'owned', moved_to = NULL, epoch = %s "
            f"WHERE {RANGE} AND state = 'moved' AND moved_to = %s",
            epoch,
            *self.work.range,
            self.new.alias,
        )

    # The parts, in their order. Writers wait for each word between us and a server, so there are few of them.

    @contextmanager
    def _locked(self, milliseconds: int) -> Iterator[None]:
        """All buckets of the range, alone, in both databases: writers wait, wherever their map sends them."""
        number, first, last = names.bucket_class(self.work.move.keyspace), self.work.move.first, self.work.move.last
        lock(self.new, number, first, last, milliseconds)  # nobody writes there, so that only the other one takes time
        try:
            lock(self.old, number, first, last, milliseconds)
            try:
                yield
            finally:
                unlock(self.old, number, first, last)  # where most writers wait
        finally:
            unlock(self.new, number, first, last)

    @contextmanager
    def _fenced(self, epoch: int) -> Iterator[tuple[int, int]]:
        """The old home closed; gives a mark that everything written there has gone before, and its last id.

        It is opened again when the block fails, unless the new map may have been stored.
        """
        closed, mark, last_id = self.old.rows(
            _FENCE, self.new.alias, epoch, *self.work.range, self.new.alias, self.link.marks, self.link.marks
        )[0]
        try:
            if closed != self.work.move.buckets:
                raise MoveStopped(f"{self.old.alias} no longer owns all of the range; run shard verify")
            yield mark, last_id
        except ChangeInDoubt as error:
            raise MoveStopped(
                f"the directory was lost while it stored the new map, so buckets {self.work.move.first} to "
                f"{self.work.move.last} are written nowhere; resume the move as soon as it is back"
            ) from error
        except BaseException as error:
            with suppress(psycopg.Error):  # should the old home itself be lost, the first error says so
                self.reopen(epoch)
            if isinstance(error, DirectoryUnavailable):
                raise NotNow(str(error)) from error
            raise

    def _adopt(self, last_id: int) -> None:
        """Make ids and the way back ready at the new home, and what has arrived there durable.

        The new home's ids go on above the last one of the old home, however the two clocks differ: no writer has to
        wait for a clock. The lead over that one keeps what others draw at the new home just now from being drawn again.
        The commit waits for the disk; replication's own commits, which lie before it in the log, do not.
        """
        self.new.together(
            f"SELECT pg_advisory_xact_lock({names.ADVISORY_CLASS}, {names.CLOCK_LOCK})",
            f"SELECT setval('{names.SEQUENCE}', {last_id + AHEAD}) FROM {names.SEQUENCE} WHERE last_value <= {last_id}",
            "SELECT pg_logical_emit_message(true, 'sharding', '')",
        )
        if self.way_back is not None:
            self.new.rows("SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())", self.way_back.name)

    def _flip(self, flipped: ShardMap) -> int:
        """Store the new map, and in the same transaction that the move has come so far; the map's epoch."""
        until = time.monotonic() + IN_DOUBT_SECONDS
        doubt: ChangeInDoubt | None = None
        while True:
            try:
                with deadlines.deadline(works.DIRECTORY_SECONDS):
                    if doubt is not None and self._is_stored():
                        return directory.read().epoch
                    return directory.store(flipped, str(self.work.move), within=self._record).epoch
            except MapConflict:
                flipped = directory.prepared(self.work.edit(self._flipped))
                continue
            except KeyboardInterrupt as error:
                raise ChangeInDoubt("interrupted") from error
            except ChangeInDoubt as error:
                doubt = error
            except DirectoryUnavailable:
                if doubt is None:
                    raise
            connections[DEFAULT_DB_ALIAS].close()
            if time.monotonic() > until:
                raise doubt
            time.sleep(0.05)

    def _is_stored(self) -> bool:
        """After a COMMIT whose answer was lost: waits for a transaction that may still be under way."""
        try:
            with transaction.atomic(using=DEFAULT_DB_ALIAS):
                return Move.objects.select_for_update().get(pk=self.work.move.pk).step == self.then
        except DatabaseError as error:
            raise DirectoryUnavailable(f"the directory does not say how far the move has come: {error}") from error

    def _record(self) -> None:
        self.work.record_now(step=self.then, switched_at=Now(), note="")

    def _flipped(self, keyspace: Keyspace) -> Keyspace:
        move = self.work.move
        changed = maps.assigned(keyspace, move.first, move.last, self.new.alias)
        return with_copy(without_copy(changed, self.work.copy_at(self.new)), self.work.copy_at(self.old))


_FENCE = f"""
WITH fenced AS (
  UPDATE {names.BUCKET_TABLE} SET state = 'moved', moved_to = %s, epoch = %s
  WHERE {RANGE} AND (state = 'owned' OR state = 'moved' AND moved_to = %s) RETURNING 1
), marked AS (
  INSERT INTO {names.MARKER_TABLE} (move, mark)
  SELECT %s, coalesce(max(mark), 0) + 1 FROM {names.MARKER_TABLE} WHERE move = %s RETURNING mark
)
SELECT (SELECT count(*) FROM fenced), (SELECT mark FROM marked), (SELECT last_value FROM {names.SEQUENCE})
"""


def lock(session: Session, number: int, first: int, last: int, milliseconds: int) -> None:
    """Take the locks of all these buckets alone; raises ``NotNow``, and has none, when their writers take too long."""
    try:
        session.together(
            f"SET LOCAL lock_timeout = {milliseconds}",
            f"SET LOCAL statement_timeout = {2 * milliseconds}",
            f"SELECT count(pg_advisory_lock({number}, b)) FROM generate_series({first}, {last}) b",
        )
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected) as error:
        session.rows(  # those it got are kept although the statement failed
            "SELECT count(pg_advisory_unlock(classid::bigint::int, objid::bigint::int)) FROM pg_locks WHERE granted "
            "AND locktype = 'advisory' AND pid = pg_backend_pid() AND classid::bigint = %s AND objsubid = 2",
            number,
        )
        raise NotNow(f"writers of {session.alias} did not finish in {milliseconds} ms") from error


def unlock(session: Session, number: int, first: int, last: int) -> None:
    """Give back what ``lock`` took."""
    if not session.connection.closed:
        session.rows(f"SELECT count(pg_advisory_unlock({number}, b)) FROM generate_series({first}, {last}) b")


def holders(session: Session, number: int, first: int, last: int) -> list[str]:
    """Who holds locks of these buckets now, as sentences."""
    return [
        text
        for (text,) in session.rows(
            "SELECT DISTINCT CASE WHEN l.pid IS NULL THEN 'a prepared transaction ' || coalesce(x.gid, '') "
            "|| ' of ' || coalesce(x.prepared::text, '') "
            "ELSE 'pid ' || l.pid || ' (' || coalesce(a.application_name, '') || '), ' "
            "|| coalesce(a.state, '') || ', its transaction ' "
            "|| round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 1) || ' s old' END "
            "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
            "LEFT JOIN pg_locks t ON l.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid' "
            "AND t.virtualtransaction = l.virtualtransaction "
            "LEFT JOIN pg_prepared_xacts x ON x.transaction = t.transactionid "
            "WHERE l.locktype = 'advisory' AND l.classid::bigint = %s AND l.objid::bigint BETWEEN %s AND %s "
            "AND l.objsubid = 2 AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            number,
            first,
            last,
        )
    ]
