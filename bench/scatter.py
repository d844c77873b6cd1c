"""What does a question to 200 databases cost beyond the slowest of them?

All databases are on one embedded server and asked from one thread, on one machine: the servers' work is in the figures
too. One database takes 60 ms for what the others do at once. The slowest database is measured by asking it alone.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import psutil
import psycopg

from bench import _shop
from bench.report import Figure, Report
from deploy.local import postgres

SHARDS, QUICK_SHARDS = 200, 60
ROWS = 200
"""Orders in each database."""
PAUSE_SECONDS = 0.06
GOAL_FACTOR, GOAL_MS_EACH = 1.05, 0.25
SLOW = "customer_7"
TEMPLATE = "shard_0"

PAUSE = "CREATE FUNCTION bench_pause() RETURNS integer LANGUAGE plpgsql STABLE AS $$ BEGIN {} RETURN 1; END $$"
"""Called once for each query: it depends on no row."""

FILL = """
SET session_replication_role = replica;
INSERT INTO shop_customer (id, name) SELECT {bucket} + g * 10000, 'c' || g FROM generate_series(1, 20) g;
INSERT INTO shop_order (id, customer_id, store_id, code, total, wishes)
  SELECT ({start} + g) << 22 | {bucket} << 8 | g % 256, {bucket} + (g % 20 + 1) * 10000, g % 50, '', g % 97, '{{}}'
  FROM generate_series(1, {rows}) g;
ANALYZE shop_order;
"""


def main(*, quick: bool) -> Report:
    shards = QUICK_SHARDS if quick else SHARDS
    with _shop.server("scatter") as server:
        _make(server, shards)
        return Report(bench="scatter", figures=tuple(_figures(shards, rounds=5 if quick else 15)))


def _make(server: postgres.Server, shards: int) -> None:
    names = {"default": "directory", **{f"customer_{n}": f"shard_{n}" for n in range(shards)}}
    _shop.configure({alias: server.url(name) for alias, name in names.items()}, DEADLINE_SECONDS=30.0)
    from django.db import connections

    from sharding import migrating

    postgres.ensure_database(server, "directory")
    postgres.ensure_database(server, TEMPLATE)
    groups = [migrating.Group("global", ("default",)), migrating.Group("customer", ("customer_0",))]
    for progress in migrating.migrate(groups).values():
        if progress.error is not None:
            raise progress.error
    connections.close_all()
    _shop.make(server, [f"shard_{n}" for n in range(shards)], prepare=PAUSE.format(""))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: _fill(server, n, shards), range(shards)))


def _fill(server: postgres.Server, n: int, shards: int) -> None:
    with psycopg.connect(server.url(f"shard_{n}"), autocommit=True) as connection:
        connection.execute(FILL.format(bucket=n * 10_000 // shards, start=n * 7919 % 10_000, rows=ROWS))
        if f"customer_{n}" == SLOW:
            pause = PAUSE.replace("CREATE", "CREATE OR REPLACE").format(f"PERFORM pg_sleep({PAUSE_SECONDS});")
            connection.execute(pause)


def _figures(shards: int, rounds: int) -> Sequence[Figure]:
    from django.db import connections
    from django.db.models import Avg, Count, Func, IntegerField, Sum
    from django.db.models.lookups import Exact

    Order: Any = import_module("tests.sharding.shop.models").Order  # noqa: N806
    paused: Any = Exact(Func(function="bench_pause", output_field=IntegerField()), 1)

    def newest(orders: Any) -> Callable[[], object]:
        return lambda: list(orders.order_by("-id")[:20])

    everywhere, alone = Order.objects.scatter(timeout=30), Order.objects.using(SLOW)
    before = _memory_mb()
    began = time.perf_counter()
    assert everywhere.count() == shards * ROWS
    connecting = time.perf_counter() - began
    memory = _memory_mb() - before
    slowest = _median_ms(newest(alone.filter(paused)), rounds)
    allowed = GOAL_FACTOR * slowest + GOAL_MS_EACH * shards
    figures = [
        Figure(name="databases", value=shards, unit=""),
        Figure(name="the slowest database alone, 20 rows", value=slowest, unit="ms"),
        Figure(
            name="20 newest rows of all, one database slow",
            value=_median_ms(newest(everywhere.filter(paused)), rounds),
            unit="ms",
            at_most=round(allowed, 1),
        ),
        Figure(
            name="count of all, one database slow",
            value=_median_ms(everywhere.filter(paused).count, rounds),
            unit="ms",
            at_most=round(allowed, 1),
        ),
    ]
    by_store = everywhere.values("store_id").annotate(n=Count("id"), s=Sum("total"), a=Avg("total")).order_by("-s", "a")
    questions: dict[str, Callable[[], object]] = {
        "20 newest rows of all": newest(everywhere),
        "count of all": everywhere.count,
        "sum and average of all": lambda: everywhere.aggregate(Sum("total"), Avg("total")),
        "10 best of 50 groups": lambda: list(by_store[:10]),
        f"all {shards * ROWS:,} rows as tuples, in order": lambda: list(everywhere.order_by("id").values_list("id")),
    }
    for name, ask in questions.items():
        figures.append(Figure(name=name, value=_median_ms(ask, rounds), unit="ms"))
    asked_in_turn = _median_ms(lambda: [Order.objects.using(a).count() for a in _aliases()], max(rounds // 3, 1))
    opened = sum(connections[alias].connection is not None for alias in _aliases())
    connections.close_all()
    began = time.perf_counter()
    for alias in _aliases():
        connections[alias].ensure_connection()
    in_turn = time.perf_counter() - began
    connections.close_all()
    return [
        *figures,
        Figure(name="count, one database after the other", value=asked_in_turn, unit="ms"),
        Figure(name="first question, opening all connections", value=connecting * 1000, unit="ms"),
        Figure(name="opening them one after the other", value=in_turn * 1000, unit="ms"),
        Figure(name="connections", value=opened, unit="", at_most=shards),
        Figure(name="memory per connected database", value=memory * 1024 / shards, unit="kB"),
    ]


def _aliases() -> Sequence[str]:
    from sharding import topology

    return topology.aliases("customer")


def _median_ms(ask: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        gc.collect()
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def _memory_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20
