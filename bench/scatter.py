"""What does asking 200 databases at once cost, beside the slowest of them?

One thread, 200 connections, two servers. One database takes 60 ms for its row, the others answer at once.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import psutil

from bench import _shop
from bench.report import Figure, Report

SHARDS = 200
SLOW = 0.06
ALLOWANCE_MS = 0.25
"""A shard, beside 1.05 times the slowest."""

_PAUSE = """
CREATE OR REPLACE FUNCTION bench_pause() RETURNS integer LANGUAGE plpgsql AS $body$
BEGIN
  IF current_database() = 'shard_0' THEN PERFORM pg_sleep({seconds}); END IF;
  RETURN 1;
END
$body$
"""


def main(*, quick: bool) -> Report:
    rounds, shards = (5, 60) if quick else (30, SHARDS)
    with _shop.server("scatter_0") as one, _shop.server("scatter_1") as other:
        urls = {"default": "", **dict.fromkeys((f"customer_{n}" for n in range(shards)), "")}
        for n, server in enumerate((one, other)):
            names = [f"shard_{shard}" for shard in range(n, shards, 2)]
            _shop.make(server, [*names, *(["directory"] if n == 0 else [])], prepare=_PAUSE.format(seconds=SLOW))
            urls |= {f"customer_{shard}": server.url(f"shard_{shard}") for shard in range(n, shards, 2)}
        urls["default"] = one.url("directory")
        _shop.configure(urls)
        return _measure(rounds, shards)


def _measure(rounds: int, shards: int) -> Report:
    from django.db.models import Func, IntegerField, Sum

    from sharding import topology
    from tests.sharding.shop.models import Customer

    aliases = topology.aliases("customer")
    _fill(aliases)
    pause = Func(function="bench_pause", output_field=IntegerField())

    def slowly() -> Any:
        return Customer.objects.annotate(pause=pause).order_by("id")

    before = psutil.Process().memory_info().rss
    first = _once(lambda: Customer.objects.scatter(timeout=20).count())
    grown = psutil.Process().memory_info().rss - before
    slowest = _median(lambda: list(slowly().using(aliases[0])), rounds)
    scattered = _median(lambda: list(slowly().scatter()), rounds)
    rows = list(slowly().scatter())
    assert [row.pk for row in rows] == [1 + n * 10_000 // shards for n in range(shards)]
    limit = 1.05 * slowest + ALLOWANCE_MS * shards
    count = _median(lambda: Customer.objects.scatter().count(), rounds)
    total = _median(lambda: Customer.objects.scatter().aggregate(total=Sum("id")), rounds)
    top = _median(lambda: list(Customer.objects.scatter().order_by("-id")[:10]), rounds)
    return Report(
        bench="scatter",
        figures=(
            Figure(name="databases", value=len(aliases), unit="", at_least=shards),
            Figure(name="the slowest alone", value=slowest, unit="ms"),
            Figure(name="all of them", value=scattered, unit="ms", at_most=round(limit, 1)),
            Figure(name="over the slowest, a database", value=(scattered - slowest) / shards, unit="ms"),
            Figure(name="count()", value=count, unit="ms"),
            Figure(name="sum", value=total, unit="ms"),
            Figure(name="first ten by id", value=top, unit="ms"),
            Figure(name="the first time, connecting", value=first, unit="ms"),
            Figure(name="memory for a connection", value=grown / shards / 1024, unit="kB"),
        ),
    )


def _fill(aliases: tuple[str, ...]) -> None:
    """One customer in each database, of its first bucket but one."""
    from django.db import connections

    from sharding import schema, topology
    from tests.sharding.shop.models import Customer

    for alias in aliases:
        with connections[alias].schema_editor() as editor:
            editor.create_model(Customer)
        schema.install(connections[alias])
        Customer.objects.create(id=1 + topology.keyspace("customer").owned(alias)[0][0], name=alias)
        connections[alias].close()


def _median(work: Callable[[], object], rounds: int) -> float:
    return statistics.median(_once(work) for _ in range(rounds))


def _once(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
