"""How long do 850 databases take to be migrated on one machine?

The production plan: 300 databases of customers, 500 of stores, 50 of shoppers, and the directory. Each has the
project's real tables, without rows, on one PostgreSQL that writes to the disk as in production. What is measured is the
whole ``manage.py shard migrate``, its start, its lint, the canaries and the book of runs included:

* a release of twelve operations (``release/``), of which each database gets those for its tables;
* what a writer feels of it on one database, where somebody has been reading orders for six seconds;
* the same again, when nothing is lacking: what every deploy pays;
* a few new databases from nothing.

Making the databases is not counted.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from bench.report import Figure, Report
from deploy.local import postgres
from deploy.local.layout import ROOT, Layout

GOAL_SECONDS = 60
GOAL_WAIT_MS = 250
REPORT_SECONDS = 6
COUNTS = {"customer": 300, "store": 500, "shopper": 50}
QUICK_COUNTS = {"customer": 12, "store": 20, "shopper": 8}
NEW = 16
"""Databases that are migrated from nothing."""
WORKERS = 8
MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
ROOM_BYTES = 10 << 20
"""What one database takes."""


def main(*, quick: bool) -> Report:
    counts = QUICK_COUNTS if quick else COUNTS
    names = [f"{keyspace}_{n:03}" for keyspace, count in counts.items() for n in range(count)]
    with _server(len(names) * ROOM_BYTES) as server:
        environ = _environment(server, names)
        making = _timed(lambda: _make(server, environ, counts))
        _write_to_disk(server)
        waits = _waits_beside_a_report(server, environ, names[0])
        release = _timed(lambda: _migrate(environ, "--workers", str(WORKERS)))
        _check(server, names)
        nothing = _timed(lambda: _migrate(environ, "--workers", str(WORKERS)))
        fresh = names[: NEW // 2] + names[-NEW // 2 :]
        _empty(server, fresh)
        scratch = _timed(
            lambda: _migrate(
                environ, "--workers", str(WORKERS), *(part for name in fresh for part in ("--database", name))
            )
        )
    count = len(names) + 1
    per_database = release / count
    return Report(
        bench="migrate",
        figures=(
            Figure(name="databases", value=count, unit=""),
            Figure(name="making them", value=making, unit="s"),
            Figure(
                name="a release",
                value=release,
                unit="s",
                at_most=GOAL_SECONDS * count / 851 + 10 if quick else GOAL_SECONDS,
            ),
            Figure(name="a release, per database", value=per_database * 1000, unit="ms"),
            Figure(
                name=f"longest write beside a report of {REPORT_SECONDS} s",
                value=max(waits) * 1000,
                unit="ms",
                at_most=GOAL_WAIT_MS,
            ),
            Figure(name="writes meanwhile", value=len(waits), unit=""),
            Figure(name="nothing to do", value=nothing, unit="s"),
            Figure(name="from nothing, per database", value=scratch / len(fresh) * 1000, unit="ms"),
        ),
    )


def _timed(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


@contextmanager
def _server(room_bytes: int) -> Iterator[postgres.Server]:
    """A server that need not survive a crash yet; its files are in memory where there is room for them."""
    var = Layout.read().var / "bench" / "migrate"
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * room_bytes
    folder = MEMORY / f"instacart-bench-{os.getpid()}" if has_room else var
    for path in (folder, var):
        shutil.rmtree(path, ignore_errors=True)
    server = postgres.start(folder / "postgres", durable=False)
    try:
        yield server
    finally:
        server.stop()
        server.remove()
        for path in (folder, var):
            shutil.rmtree(path, ignore_errors=True)


def _write_to_disk(server: postgres.Server) -> None:
    """From here on the server is as in production: what it commits is on the disk before it says so.

    Its other files may stay in memory: no commit waits for them.
    """
    server.stop()
    data, wal = server.directory.resolve(), Layout.read().var / "bench" / "migrate" / "wal"
    if MEMORY in data.parents:
        owner = (data / "pg_wal").stat()
        wal.parent.mkdir(parents=True)
        shutil.move(data / "pg_wal", wal)
        for path in (wal, *wal.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        (data / "pg_wal").symlink_to(wal)
    os.sync()
    postgres.start(server.directory)


def _environment(server: postgres.Server, names: Sequence[str]) -> Mapping[str, str]:
    urls = ",".join(f"{alias}={server.url(alias)}" for alias in ("default", *names))
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "bench.migrate.settings",
        "DATABASE_URLS": urls,
        "SHARD_MAP": "",
        "PYTHONPATH": str(ROOT),
    }


def _make(server: postgres.Server, environ: Mapping[str, str], counts: Mapping[str, int]) -> None:
    """One database of each keyspace is migrated as it was before the release, the others are copies of it."""
    models = [f"{keyspace}_000" for keyspace in counts]
    for name in ("default", *models):
        postgres.ensure_database(server, name)
    before = dict(environ) | {"DJANGO_SETTINGS_MODULE": "instacart.settings"}
    _migrate(before, *(part for name in ("default", *models) for part in ("--database", name)))
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for keyspace, count in counts.items():
            for n in range(1, count):
                connection.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                        sql.Identifier(f"{keyspace}_{n:03}"), sql.Identifier(f"{keyspace}_000")
                    )
                )
        connection.execute("CHECKPOINT")


def _empty(server: postgres.Server, names: Sequence[str]) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _migrate(environ: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "django", "shard", "migrate", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def _waits_beside_a_report(server: postgres.Server, environ: Mapping[str, str], name: str) -> list[float]:
    """How long each write to the orders of one database took while that database was migrated, seconds.

    Somebody reads the orders all the while, so that no column can be added; then the migration comes through.
    """
    waits: list[float] = []
    stopped = threading.Event()

    def write() -> None:
        with psycopg.connect(server.url(name), autocommit=True) as writer:
            while not stopped.is_set():
                began = time.monotonic()
                writer.execute("UPDATE orders_order SET sequence = 1 WHERE id = 1")
                waits.append(time.monotonic() - began)
                time.sleep(0.002)

    def read() -> None:
        with psycopg.connect(server.url(name)) as reader:
            reader.execute("SELECT count(*) FROM orders_order")
            stopped.wait(REPORT_SECONDS)

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        _migrate(environ, "--database", name, "--no-canary")
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    return waits


def _check(server: postgres.Server, names: Sequence[str]) -> None:
    """Every database has what the release brings to it."""
    wanted = {"customer": "orders_order_of_store", "store": "inventory_uncounted"}
    for name in names:
        index = wanted.get(name.partition("_")[0])
        with psycopg.connect(server.url(name)) as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM django_migrations WHERE name LIKE 'release_%%'), "
                "to_regclass(%s) IS NOT NULL, EXISTS (SELECT FROM pg_attribute WHERE attname = 'trace')",
                [index or "common_outboxmessage"],
            ).fetchone()
        assert row == (7, True, True), (name, row)
