"""Reads on read-only copies, where nobody can tell the difference.

``REPLICAS`` of the settings names the copies of each database. Only inside ``replica_reads`` are they used, for queries
of one shard, and only a copy that has replayed what the caller wrote (``sharding.written``) and shows the primary as it
was at most ``max_lag`` seconds ago. Never inside a transaction on the database, for ``select_for_update``, or for a
model with ``decides_money_or_stock = True``, also where it is only joined. In doubt the primary is asked.

How old a copy is cannot be asked of it: one that is cut off believes itself up to date. So each process notes now and
then what the primary had written by when; a copy that has replayed as much is no older than that note.
"""

import functools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import psycopg
from django.apps import apps
from django.db import Error, connections
from django.db.models.sql import Query

from sharding import breakers, colocation, metrics
from sharding.conf import options
from sharding.deadlines import deadline
from sharding.errors import ShardingError, ShardUnavailable

clock = time.monotonic

MAX_LAG = 2.0
LOOK_SECONDS = 0.15
"""How long either server may take to say where it is. Nothing depends on the answer but where a read goes."""
NOTES = 64

_WRITTEN = "SELECT pg_current_wal_insert_lsn() - '0/0'"
_REPLAYED = "SELECT pg_last_wal_replay_lsn() - '0/0' WHERE pg_is_in_recovery()"


@dataclass(frozen=True, slots=True)
class _Block:
    wanted: Mapping[str, int]
    """By database: the position that a copy must have replayed."""
    max_lag: float


_block: ContextVar[_Block | None] = ContextVar("sharding_replica_reads", default=None)


@contextmanager
def replica_reads(tokens: Mapping[str, str] | None = None, *, max_lag: float = MAX_LAG) -> Iterator[None]:
    """Let the block's queries read from copies. ``tokens``: what ``sharding.written`` gave after the reader's writes.

    Several databases' tokens are one mapping: ``{**before, **sharding.written(home)}``. What a copy shows is at most
    ``max_lag`` seconds old, by this process's clock.
    """
    token = _block.set(_Block({alias: position(text) for alias, text in (tokens or {}).items()}, max_lag))
    try:
        yield
    finally:
        _block.reset(token)


def position(text: str) -> int:
    """A position in the write-ahead log, ``16/B374D848``, as a number; raises ``ShardingError`` for anything else."""
    high, _, low = text.partition("/")
    try:
        return int(high, 16) << 32 | int(low, 16)
    except ValueError:
        raise ShardingError(f"{text!r} is no token of a database; keep what sharding.written() returns") from None


def chosen(queryset: Any, alias: str) -> str:
    """The database on which a read of ``alias`` runs: itself, or a copy that may answer for it."""
    block = _block.get()
    if block is None:
        return alias
    copies = options().replicas.get(alias)
    if not copies or queryset._for_write or not _may_be_late(queryset.query) or connections[alias].in_atomic_block:
        return alias
    usable = [copy for copy in copies if _can_answer(copy, alias, block)]
    return random.choice(usable) if usable else alias  # noqa: S311  spreads load, guards nothing


Read = TypeVar("Read", bound=Callable[..., Any])


def or_primary(read: Read) -> Read:
    """A method that reads, done again without copies when one of them was lost while answering."""

    @functools.wraps(read)
    def reading(*args: Any, **kwargs: Any) -> Any:
        try:
            return read(*args, **kwargs)
        except ShardUnavailable as error:
            if _block.get() is None or not is_replica(error.alias):
                raise
        token = _block.set(None)
        try:
            return read(*args, **kwargs)
        finally:
            _block.reset(token)

    return cast(Read, reading)


def is_replica(alias: str) -> bool:
    return any(alias in copies for copies in options().replicas.values())


# What may be late


def _may_be_late(query: Query) -> bool:
    """Whether no table that the query looks at decides about money or stock, and no row of them is locked."""
    if query.select_for_update or query.select_related is True:
        return False
    deciding = _deciding_tables()
    if any(table in deciding for table in _tables(query)):
        return False
    return all(_may_be_late(inner) for inner in (*colocation.subqueries(query), *query.combined_queries))


def _tables(query: Query) -> Iterator[str]:
    if query.model is not None:
        yield query.model._meta.db_table
    for join in query.alias_map.values():
        yield join.table_name
    if isinstance(query.select_related, dict):
        yield from _related_tables(query.model, query.select_related)


def _related_tables(model: Any, wanted: Mapping[str, Any]) -> Iterator[str]:
    for name, further in wanted.items():
        related = model._meta.get_field(name).related_model
        yield related._meta.db_table
        yield from _related_tables(related, further)


@functools.cache
def _deciding_tables() -> frozenset[str]:
    return frozenset(
        model._meta.db_table for model in apps.get_models() if getattr(model, "decides_money_or_stock", False)
    )


# How late a copy is


@dataclass(slots=True)
class _Copy:
    """What this process knows about one copy of a database."""

    replayed: int = -1
    as_of: float = float("-inf")
    """It shows the primary as it was then, or later."""
    looked_at: float = float("-inf")
    notes: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=NOTES))
    """When, and what the primary had written by then."""
    looking: threading.Lock = field(default_factory=threading.Lock)


_copies: dict[str, _Copy] = {}


def lag(copy: str, primary: str) -> float | None:
    """How many seconds the copy may be behind, asked now; None where it does not say, or is no copy (any more)."""
    _look(_known(copy), copy, primary)
    found = clock() - _known(copy).as_of
    return None if found == float("inf") else found


def _can_answer(copy: str, primary: str, block: _Block) -> bool:
    known = _known(copy)
    if clock() - known.looked_at >= min(1.0, block.max_lag / 4):
        _look(known, copy, primary)
    return (
        known.replayed >= block.wanted.get(primary, 0)
        and clock() - known.as_of <= block.max_lag
        and breakers.state(copy) == "closed"
    )


def _known(copy: str) -> _Copy:
    return _copies.get(copy) or _copies.setdefault(copy, _Copy())


def _look(known: _Copy, copy: str, primary: str) -> None:
    """Two short questions, one to each server. While one thread asks, the others go by what is known."""
    if not known.looking.acquire(blocking=False):
        return
    try:
        known.looked_at = at = clock()
        written = _asked(primary, _WRITTEN)
        if written is not None:
            known.notes.append((at, written))
        replayed = _asked(copy, _REPLAYED)
        if replayed is None:
            known.replayed, known.as_of = -1, float("-inf")
            known.looked_at = clock() + options().breaker_seconds  # nobody shall find out the same every second
            return
        known.replayed = replayed
        known.as_of = max((at for at, written in known.notes if written <= replayed), default=known.as_of)
        metrics.replica_lag(copy, clock() - known.as_of)
    finally:
        known.looking.release()


def _asked(alias: str, question: str) -> int | None:
    connection = connections[alias]
    try:
        with deadline(LOOK_SECONDS):
            connection.ensure_connection()
            with connection.connection.cursor() as cursor:  # psycopg's own: this is nobody's statement
                row = cursor.execute(question).fetchone()
    except (Error, psycopg.Error):
        return None  # whoever needs it will say what is wrong
    return int(row[0]) if row else None
