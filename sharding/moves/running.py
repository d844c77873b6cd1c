"""Carries a move from step to step, and remembers in the directory how far it has come."""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import psycopg
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from sharding import directory, names
from sharding.conf import options
from sharding.errors import MoveRefused, MoveStopped, ShardingError, first_line
from sharding.ids import BUCKETS
from sharding.models import Move
from sharding.moves import steps, verifying
from sharding.moves import work as works
from sharding.moves.verifying import Finding
from sharding.moves.work import Report, Work, taken

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 600.0
LEFT_FOR = timedelta(seconds=15)
"""A move that was entered, or made its last step, so lately is not taken for abandoned."""
Phase = Move.Phase


def _quietly(text: str) -> None:
    pass


def start(keyspace: str, first: int, last: int, *, source: str, target: str) -> Move:
    """Enter a move in the directory; ``run`` carries it out. Raises ``MoveRefused`` where it cannot be.

    Only one move may be at work on a range, and none while databases are migrated.
    """
    known = directory.read().keyspaces
    if keyspace not in known:
        raise MoveRefused(f"no keyspace is called {keyspace!r}; there are {', '.join(sorted(known))}")
    if not 0 <= first <= last < BUCKETS:
        raise MoveRefused(f"{first}-{last} is no range of buckets; the first is 0, the last 9999")
    if source == target:
        raise MoveRefused(f"{keyspace} {first}-{last} is at {target} already; name another database")
    for alias in (source, target):
        if alias not in known[keyspace].databases:
            raise MoveRefused(f"{alias} has no tables of {keyspace}; add it to SHARDING['SPARES']")
    with transaction.atomic(using=DEFAULT_DB_ALIAS, durable=True), connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [names.ADVISORY_CLASS, names.MIGRATING_LOCK])
        if not cursor.fetchone()[0]:
            raise MoveRefused("the databases are being migrated, or another move is being entered; try again then")
        for other in Move.objects.exclude(phase__in=(Phase.DONE, Phase.UNDONE)).filter(
            keyspace=keyspace, first__lte=last, last__gte=first
        ):
            raise MoveRefused(
                f"{other} is {other.phase}; finish it first, with shard cleanup or shard rollback {other.pk}"
            )
        return Move.objects.create(
            keyspace=keyspace,
            first=first,
            last=last,
            source=source,
            target=target,
            tag=secrets.token_hex(4),
            step=steps.MOVING[0].name,
        )


def run(move_id: int, *, report: Report = _quietly, patience: float = PATIENCE_SECONDS) -> Move:
    """Carry the move on until it is ``kept``, ``done`` or ``undone``. Repeat it after any end but that.

    Raises ``MoveRefused`` while somebody else is at it, or where it would not be safe, and ``MoveStopped`` where it got
    stuck for longer than ``patience`` seconds.
    """
    with _carrying(move_id, report, patience) as work:
        return _go_on(work)


def rollback(move_id: int, *, report: Report = _quietly, patience: float = PATIENCE_SECONDS) -> Move:
    """Undo the move, with all that was written meanwhile kept. Possible until it is cleaned up.

    Before the switch nobody notices; after it the range changes hands once more.
    """
    with _carrying(move_id, report, patience) as work:
        move = work.move
        if move.phase == Phase.MOVING and move.step in [step.name for step in steps.MOVING[-3:]]:
            _go_on(work)
        if move.phase == Phase.MOVING:
            work.record(phase=Phase.UNDOING, step=f"undo {move.step}")
        elif move.phase == Phase.KEPT:
            work.record(phase=Phase.RETURNING, step=steps.RETURNING[0].name)
        elif move.phase in (Phase.CLEANING, Phase.DONE):
            raise MoveRefused(f"{move} is {move.phase}: the old copy is gone; move the range back instead")
        return _go_on(work)


def cleanup(move_id: int, *, now: bool = False, report: Report = _quietly, patience: float = PATIENCE_SECONDS) -> Move:
    """Delete the old copy. Refused until it was kept for ``copied_seconds``, unless ``now``."""
    with _carrying(move_id, report, patience) as work:
        move = work.move
        if move.phase == Phase.KEPT:
            until = kept_until(move)
            if not now and datetime.now(UTC) < until:
                raise MoveRefused(f"{move} can be undone until {until:%H:%M:%S} UTC; say --now to give that up")
            work.record(phase=Phase.CLEANING, step=steps.CLEANING[0].name)
        elif move.phase not in (Phase.CLEANING, Phase.DONE):
            raise MoveRefused(f"{move} is {move.phase}; only a finished move is cleaned up")
        return _go_on(work)


