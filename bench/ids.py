"""Are ids unique, however many processes draw them at once? And what does drawing one cost?

Eight processes insert into three shards at the same time, through the table's own trigger, into a table that would take
the same id twice. Afterwards every id is counted.
"""

import itertools
import subprocess
import sys
import time

import psycopg

from bench import _shop
from bench.report import Figure, Report

PROCESSES, SHARDS = 8, 3
CHUNK = 5_000

INSERT = (
    "INSERT INTO shop_line (customer_id, order_id, product_id, quantity) "
    "SELECT (%(shard)s * 3334 + (n * 7919 + %(process)s) %% 3000), 0, n, 1 FROM generate_series(1, %(chunk)s) n"
)


def main(*, quick: bool) -> Report:
    rows_each = 20_000 if quick else 1_000_000
    with _shop.server("ids") as server:
        urls = _shop.urls(server, SHARDS)
        _shop.configure(urls)
        _prepare()
        began = time.perf_counter()
        shards = [url for alias, url in urls.items() if alias != "default"]
        command = [sys.executable, "-m", "bench.ids", str(rows_each)]
        processes = [subprocess.Popen([*command, str(n), *shards]) for n in range(PROCESSES)]
        failed = sum(process.wait() != 0 for process in processes)
        seconds = time.perf_counter() - began
        rows, twice, misplaced = _count(shards)
    return Report(
        bench="ids",
        figures=(
            Figure(name="rows", value=rows, unit="", at_least=PROCESSES * SHARDS * rows_each),
            Figure(name="given twice", value=twice, unit="ids", at_most=0),
            Figure(name="naming another bucket", value=misplaced, unit="ids", at_most=0),
            Figure(name="processes that failed", value=failed, unit="", at_most=0),
            Figure(name="inserts", value=rows / seconds, unit="rows/s"),
        ),
    )


def _prepare() -> None:
    from django.db import connections

    from sharding import migrating, topology

    for progress in migrating.migrate(migrating.groups()).values():
        if progress.error is not None:
            raise progress.error
    for alias in topology.aliases("customer"):
        with connections[alias].cursor() as cursor:
            # What would hide a repeated id goes: this table takes it.
            cursor.execute("ALTER TABLE shop_line DROP CONSTRAINT shop_line_pkey CASCADE")
            cursor.execute(
                "SELECT conname FROM pg_constraint WHERE conrelid = 'shop_line'::regclass "
                "AND (contype = 'f' OR conname LIKE 'sharding_home_%')"
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f'ALTER TABLE shop_line DROP CONSTRAINT "{name}"')
            cursor.execute("ALTER TABLE shop_line SET UNLOGGED")
        connections[alias].close()


def _insert(rows_each: int, process: int, urls: list[str]) -> None:
    connections = [psycopg.connect(url, autocommit=True) for url in urls]
    for done in range(0, rows_each, CHUNK):
        for shard, connection in enumerate(connections):
            chunk = min(CHUNK, rows_each - done)
            connection.execute(INSERT, {"shard": shard, "process": process, "chunk": chunk})


def _count(urls: list[str]) -> tuple[int, int, int]:
    rows = unique = misplaced = 0
    everywhere: list[tuple[int, int]] = []
    for url in urls:
        with psycopg.connect(url) as connection:
            found = connection.execute(
                "SELECT count(*), count(DISTINCT id), "
                "count(*) FILTER (WHERE (id >> 8) & 16383 <> customer_id % 10000), "
                "min((id >> 8) & 16383), max((id >> 8) & 16383) FROM shop_line"
            ).fetchone()
            assert found is not None
            rows, unique, misplaced = rows + found[0], unique + found[1], misplaced + found[2]
            everywhere.append((found[3], found[4]))
    # Ids of two databases differ in their buckets, if no bucket is on both.
    shared = sum(one[1] >= other[0] for one, other in itertools.pairwise(everywhere))
    return rows, rows - unique + shared, misplaced


if __name__ == "__main__":
    _insert(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
