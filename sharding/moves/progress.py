"""How far moves have come, as people and ``--json`` see it. Asks both databases of each, and says when one is away."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from django.db.models import Q

from sharding import metrics, names
from sharding.models import Move
from sharding.moves import running, steps, switching, tables
from sharding.moves.links import Link
from sharding.moves.servers import Session, session

Phase = Move.Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One move at this moment."""

    id: int
    keyspace: str
    first: int
    last: int
    source: str
    target: str
    phase: str
    step: str
    seconds: float
    """At this step."""
    runner: str | None
    """Who is at it; None when nobody is."""
    tables: dict[str, str]
    """State of each table that is being copied."""
    copied: int
    expected: int
    """Rows, about."""
    rate: float | None
    """Rows a second while copying."""
    eta_seconds: float | None
    kept_bytes: int | None
    """What the servers keep for the one that follows, because it has not confirmed it yet."""
    failures: int
    waits_for: list[str]
    note: str
    undone_until: datetime | None

    @property
    def is_abandoned(self) -> bool:
        """Under way, and nobody is at it."""
        return self.runner is None and self.phase in steps.STEPS

    @property
    def told(self) -> str:
        """In one line, for people."""
        parts = [f"{self.phase} {self.step}".strip()]
        if self.step:
            parts.append(f"for {self.seconds:.0f} s")
        if self.step == "copy":
            parts.append(f"{self.copied:,} of about {self.expected:,} rows")
        if self.rate is not None and self.eta_seconds is not None:
            parts.append(f"{self.rate:,.0f}/s, {self.eta_seconds:.0f} s to go")
        if self.kept_bytes is not None:
            parts.append(f"{self.kept_bytes / 1e6:.1f} MB not applied yet")
        if self.failures:
            parts.append(f"applying failed {self.failures} times, the server's log says why")
        if self.undone_until is not None:
            parts.append(f"can be undone until {self.undone_until:%Y-%m-%d %H:%M:%S} UTC")
        return ", ".join(parts)


def status(*, also_finished: bool = False) -> list[Status]:
    """Every move that is not over, in the order of their beginning."""
    found = Move.objects.all() if also_finished else Move.objects.exclude(phase__in=(Phase.DONE, Phase.UNDONE))
    return [status_of(move) for move in found]


def status_of(move: Move) -> Status:
    """One move, asking its two databases unless it is over. About ten queries."""
    seen = _Seen()
    if not move.is_over:
        try:
            with session(move.source, "sharding moves") as source, session(move.target, "sharding moves") as target:
                seen = _look(move, source, target)
        except psycopg.Error as error:
            seen = _Seen(note=f"cannot be looked at: {error}".strip())
    seconds = max((datetime.now(UTC) - move.stepped_at).total_seconds(), 0.0)  # the two clocks differ
    expected = sum(move.rows.values())
    ready = sum(move.rows.get(name, 0) for name, state in seen.tables.items() if state == "r")
    copied = min(ready + seen.copying, max(expected, seen.copying))
    is_copying = move.phase == Phase.MOVING and move.step == "copy"
    rate = copied / seconds if is_copying and seconds > 0 and copied else None
    return Status(
        id=move.pk,
        keyspace=move.keyspace,
        first=move.first,
        last=move.last,
        source=move.source,
        target=move.target,
        phase=move.phase,
        step=move.step,
        seconds=seconds,
        runner=seen.runner,
        tables=seen.tables,
        copied=copied,
        expected=expected,
        rate=rate,
        eta_seconds=(expected - copied) / rate if rate else None,
        kept_bytes=seen.kept_bytes,
        failures=seen.failures,
        waits_for=seen.waits_for,
        note=seen.note or move.note,
        undone_until=running.kept_until(move) if move.phase == Phase.KEPT else None,
    )


@dataclass(slots=True)
class _Seen:
    runner: str | None = None
    tables: dict[str, str] = field(default_factory=dict)
    copying: int = 0
    kept_bytes: int | None = None
    failures: int = 0
    waits_for: list[str] = field(default_factory=list)
    note: str = ""


def _look(move: Move, source: Session, target: Session) -> _Seen:
    seen = _Seen()
    moved = tables.of_keyspace(move.keyspace)
    out = Link(f"sharding_{move.tag}_out", source, target, moved, move.first, move.last, move.pk)
    back = Link(f"sharding_{move.tag}_back", target, source, moved, move.first, move.last, -move.pk)
    seen.runner = source.value(
        "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
        "AND l.classid = %s AND l.objid = %s AND l.granted "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        names.MOVE_CLASS,
        move.pk,
    )
    seen.tables = out.states()
    seen.copying = sum(out.copied().values())
    for link in (out, back):
        seen.failures += link.failures()
        kept = link.publisher.value(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots "
            "WHERE slot_name = %s",
            link.name,
        )
        if kept is not None:
            seen.kept_bytes = max(seen.kept_bytes or 0, int(kept))
    if move.step in ("switch", "switch back"):
        old = source if move.step == "switch" else target
        seen.waits_for = switching.holders(old, names.bucket_class(move.keyspace), move.first, move.last)
    elif move.step in ("keep changes", "prepare way back"):
        seen.waits_for = _writing(source if move.step == "keep changes" else target)
    return seen


def _writing(one: Session) -> list[str]:
    """Transactions that have written, the oldest first: a slot is made once those of now have ended."""
    return [
        text
        for (text,) in one.rows(
            "SELECT 'pid ' || pid || ' of ' || coalesce(datname, '') || ' (' || coalesce(application_name, '') || '), "
            "its transaction ' || round(extract(epoch FROM clock_timestamp() - xact_start)::numeric, 1) || ' s old' "
            "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() "
            "ORDER BY xact_start LIMIT 3"
        )
    ]


MEASURED_FOR = timedelta(hours=1)
"""After its end a move is measured for so long, as done: a figure that stops halfway looks like a move that stopped."""


def measure() -> None:
    """Set ``sharding_move_progress`` for each move: the part of its phase's steps that are done. 1 query."""
    lately = Q(changed_at__gt=datetime.now(UTC) - MEASURED_FOR)
    measured = Move.objects.filter(lately | Q(phase__in=steps.STEPS))
    metrics.moves({str(move).partition(" of ")[2]: part_done(move) for move in measured})


def part_done(move: Move) -> float:
    """The part of its phase's steps that are done, from 0 to 1. Asks nobody."""
    todo = [step.name for step in steps.STEPS[Phase(move.phase)][0]] if move.phase in steps.STEPS else []
    return todo.index(move.step) / len(todo) if move.step in todo else 1.0
