"""What the steps of a move share: the move as the directory knows it, and sessions with both databases."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import F
from django.db.models.functions import Now
from django.db.utils import DatabaseError

from sharding import deadlines, directory, maps
from sharding.errors import DirectoryUnavailable, MapConflict, MoveRefused, MoveStopped
from sharding.models import Move
from sharding.moves import servers, tables
from sharding.moves.links import Link
from sharding.moves.servers import Session
from sharding.topology import Copy, Keyspace, ShardMap

logger = logging.getLogger(__name__)

RANGE = "keyspace = %s AND bucket BETWEEN %s AND %s"
"""For the table of buckets, with ``Work.range`` as its parameters."""

DIRECTORY_SECONDS = 2.0
"""How long the directory may take for one change."""

SAYING_SECONDS = 0.3
"""At most so often it is said what a move waits for."""

passed: Callable[[str], None] = lambda point: None  # noqa: E731
"""Told each point of a move as it is passed; tests end the process there."""

Report = Callable[[str], None]


@dataclass(slots=True)
class Work:
    """A move in the hands of this process."""

    move: Move
    source: Session
    target: Session
    tables: tuple[tables.Table, ...]
    patience: float
    """Seconds to wait for what should not take long."""
    report: Report
    _said_at: float = float("-inf")

    @property
    def out(self) -> Link:
        """Source to target."""
        return self._link("out", self.source, self.target, self.move.pk)

    @property
    def back(self) -> Link:
        """Target to source."""
        return self._link("back", self.target, self.source, -self.move.pk)

    def _link(self, direction: str, publisher: Session, subscriber: Session, marks: int) -> Link:
        name = f"sharding_{self.move.tag}_{direction}"
        return Link(name, publisher, subscriber, self.tables, self.move.first, self.move.last, marks)

    @property
    def range(self) -> tuple[str, int, int]:
        """Keyspace, first and last bucket: the parameters of most statements."""
        return self.move.keyspace, self.move.first, self.move.last

    def say(self, text: str) -> None:
        """Tell who watches, here and in ``shard moves``."""
        now = time.monotonic()
        if text != self.move.note and now >= self._said_at + SAYING_SECONDS:
            self._said_at = now
            self.report(text)
            self.record(note=text)

    def record(self, **changes: Any) -> None:
        """Change the move in the directory, waiting for a directory that is away as long as the patience lasts.

        Raises ``MoveStopped`` when somebody else has taken the move on meanwhile.
        """
        until = time.monotonic() + self.patience
        while True:
            try:
                with deadlines.deadline(DIRECTORY_SECONDS):
                    self.record_now(**changes)
                return
            except DatabaseError as error:
                connections[DEFAULT_DB_ALIAS].close()
                if time.monotonic() > until:
                    raise MoveStopped(
                        f"move {self.move.pk}: the directory is away ({error}); resume it later"
                    ) from error
                time.sleep(0.1)

    def record_now(self, **changes: Any) -> None:
        """As ``record``, once, and in the transaction that is open."""
        if "step" in changes:
            changes["stepped_at"] = Now()
        mine = Move.objects.filter(pk=self.move.pk, turn=self.move.turn)
        if not mine.update(**changes, changed_at=Now()):
            raise MoveStopped(f"move {self.move.pk} was taken on by somebody else; leave it to them")
        for name, value in changes.items():
            setattr(self.move, name, value)

    def change_map(self, edit: Callable[[Keyspace], Keyspace], reason: str) -> None:
        """Store a map with another ``Keyspace`` unless it is stored already, as often as it takes."""
        until = time.monotonic() + self.patience
        while True:
            try:
                with deadlines.deadline(DIRECTORY_SECONDS):
                    if edit(self.keyspace()) != self.keyspace():
                        directory.change(self.edit(edit), f"move {self.move.pk}: {reason}", within=self.record_now)
                return
            except (MapConflict, DirectoryUnavailable, DatabaseError) as error:
                connections[DEFAULT_DB_ALIAS].close()
                if time.monotonic() > until:
                    raise MoveStopped(
                        f"move {self.move.pk}: the map was not changed ({error}); resume it later"
                    ) from error
                time.sleep(0.1)

    def keyspace(self) -> Keyspace:
        """As the directory has it now."""
        return directory.read().keyspaces[self.move.keyspace]

    def edit(self, edit: Callable[[Keyspace], Keyspace]) -> directory.Edit:
        def whole(shard_map: ShardMap) -> ShardMap:
            changed = edit(shard_map.keyspaces[self.move.keyspace])
            return replace(shard_map, keyspaces={**shard_map.keyspaces, self.move.keyspace: changed})

        return whole

    def copy_at(self, session: Session) -> Copy:
        return (self.move.first, self.move.last, session.alias)


def with_copy(keyspace: Keyspace, copy: Copy) -> Keyspace:
    return keyspace if copy in keyspace.copies else maps.with_copies(keyspace, (*keyspace.copies, copy))


def without_copy(keyspace: Keyspace, copy: Copy) -> Keyspace:
    return maps.with_copies(keyspace, tuple(one for one in keyspace.copies if one != copy))


def me() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


@contextmanager
def taken(move_id: int, *, patience: float, report: Report) -> Iterator[Work]:
    """The move, for this process alone. Raises ``MoveRefused`` while another one is at it, or where there is none."""
    move = Move.objects.filter(pk=move_id).first()
    if move is None:
        raise MoveRefused(f"there is no move {move_id}; shard moves lists them")
    moved = tables.of_keyspace(move.keyspace)
    with servers.sessions((move.source, move.target), move.pk, me()) as (source, target):
        Move.objects.filter(pk=move_id).update(turn=F("turn") + 1, runner=me(), note="", changed_at=Now())
        move.refresh_from_db()
        yield Work(move, source, target, moved, patience, report)
