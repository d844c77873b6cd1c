"""One job on one database, batch after batch."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import connections, transaction
from django.db.models import CompositePrimaryKey, Field, Model, QuerySet

from sharding import copies, leases, topology
from sharding.backfilling.books import Book, Position
from sharding.backfilling.jobs import BackfillJob
from sharding.deadlines import deadline
from sharding.errors import BucketMoved, ShardingError
from sharding.migrating.patience import Patience, unhurried
from sharding.progress import DatabaseProgress

BATCH_SECONDS = 60
"""A batch that takes longer is taken back: its server is frozen, or the batch far too large."""
LAPS = 20
"""Rounds in one run. Whoever adds rows that need the change faster than it is made will never see the end."""


class State(StrEnum):
    WAITING = "waiting"
    FILLING = "filling"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(slots=True)
class Progress(DatabaseProgress[State]):
    ENDED = frozenset({State.DONE, State.STOPPED, State.FAILED})

    state: State = State.WAITING
    position: Position = field(default_factory=Position)
    changed: int = 0
    """Rows, in this run."""

    @property
    def is_at_work(self) -> bool:
        return self.state is State.FILLING

    @property
    def is_well(self) -> bool:
        return self.state is not State.FAILED

    @property
    def rate(self) -> float:
        """Rows looked at in a second, over all runs of this lap."""
        return self.position.seen / self.position.seconds if self.position.seconds else 0.0

    @property
    def left_seconds(self) -> float | None:
        """Until the end of the lap; None while that cannot be told."""
        left = self.position.expected - self.position.seen
        return left / self.rate if self.rate and left > 0 else None


class NotApplied(ShardingError):
    """``apply`` left rows as they were."""


class NeverEnding(ShardingError):
    """Rows keep appearing that need the change."""


class Filling:
    """The work on one database, by one thread. Goes on where the last one was."""

    def __init__(
        self,
        job: BackfillJob,
        progress: Progress,
        patience: Patience,
        stop: threading.Event,
        report: Callable[[Progress], None],
    ) -> None:
        self._job = job
        self._model = job.model_class()
        self._progress = progress
        self._patience = patience
        self._stop = stop
        self._report = report
        self._alias = progress.alias

    def run(self) -> None:
        """Until nothing is pending, or somebody says stop.

        Raises ``NotApplied``, ``NeverEnding`` and ``LocksNotGranted``.
        """
        connection = connections[self._alias]
        with unhurried(connection, self._patience.lock_timeout_ms):
            book = Book(connection, self._job.name)
            book.open(self._model._meta.db_table)
            self._progress.position = position = book.read() or Position()
            if position.state == "done":
                if not self.has_pending():
                    return
                _begin_lap(position)
                book.write(position)
            first_lap = position.lap
            while not self._stop.is_set():
                self._progress.position = self._moving(self._batch)
                self._report(self._progress)
                if self._progress.position.state == "done":
                    return
                if self._progress.position.lap >= first_lap + LAPS:
                    raise NeverEnding(
                        f"{self._alias}: after {LAPS} rounds there are still rows that {self._job.name} is for; let "
                        "the code that makes them fill them itself, then run it again"
                    )
                if self._job.pause_seconds:
                    self._stop.wait(self._job.pause_seconds)

    def has_pending(self) -> bool:
        """Whether any row that this database owns needs the change. One query, which may read the whole table."""
        with unhurried(connections[self._alias], self._patience.lock_timeout_ms):
            return self._job.pending(self._rows()).exists()

    def _moving(self, do: Callable[[], Position]) -> Position:
        """``do()``, again with a new map where a bucket moved away meanwhile, and again where a lock was missing."""
        for _ in range(10):
            seen = topology.current()
            try:
                return self._patience.insist(do, self._rest)
            except BucketMoved:
                leases.moved(self._alias, seen=seen)
                self._rest(0.05)
        return self._patience.insist(do, self._rest)

    def _rest(self, seconds: float) -> None:
        self._progress.retries += 1
        self._stop.wait(seconds)

    def _rows(self) -> "QuerySet[Any]":
        return copies.owned(self._model._base_manager.get_queryset(), self._alias).order_by("pk")

    def _batch(self) -> Position:
        began = time.monotonic()
        with deadline(BATCH_SECONDS), transaction.atomic(using=self._alias):
            book = Book(connections[self._alias], self._job.name)
            position = book.read(for_update=True)
            if position is None:
                raise ShardingError(f"{self._alias}: {self._job.name} was cancelled meanwhile; run it again")
            rows = self._rows()
            if position.last_pk is not None:
                rows = rows.filter(pk__gt=_pk_of(self._model, position.last_pk))
            window = list(rows.values_list("pk", flat=True)[: self._job.batch_size])
            changed = self._change(rows.filter(pk__lte=window[-1])) if window else 0
            position.changed += changed
            position.seen += len(window)
            position.seconds += time.monotonic() - began
            if len(window) == self._job.batch_size:
                position.last_pk = _text_of(self._model, window[-1])
            else:
                self._end_of_lap(position)
            book.write(position)
        self._progress.changed += changed
        return position

    def _change(self, window: "QuerySet[Any]") -> int:
        candidates = list(self._job.pending(window).values_list("pk", flat=True))
        if not candidates:
            return 0
        # Locked by their keys alone, as pending() may look at other tables; and asked again, as somebody may have
        # changed them before the lock.
        table = self._model._base_manager.using(self._alias)
        locked = list(table.filter(pk__in=candidates).order_by("pk").select_for_update().values_list("pk", flat=True))
        pks = list(self._job.pending(table.filter(pk__in=locked)).values_list("pk", flat=True))
        if pks:
            rows = table.filter(pk__in=pks)
            self._job.apply(rows)
            if left := self._job.pending(rows.all()).count():
                raise NotApplied(
                    f"{self._alias}: {left} of {len(pks)} rows are still pending after {self._job.name}.apply(), which "
                    "was taken back; let pending() leave out what has been changed"
                )
        return len(pks)

    def _end_of_lap(self, position: Position) -> None:
        """Done, unless rows have appeared behind."""
        if self._job.pending(self._rows()).exists():
            _begin_lap(position)
        else:
            position.state, position.last_pk = "done", None


def _begin_lap(position: Position) -> None:
    position.state, position.lap = "running", position.lap + 1
    position.last_pk, position.seen, position.seconds = None, 0, 0.0


def _pk_fields(model: type[Model]) -> "list[Field[Any, Any]]":
    pk = model._meta.pk
    return list(pk.fields) if isinstance(pk, CompositePrimaryKey) else [pk]  # type: ignore[arg-type]


def _text_of(model: type[Model], pk: Any) -> list[str]:
    """A primary key as the book keeps it."""
    fields = _pk_fields(model)
    return [
        str(field.get_prep_value(part)) for field, part in zip(fields, pk if len(fields) > 1 else [pk], strict=True)
    ]


def _pk_of(model: type[Model], texts: list[str]) -> Any:
    fields = _pk_fields(model)
    parts = [field.to_python(text) for field, text in zip(fields, texts, strict=True)]
    return tuple(parts) if len(fields) > 1 else parts[0]