def resume_abandoned(*, report: Report = _quietly, patience: float = PATIENCE_SECONDS) -> list[Move]:
    """Carry on every move that is under way and that nobody is at; those carried on. For a schedule."""
    found = []
    for move in Move.objects.filter(phase__in=steps.STEPS):
        try:
            found.append(run(move.pk, report=report, patience=patience))
        except MoveRefused:
            continue  # somebody is at it
    return found


def look_after(*, patience: float) -> None:
    """What a schedule has to do: go on with moves that nobody has been at for a while, clean up those that are due.

    Repeat it every minute or so; each move gets ``patience`` seconds, and may be interrupted anywhere. One that cannot
    go on is logged and does not keep the others. 2 queries where there is nothing to do.
    """
    left = Move.objects.filter(phase__in=steps.STEPS, changed_at__lt=datetime.now(UTC) - LEFT_FOR)
    for move in left:
        _tried(move, run, patience)
    for move in due_for_cleanup():
        _tried(move, cleanup, patience)


def _tried(move: Move, work: Callable[..., Move], patience: float) -> None:
    try:
        work(move.pk, patience=patience)
    except MoveRefused:
        pass  # somebody is at it
    except (ShardingError, Error) as error:
        logger.warning("sharding.move_stopped move=%s %s", move.pk, first_line(error))


def due_for_cleanup() -> list[Move]:
    """Moves that have been kept long enough."""
    now = datetime.now(UTC)
    return [move for move in Move.objects.filter(phase=Phase.KEPT) if kept_until(move) <= now]


def refuse_migrating() -> None:
    """Raise ``MoveRefused`` while a move is under way or its old copy is kept: both sides must stay alike.

    For whoever migrates, once it holds ``MIGRATING_LOCK`` in the directory, without which no move is entered. Says
    nothing while the directory has no table of moves yet. 2 queries.
    """
    if Move._meta.db_table not in connections[DEFAULT_DB_ALIAS].introspection.table_names():
        return
    # Only what the message says: the release that is to be migrated may know columns which are not there yet.
    said = Move.objects.only("keyspace", "first", "last", "source", "target", "phase")
    for move in said.exclude(phase__in=(Phase.DONE, Phase.UNDONE)):
        raise MoveRefused(
            f"{move} is {move.phase}, and a migration would part its two copies; finish it with shard "
            f"cleanup --now {move.pk} or shard rollback {move.pk}, then migrate"
        )


def compare(move_id: int, *, report: Report = _quietly, patience: float = PATIENCE_SECONDS) -> list[Finding]:
    """Where the two copies of a move under way differ; see ``verifying.compare``. Not while somebody carries it on."""
    with _carrying(move_id, report, patience) as work:
        return verifying.compare(work)


def kept_until(move: Move) -> datetime:
    """When the old copy of a finished move may be deleted."""
    return (move.switched_at or move.changed_at) + timedelta(seconds=options().copied_seconds)


@contextmanager
def _carrying(move_id: int, report: Report, patience: float) -> Iterator[Work]:
    """The move in our hands; what goes wrong is noted on it."""
    try:
        with taken(move_id, patience=patience, report=report) as work:
            try:
                yield work
            except MoveRefused as error:
                if (work.move.phase, work.move.step) == (Phase.MOVING, "check"):  # it has not begun, so it is over
                    work.record(phase=Phase.UNDONE, step="", note=str(error))
                raise
            except (ShardingError, psycopg.Error) as error:
                with suppress(ShardingError):
                    work.record(note=first_line(error))
                raise
    except psycopg.Error as error:
        raise MoveStopped(f"move {move_id} stopped: {first_line(error)}; put that right and resume it") from error


def _go_on(work: Work) -> Move:
    move = work.move
    while move.phase in steps.STEPS:
        todo, after = steps.STEPS[Phase(move.phase)]
        number = next(n for n, step in enumerate(todo) if step.name == move.step)
        step = todo[number]
        works.passed(f"before {step.name}")
        work.report(step.name)
        step.do(work)
        works.passed(f"after {step.name}")
        if number + 1 < len(todo):
            work.record(step=todo[number + 1].name, note="")
        else:
            work.record(phase=after, step="", note="")
    return move
