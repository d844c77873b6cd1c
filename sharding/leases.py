"""Keeps this process's map fresh, and knows when it no longer is.

A map may be used for ``lease_seconds`` after the directory, or the database concerned, has confirmed it. A thread
of each process listens to the directory and reads the map again every third of a lease. When the directory is away,
routing goes on: each database is asked, once a lease, whether it still owns what the map gives it, before it is asked
anything else. So whoever moves buckets can wait one lease and know that nobody reads them at their old home.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sharding import directory, maps, metrics, names, ownership, primaries, topology
from sharding.conf import options
from sharding.errors import BucketMoved, ShardingError
from sharding.topology import ShardMap

logger = logging.getLogger(__name__)

FIRST_ANSWER_SECONDS = 2.0
"""How long a process waits for the directory before it goes on with the last map on disk, or the configured one."""
POKED_SECONDS = 0.25
"""How soon the thread notices that somebody wants the map read at once, should NOTIFY not have come."""

clock: Callable[[], float] = time.monotonic


class _Silent(Exception):
    """The database did not say which buckets it owns."""


class Watcher:
    """The thread that asks the directory. Nothing else in the process ever waits for the directory's socket."""

    def __init__(self) -> None:
        self.confirmed_until = float("-inf")
        self._heard = threading.Condition()
        self._poked = False
        self._stopped = False
        self._answered = False
        self._thread = threading.Thread(target=self._run, name="sharding-map", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def wait_for(self, is_enough: Callable[[], bool], seconds: float) -> bool:
        """Have the map read now, and wait until ``is_enough()``; says whether it came to that."""
        with self._heard:
            self._poked = True
            return self._heard.wait_for(is_enough, seconds)

    def first_answer(self, seconds: float) -> bool:
        """Wait for the first answer of the directory; says whether it came."""
        with self._heard:
            return self._heard.wait_for(lambda: self._answered, seconds)

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(timeout=5)

    def _run(self) -> None:
        lease = options().lease_seconds
        is_known_away = False
        while not self._stopped:
            try:
                with directory.connect() as connection:
                    connection.execute(f"LISTEN {names.CHANNEL}")
                    is_known_away = False
                    while not self._stopped:
                        self._read(connection, lease)
                        self._rest(connection, lease / 3)
            except (psycopg.Error, OSError, ShardingError) as error:
                if not is_known_away:
                    logger.warning("the directory is away, routing goes on: %s", str(error).strip())
                is_known_away = True
                with self._heard:
                    self._heard.notify_all()
                time.sleep(min(lease / 3, 0.5))

    def _read(self, connection: "psycopg.Connection[Any]", lease: float) -> None:
        self._poked = False
        asked_at = clock()
        shard_map = directory.newest(connection)
        with self._heard:
            maps.learn(shard_map)
            self.confirmed_until = asked_at + lease
            metrics.shard_map(epoch=shard_map.epoch, confirmed_at=time.time())
            self._answered = True
            self._heard.notify_all()

    def _rest(self, connection: "psycopg.Connection[Any]", seconds: float) -> None:
        until = clock() + seconds
        while not (self._stopped or self._poked) and (left := until - clock()) > 0:
            for _ in connection.notifies(timeout=min(left, POKED_SECONDS), stop_after=1):
                return


_watcher: Watcher | None = None
_starting = threading.Lock()
_confirmed_until: dict[str, float] = {}
"""By alias: until when its database itself has confirmed the map."""


def _forget() -> None:
    """A fork takes no thread along; its first statement starts one."""
    global _watcher, _starting
    _watcher, _starting = None, threading.Lock()
    _confirmed_until.clear()


os.register_at_fork(after_in_child=_forget)


def _watch() -> Watcher:
    global _watcher
    with _starting:
        if _watcher is None or not _watcher.is_alive:
            _watcher = Watcher()
        return _watcher


def stop() -> None:
    """Stop watching, for tests and for a process that wants to be gone."""
    global _watcher
    if _watcher is not None:
        _watcher.stop()
        _watcher = None
    _confirmed_until.clear()


def first_map() -> ShardMap:
    """The map to start with: the directory's, else the last one on disk, else the configured one."""
    if not options().watch:
        return topology.configured()
    if _watch().first_answer(FIRST_ANSWER_SECONDS):
        known = topology.known()
        if known is not None:
            return known
    path = options().map_file
    if path is not None:
        try:
            return maps.load(path)
        except FileNotFoundError:
            pass
        except (OSError, ShardingError) as error:
            logger.warning("no map from disk: %s", error)
    return topology.configured()


def moved(alias: str, *, seen: ShardMap) -> bool:
    """What to do about a ``BucketMoved`` of ``alias``: get the new map, from the directory or else from the databases.

    ``seen`` is the map which led there; says whether there is a newer one now.
    """
    if topology.current() is seen and not refresh(newer_than=seen.epoch) and options().watch:
        connection = connections[alias]
        if connection.connection is not None and not connection.in_atomic_block:
            with suppress(_Silent):
                _lost(connection)
    return topology.current() is not seen


def refresh(*, newer_than: int, seconds: float = 0.5) -> bool:
    """Have the map read at once; says whether a newer one than ``newer_than`` came within ``seconds``."""
    if not options().watch:
        return False
    return _watch().wait_for(lambda: topology.current().epoch > newer_than, seconds)


def is_fresh(alias: str) -> bool:
    """Whether the map may be used for ``alias`` without asking anybody."""
    now = clock()
    if _watcher is not None and now < _watcher.confirmed_until:
        return True
    return now < _confirmed_until.get(alias, float("-inf")) or not options().watch


def confirm(connection: BaseDatabaseWrapper) -> None:
    """Before a statement to ``connection``'s database: make sure that the map may still be used for it.

    Costs nothing while the directory answers, and one query a lease while it does not. Raises ``BucketMoved`` when the
    database no longer owns what the map gives it, or is being filled with rows that the map does not know of; the map
    is then mended as far as the new homes confirm it.
    """
    if _watcher is None and options().watch:
        _watch().first_answer(FIRST_ANSWER_SECONDS)  # after a fork
    if is_fresh(connection.alias) or not topology.current().holds_buckets(connection.alias):
        return
    asked_at = clock()
    try:
        lost, is_filled = _lost(connection)
    except _Silent:
        return  # the statement itself will say what is wrong
    if lost:
        raise BucketMoved(connection.alias, f"no longer owns {len(lost)} buckets that the map gives it; try again")
    if is_filled:
        raise BucketMoved(connection.alias, "is being filled with buckets that are not its own yet; try again")
    primaries.confirm(connection)
    _confirmed_until[connection.alias] = asked_at + options().lease_seconds


def before_commit(connection: BaseDatabaseWrapper) -> None:
    """A commit is as good as a write: where another server could have taken over, the map has to be fresh for it."""
    if connection.alias in options().replicas and not is_fresh(connection.alias):
        confirm(connection)


def _lost(connection: BaseDatabaseWrapper) -> tuple[dict[tuple[str, int], str | None], bool]:
    """Buckets of the map that the database no longer owns; and whether a move that the map does not know fills it."""
    try:
        parts = _parts(connection)
    except (psycopg.Error, Error) as error:
        raise _Silent from error
    shard_map = topology.current()
    lost = {
        (keyspace.name, bucket): home
        for keyspace in shard_map.keyspaces.values()
        for bucket, home in ownership.unowned(parts, keyspace, connection.alias).items()
    }
    arriving = {
        part.keyspace: tuple((first, last, connection.alias) for first, last in part.buckets)
        for part in parts
        if part.state == "importing" and part.keyspace in shard_map.keyspaces
    }
    unannounced = {
        name: copies for name, copies in arriving.items() if shard_map.keyspaces[name].only(connection.alias) is None
    }
    if lost or unannounced:
        _follow(shard_map, lost, unannounced)
    return lost, bool(unannounced)


def _parts(connection: BaseDatabaseWrapper) -> list[ownership.Part]:
    if not connection.in_atomic_block:
        with connection.connection.cursor() as cursor:  # psycopg's own: Django's would come here again
            return ownership.parts(cursor)
    # Not inside the transaction: its snapshot may be an old one, and its isolation may still have to be set.
    beside = connection.copy()
    try:
        beside.ensure_connection()
        with beside.connection.cursor() as cursor:
            return ownership.parts(cursor)
    finally:
        beside.close()


def _follow(
    shard_map: ShardMap, lost: dict[tuple[str, int], str | None], arriving: dict[str, tuple[topology.Copy, ...]]
) -> None:
    """Give lost buckets to the databases that themselves say they own them, and take arriving rows for copies.

    The epoch stays: the directory has a later one, which then replaces this map.
    """
    owners = {home: _owned_by(home) for home in set(lost.values()) if home is not None}
    keyspaces = dict(shard_map.keyspaces)
    for (keyspace, bucket), home in lost.items():
        if home is not None and (keyspace, bucket) in owners[home]:
            keyspaces[keyspace] = maps.assigned(keyspaces[keyspace], bucket, bucket, home)
    for keyspace, copies in arriving.items():
        keyspaces[keyspace] = maps.with_copies(keyspaces[keyspace], (*keyspaces[keyspace].copies, *copies))
    topology.use(replace(shard_map, keyspaces=keyspaces))


def _owned_by(alias: str) -> set[tuple[str, int]]:
    parameters = connections[alias].get_connection_params()
    try:
        with psycopg.connect(**{**parameters, "connect_timeout": 1, "autocommit": True}) as connection:
            parts = ownership.parts(connection.cursor())
    except psycopg.Error:
        return set()
    return {
        (part.keyspace, bucket)
        for part in parts
        if part.state == "owned"
        for first, last in part.buckets
        for bucket in range(first, last + 1)
    }
