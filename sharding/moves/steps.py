"""What a move does, in which order, and how each part of it is undone.

Each step may be done again after any part of it: that is how a move goes on after its runner was killed. What must hold
when is said in ``docs/adr/0014-moves-flip-before-they-open.md``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sharding import names
from sharding.conf import options
from sharding.errors import MoveStopped
from sharding.models import Move
from sharding.moves import checks, switching
from sharding.moves.clearing import clear
from sharding.moves.links import Link
from sharding.moves.switching import NotNow, Switch
from sharding.moves.work import RANGE, Work, with_copy, without_copy

READY_SECONDS = 0.1
"""A move is switched when replication is that close behind; writers will wait about as long."""
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between tries to switch."""
TOLERATED_FAILURES = 3
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    do: Callable[[Work], None]
    undo: Callable[[Work], None] = lambda work: None


def _wait_a_lease(work: Work) -> None:
    work.say(f"waiting a lease ({options().lease_seconds:g} s), until every process goes by this map")
    time.sleep(options().lease_seconds)


# Until the switch.


def announce(work: Work) -> None:
    """From here on nobody takes rows of the range at the target for rows of the keyspace."""
    copy = work.copy_at(work.target)
    work.change_map(lambda keyspace: with_copy(keyspace, copy), f"{work.target.alias} gets a copy")


def withdraw(work: Work) -> None:
    copy = work.copy_at(work.target)
    work.change_map(lambda keyspace: without_copy(keyspace, copy), f"{work.target.alias} has no copy any more")


def claim(work: Work) -> None:
    """The target itself says that it is being filled, for processes that cannot ask the directory."""
    keyspace, first, last = work.range
    work.target.run(
        f"INSERT INTO {names.BUCKET_TABLE} AS b (keyspace, bucket, state, epoch) "
        "SELECT %s, n, 'importing', 0 FROM generate_series(%s::int, %s::int) n "
        "ON CONFLICT (keyspace, bucket) DO UPDATE SET state = 'importing', moved_to = NULL WHERE b.state = 'moved'",
        keyspace,
        first,
        last,
    )
    importing = work.target.value(
        f"SELECT count(*) FROM {names.BUCKET_TABLE} WHERE {RANGE} AND state = 'importing'",
        *work.range,
    )
    if importing != work.move.buckets:
        raise MoveStopped(
            f"{work.target.alias} owns some of the range; run shard verify, then shard rollback {work.move.pk}"
        )
    _wait_a_lease(work)


def unclaim(work: Work) -> None:
    clear(work, work.target)
    work.target.run(
        f"DELETE FROM {names.BUCKET_TABLE} WHERE {RANGE} AND state = 'importing'",
        *work.range,
    )


def publish(work: Work) -> None:
    # Mark 0 keeps TRUNCATE away; before the publication, whose making waits for a TRUNCATE that did not see it.
    work.source.run(
        f"INSERT INTO {names.MARKER_TABLE} (move, mark) VALUES (%s, 0) ON CONFLICT DO NOTHING", work.out.marks
    )
    work.out.publish()


def unpublish(work: Work) -> None:
    work.out.unpublish()
    _remove_marks(work)


def keep_changes(work: Work) -> None:
    work.say(f"waiting for the transactions that are writing at {work.source.alias}'s server now")
    work.out.open_slot()


def subscribe(work: Work) -> None:
    work.out.subscribe(copy=True)


def copy(work: Work) -> None:
    """Wait until all tables are copied, then let the planner know them."""
    began, failures = time.monotonic(), work.out.failures()
    while True:
        states = work.out.states()
        left = [name for name, state in states.items() if state != "r"]
        if not left:
            break
        done = sum(work.move.rows.get(name, 0) for name in states if name not in left) + sum(work.out.copied().values())
        rate = done / max(time.monotonic() - began, 0.1)
        work.say(f"copying: {len(states) - len(left)} of {len(states)} tables, about {done:,} rows, {rate:,.0f}/s")
        _look_after(work.out, failures)
        time.sleep(POLL_SECONDS)
    for table in work.tables:
        work.target.run(f"ANALYZE {table.quoted}")


def prepare_way_back(work: Work) -> None:
    """A slot at the target, so that what will be written there is kept for the old copy."""
    work.back.publish()
    work.say(f"waiting for the transactions that are writing at {work.target.alias}'s server now")
    work.back.open_slot()


def catch_up(work: Work) -> None:
    checks.check_structure(work)
    _catch_up(work, work.out)


def _catch_up(work: Work, link: Link) -> None:
    failures = link.failures()
    until = time.monotonic() + work.patience
    while (lag := _lag(link, READY_SECONDS * 20)) > READY_SECONDS:
        work.say(f"catching up: {lag:.1f} s behind")
        _look_after(link, failures)
        if time.monotonic() > until:
            raise MoveStopped(
                f"{link.subscriber.alias} stays {lag:.1f} s behind; resume the move when there is less to do"
            )


