"""Transactions on one shard, and what may be repeated or has to wait for their commit."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from sharding import errors, keys, leases, names, statements, topology
from sharding.errors import CrossShardTransaction, ShardingError
from sharding.topology import Home

Target = Home | Model | str
"""What names one database: a home, a row, or the alias itself."""

P = ParamSpec("P")
Answer = TypeVar("Answer")

RETRIED = frozenset({errors.SERIALIZATION_FAILURE, errors.DEADLOCK})
RETRIES = 3
FIRST_PAUSE = 0.02
"""Seconds; doubled for each further try and spread at random from nothing to twice as much."""


def alias_of(target: Target) -> str:
    """The database that ``target`` names."""
    if isinstance(target, Home):
        return target.alias
    if isinstance(target, Model):
        return keys.alias_of_row(target)
    if isinstance(target, str):
        return target
    raise ShardingError(f"{target!r} names no database; give a Home, a row of a sharded model, or an alias")


def open_elsewhere(alias: str | None) -> str | None:
    """A database other than ``alias`` on which this thread has a transaction open, or None.

    The transactions that Django's ``TestCase`` wraps around each test do not count.
    """
    for connection in connections.all(initialized_only=True):
        if connection.alias != alias and is_open(connection):
            return connection.alias
    return None


def is_open(connection: BaseDatabaseWrapper, baseline: int = 0) -> bool:
    """Whether a transaction is open, not counting the outermost ``baseline`` blocks and those of ``TestCase``."""
    return any(not block._from_testcase for block in connection.atomic_blocks[baseline:])  # type: ignore[attr-defined]


@contextmanager
def atomic(target: Target, *, durable: bool = False, savepoint: bool = True, is_whole: bool = False) -> Iterator[str]:
    """A transaction on the target's database; yields its alias. Inside another one of the same database, a savepoint.

    Without ``savepoint`` it is part of that other one, which then fails as a whole, and two statements are saved.
    An outermost one that ``is_whole`` says so for all ``atomic`` inside of it: nobody may go on once a part has failed.

    Raises ``CrossShardTransaction`` while a transaction is open on another database: the two could not commit together.
    A statement inside that would go to another database because the map has changed meanwhile raises ``BucketMoved``.
    """
    alias = alias_of(target)
    other = open_elsewhere(alias)
    if other is not None:
        raise CrossShardTransaction(
            f"a transaction on {alias} cannot start inside one on {other}: they would not commit together; leave the "
            "first, then go on from an event"
        )
    has_savepoint = (savepoint and not statements.transaction.is_whole) or not is_open(connections[alias])
    with transaction.atomic(using=alias, durable=durable, savepoint=has_savepoint), _outermost(alias, is_whole):
        yield alias


@contextmanager
def _outermost(alias: str, is_whole: bool) -> Iterator[None]:
    here = statements.transaction
    if here.alias is not None:
        yield
        return
    here.alias, here.by, here.is_whole = alias, topology.current(), is_whole
    try:
        yield
    finally:
        here.alias = here.by = None
        here.is_whole = False


def run(target: Target, fn: Callable[[], Answer], *, retries: int = RETRIES) -> Answer:
    """``fn()`` in a transaction of its own, begun again up to ``retries`` times when it lost a race.

    Lost races are a serialization failure, a deadlock, and a bucket that was moved meanwhile; the target's database is
    looked up for each try. ``fn`` must be repeatable: what it did outside of the database is done again.
    Raises ``CrossShardTransaction`` inside an open transaction, because that one would have to begin again too.
    """
    already = open_elsewhere(None)
    if already is not None:
        raise CrossShardTransaction(
            f"run() inside an open transaction on {already} could not begin it again; call it outside, or use atomic()"
        )

    def begin() -> Answer:
        with atomic(target):
            return fn()

    return _insist(begin, retries)


def repeatable(fn: Callable[P, Answer]) -> Callable[P, Answer]:
    """Decorates a function that opens one transaction, or writes once: begun again as a whole when it lost a race.

    Races are lost as ``run`` loses them. Called inside an open transaction it is just called: what has to begin again
    is where that one was opened. What the function changes beside the database, it changes again.
    """

    @wraps(fn)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> Answer:
        if open_elsewhere(None) is not None:
            return fn(*args, **kwargs)
        return _insist(lambda: fn(*args, **kwargs), RETRIES)

    return repeated


def _insist(begin: Callable[[], Answer], retries: int) -> Answer:
    for attempt in range(retries):
        seen = topology.current()
        try:
            return begin()
        except errors.BucketMoved as error:
            if leases.moved(error.alias, seen=seen):
                continue  # there is nothing to wait for
        except OperationalError as error:
            if errors.sqlstate(error) not in RETRIED:
                raise
        pause(random.uniform(0, 2 * FIRST_PAUSE * 2**attempt))  # noqa: S311  spreads retries, guards nothing
    return begin()


pause = time.sleep


def on_commit(target: Target, fn: Callable[[], object]) -> None:
    """Call ``fn`` once the target's open transaction has committed; at once where none is open."""
    connections[alias_of(target)].on_commit(fn)


def reserve_ids(target: Home | Model, n: int) -> list[int]:
    """``n`` new ids for rows of the target's key, ascending, from one query to its shard.

    Outside of a transaction it follows a bucket that was moved; inside one it raises ``BucketMoved``.

    For an id that has to be known before the insert, such as one sent along with a request that may be repeated.
    """
    if isinstance(target, Home):
        home = target
    else:
        bucket = keys.bucket_of_row(target)
        if bucket is None:
            raise ShardingError("reserve_ids() needs a Home, or a row whose key is set: an id carries its bucket")
        home = Home(keys.layout(type(target)).keyspace, bucket)

    def draw() -> list[int]:
        with connections[home.alias].cursor() as cursor:
            cursor.execute(
                f"SELECT {names.RESERVE_IDS}(%s, %s, %s, %s)",
                [home.keyspace, names.bucket_class(home.keyspace), home.bucket, n],
            )
            return [id for (id,) in cursor.fetchall()]

    return draw() if open_elsewhere(None) else run(home, draw)
