"""A directory, two shards and a spare of a test's own, and processes that know only them.

Shard ``b`` is on the second server; ``c`` shares the first with ``a``, so that a move from one to the other stays
within one server.
"""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from deploy.local import postgres, testservers
from deploy.local.layout import ROOT
from tests.sharding.moves import acts

Answer = TypeVar("Answer")

LEASE = 0.2
SERVER_OF = {"default": 0, "a": 0, "b": 1, "c": 0}


@dataclass(frozen=True, slots=True)
class World:
    urls: Mapping[str, str]
    mover: ProcessPoolExecutor

    def do(self, act: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
        """``act(…)`` in a process of this world; what it raises is raised here."""
        return self.mover.submit(act, *args, **kwargs).result(timeout=120)

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
        for (gid,) in connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", [name]).fetchall():
            with psycopg.connect(testservers._servers()[SERVER_OF[alias]].url(name), autocommit=True) as inside:
                inside.execute(f"ROLLBACK PREPARED '{gid}'".encode())
        found = connection.execute("SELECT true FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not found:
            return
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        left = connection.execute(
            "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = %s", [name]
        ).fetchall()
        if left:
            with psycopg.connect(testservers._servers()[SERVER_OF[alias]].url(name), autocommit=True) as inside:
                for (subscription,) in left:
                    inside.execute(f"ALTER SUBSCRIPTION {subscription} DISABLE".encode())
                    inside.execute(f"ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE)".encode())
                    inside.execute(f"DROP SUBSCRIPTION {subscription}".encode())
        connection.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = %s AND active", [name]
        )
        for (slot,) in connection.execute(
            "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [name]
        ).fetchall():
            for _ in range(100):
                try:
                    connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
                    break
                except psycopg.errors.ObjectInUse:
                    connection.execute(
                        "SELECT pg_terminate_backend(active_pid), pg_sleep(0.05) FROM pg_replication_slots "
                        "WHERE slot_name = %s AND active",
                        [slot],
                    )
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def world() -> Iterator[World]:
    """New databases, and a process that works with them."""
    template, names = _template(), _names("test")
    for alias, name in names.items():
        _drop(alias, name)
        with _maintenance(alias) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template[alias]}".encode())
    urls = _urls(names)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=acts.begin, initargs=(_environ(urls),)) as mover:
        found = World(urls, mover)
        found.do(acts.publish)
        yield found
    for alias in sorted(names, key="bca".find):  # subscribers first would be best; all of them are forced
        _drop(alias, names[alias])


def drop_templates() -> None:
    if _template.cache_info().currsize:
        for alias, name in _template().items():
            _drop(alias, name)
        _template.cache_clear()