def _lag(link: Link, at_most: float) -> float:
    began = time.monotonic()
    link.wait_for(link.mark(), at_most)
    return time.monotonic() - began


def _look_after(link: Link, failures: int) -> None:
    link.check()
    failed = link.failures() - failures
    if failed >= TOLERATED_FAILURES:
        raise MoveStopped(
            f"{link.subscriber.alias} failed {failed} times to apply what comes from {link.publisher.alias}; its log "
            "says why. Put that right and resume the move, or give it up with shard rollback"
        )


def switch(work: Work) -> None:
    _switch(work, there(work), checks.check_structure)


def there(work: Work) -> Switch:
    return Switch(work, work.source, work.target, work.out, work.back, then="open")


def back(work: Work) -> Switch:
    return Switch(work, work.target, work.source, work.back, None, then="open again")


def _switch(work: Work, attempt: Switch, check: Callable[[Work], None]) -> None:
    until = time.monotonic() + work.patience
    number = 0
    while True:
        check(work)
        _catch_up(work, attempt.link)
        if attempt.way_back is not None:  # so that there is little left to skip while writers wait
            attempt.new.rows(
                "SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())", attempt.way_back.name
            )
        try:
            attempt.attempt(number)
        except NotNow as error:
            number += 1
            keyspace, first, last = work.range
            held = switching.holders(attempt.old, names.bucket_class(keyspace), first, last)
            reason = f"not switched in {number} tries: {error}" + "".join(f"; held by {one}" for one in held[:3])
            if time.monotonic() > until:
                raise MoveStopped(f"{reason}; resume the move later") from error
            work.say(reason)
            time.sleep(PAUSES[min(number, len(PAUSES)) - 1])
        else:
            return


def undo_switch(work: Work) -> None:
    """Open the source again, where a killed runner had closed it. The map has not been changed."""
    there(work).reopen(0)


# After the switch.


def open_target(work: Work) -> None:
    there(work).open()


def detach(work: Work) -> None:
    work.out.take_down()


def follow(work: Work) -> None:
    """The old copy takes part in what is written at the new home, so that the move can be undone without loss."""
    work.back.subscribe(copy=False)


MOVING = (
    Step("check", checks.check),
    Step("announce", announce, withdraw),
    Step("claim", claim, unclaim),
    Step("publish", publish, unpublish),
    Step("keep changes", keep_changes, lambda work: work.out.close_slot()),
    Step("subscribe", subscribe, lambda work: work.out.unsubscribe()),
    Step("copy", copy),
    Step("prepare way back", prepare_way_back, lambda work: work.back.take_down()),
    Step("catch up", catch_up),
    Step("switch", switch, undo_switch),
    Step("open", open_target),
    Step("detach", detach),
    Step("follow", follow),
)
"""In this order; given up before ``open``, ``undo`` in the reverse order."""


def catch_up_back(work: Work) -> None:
    work.back.check()
    _catch_up(work, work.back)


def switch_back(work: Work) -> None:
    _switch(work, back(work), checks.check_structure)


def open_source(work: Work) -> None:
    back(work).open()


def detach_back(work: Work) -> None:
    work.back.take_down()


def clear_target(work: Work) -> None:
    _wait_a_lease(work)
    clear(work, work.target)
    _remove_marks(work)


def clear_source(work: Work) -> None:
    _wait_a_lease(work)
    clear(work, work.source)
    _remove_marks(work)


def withdraw_source(work: Work) -> None:
    copy = work.copy_at(work.source)
    work.change_map(lambda keyspace: without_copy(keyspace, copy), f"{work.source.alias} has no copy any more")


RETURNING = (
    Step("catch up back", catch_up_back),
    Step("switch back", switch_back),
    Step("open again", open_source),
    Step("detach back", detach_back),
    Step("clear target", clear_target),
    Step("withdraw", withdraw),
)
CLEANING = (
    Step("detach back", detach_back),
    Step("clear source", clear_source),
    Step("withdraw", withdraw_source),
)
STEPS = {
    Move.Phase.MOVING: (MOVING, Move.Phase.KEPT),
    Move.Phase.RETURNING: (RETURNING, Move.Phase.UNDONE),
    Move.Phase.CLEANING: (CLEANING, Move.Phase.DONE),
    Move.Phase.UNDOING: (
        tuple(Step(f"undo {step.name}", step.undo) for step in reversed(MOVING[:-3])),
        Move.Phase.UNDONE,
    ),
}
"""By phase: its steps, and the phase that follows."""


def _remove_marks(work: Work) -> None:
    for session in (work.source, work.target):
        session.run(f"DELETE FROM {names.MARKER_TABLE} WHERE move IN (%s, %s)", work.move.pk, -work.move.pk)
