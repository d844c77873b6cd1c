"""A directory, two shards and a spare of a test's own, and processes that know only them.

Shard ``b`` is on the second server; ``c`` shares the first with ``a``, so that a move from one to the other stays
within one server.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from deploy.local import postgres, testservers
from deploy.local.layout import ROOT
from tests.sharding.moves import acts

Answer = TypeVar("Answer")

LEASE = 0.12
OWNED = {"a": (0, 4999), "b": (5000, 9999)}
SERVER_OF = {"default": 0, "a": 0, "b": 1, "c": 0}


@dataclass(frozen=True, slots=True)
class World:
    urls: Mapping[str, str]
    mover: ProcessPoolExecutor
    """One process, which does one thing at a time."""
    watcher: ProcessPoolExecutor
    """Another one, to look at what it does."""

    def do(self, act: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
        """``act(…)`` in a process of this world; what it raises is raised here."""
        return self.mover.submit(act, *args, **kwargs).result(timeout=300)

    def look(self, act: Callable[..., Answer], *args: Any, until: Callable[[Answer], bool]) -> Answer:
        """What ``act(…)`` says once it says what is waited for."""
        ends = time.monotonic() + 30
        while not until(found := self.watcher.submit(act, *args).result(timeout=60)):
            assert time.monotonic() < ends, found
            time.sleep(0.02)
        return found

    def start(self, *arguments: str, log: Path) -> "subprocess.Popen[bytes]":
        """``python -m`` in this world."""
        with log.open("wb") as output:
            command = [sys.executable, "-m", *arguments]
            return subprocess.Popen(command, cwd=ROOT, env=_environ(self.urls), stdout=output, stderr=output)

    def connect(self, alias: str) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.urls[alias], autocommit=True)

    def rows(self, alias: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.connect(alias) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def run(self, alias: str, statement: str, *parameters: object) -> None:
        with self.connect(alias) as connection:
            connection.execute(statement.encode(), parameters or None)


def _environ(urls: Mapping[str, str], *, watch: bool = True) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.sharding.moves.settings",
        "MOVES_WORLD": json.dumps({"urls": dict(urls), "lease": LEASE, "watch": watch}),
    }


def _names(kind: str) -> dict[str, str]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return {alias: f"moves_{worker}_{kind}_{alias}" for alias in SERVER_OF}


def _urls(names: Mapping[str, str]) -> dict[str, str]:
    servers = testservers._servers()
    return {alias: servers[SERVER_OF[alias]].url(name) for alias, name in names.items()}


@contextmanager
def _maintenance(alias: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    with psycopg.connect(testservers._servers()[SERVER_OF[alias]].url("postgres"), autocommit=True) as connection:
        yield connection


@cache
def _template() -> dict[str, str]:
    """Migrated databases, made once by each process of the tests."""
    names = _names("template")
    for alias, name in names.items():
        _drop(alias, name)
        postgres.ensure_database(testservers._servers()[SERVER_OF[alias]], name)
    done = subprocess.run(
        [sys.executable, "-m", "tests.sharding.moves.acts"],
        cwd=ROOT,
        env=_environ(_urls(names), watch=False),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return names


def _drop(alias: str, name: str) -> None:
    with _maintenance(alias) as connection:
        if not connection.execute("SELECT true FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        _unlink(connection, alias, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _unlink(server: "psycopg.Connection[tuple[Any, ...]]", alias: str, name: str) -> None:
    """End what a test may have left behind that outlives its sessions: replication, prepared transactions, refusals."""
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    with psycopg.connect(testservers._servers()[SERVER_OF[alias]].url(name), autocommit=True) as inside:
        for (gid,) in inside.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", [name]).fetchall():
            inside.execute(f"ROLLBACK PREPARED '{gid}'".encode())
        subscriptions = inside.execute(
            "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE datname = %s", [name]
        ).fetchall()
        for (subscription,) in subscriptions:
            inside.execute(f"ALTER SUBSCRIPTION {subscription} DISABLE".encode())
            inside.execute(f"ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE)".encode())
            inside.execute(f"DROP SUBSCRIPTION {subscription}".encode())
        for (publication,) in inside.execute("SELECT pubname FROM pg_publication").fetchall():
            inside.execute(f"DROP PUBLICATION {publication}".encode())
    until = time.monotonic() + 10
    while slots := server.execute(
        "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s", [name]
    ).fetchall():
        assert time.monotonic() < until, slots
        for slot, pid in slots:
            if pid is not None:
                server.execute("SELECT pg_terminate_backend(%s)", [pid])
            with suppress(psycopg.errors.ObjectInUse):
                server.execute("SELECT pg_drop_replication_slot(%s)", [slot])


_RESET = """
SET session_replication_role = replica;
TRUNCATE shop_customer, shop_store CASCADE;
DELETE FROM sharding_marker;
DELETE FROM sharding_bucket;
"""
_OWN = (
    "INSERT INTO sharding_bucket SELECT keyspace, bucket, 'owned', 1 "
    "FROM unnest(ARRAY['customer', 'store']) keyspace, generate_series(%s::int, %s::int) bucket"
)
_is_there = False
"""Whether the databases exist, as a test has left them."""


def _prepare(names: Mapping[str, str]) -> None:
    global _is_there
    template = _template()
    for alias, name in names.items():
        with _maintenance(alias) as server:
            if not _is_there:
                _drop(alias, name)
                server.execute(f"CREATE DATABASE {name} TEMPLATE {template[alias]} STRATEGY file_copy".encode())
                continue
            _unlink(server, alias, name)
        with psycopg.connect(testservers._servers()[SERVER_OF[alias]].url(name), autocommit=True) as connection:
            if alias == "default":
                connection.execute("DELETE FROM sharding_move; DELETE FROM sharding_mapversion")
                continue
            connection.execute(_RESET)
            if alias in OWNED:
                connection.execute(_OWN, OWNED[alias])
    _is_there = True


@contextmanager
def world(*, is_changed: bool = False) -> Iterator[World]:
    """Databases as new, and processes that work with them. ``is_changed``: the block changes tables."""
    global _is_there
    names = _names("test")
    _prepare(names)
    found = World(_urls(names), _process("mover"), _process("watcher"))
    try:
        found.do(acts.publish)
        yield found
    finally:
        for pool in (found.mover, found.watcher):
            pool.submit(acts.forget).result(timeout=60)
        if is_changed:
            _is_there = False


@cache
def _process(name: str) -> ProcessPoolExecutor:
    """One for all worlds of this process of the tests: their databases have the same addresses."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=acts.begin, initargs=(_environ(_urls(_names("test"))),))


def end() -> None:
    """Stop and drop what all worlds share."""
    global _is_there
    for name in ("mover", "watcher"):
        _process(name).shutdown()
    _process.cache_clear()
    for alias in SERVER_OF:
        for kind in ("test", "template"):
            _drop(alias, _names(kind)[alias])
    _template.cache_clear()
    _is_there = False
