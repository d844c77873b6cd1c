"""What does it cost to find the database of a query, and to have databases configured that nobody asks?

The cost of deciding is what ``queryset.db`` takes beyond the same queryset with ``.using(alias)``: CPU alone, the least
disturbed of many batches. The share of a fetch is measured on PostgreSQL, in pairs: ``get(pk=…)`` and
``using(alias).get(pk=…)`` right after each other, in alternating order; the median of the differences counts.
"""

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import _shop
from bench.report import Figure, Report

SHARDS = 2
ORDERS = 200
BATCH = 1_000
"""Decisions timed together."""
WARM_UP = 200
IDLE = 500
"""Databases that are configured and never asked."""


def main(*, quick: bool) -> Report:
    idle = _idle_kilobytes()
    with _shop.server("routing") as server:
        _shop.configure(_shop.urls(server, SHARDS))
        ids = _prepare()
        decisions = _decisions(ids, repeats=30 if quick else 300)
        got, extra = _fetches(ids, pairs=4_000 if quick else 40_000)
        from django.db import connections

        connections.close_all()
    return Report(
        bench="routing",
        figures=(
            Figure(name="by primary key", value=decisions["pk"], unit="µs", at_most=3),
            Figure(name="by the shard key", value=decisions["key"], unit="µs"),
            Figure(name="by 200 ids of two shards", value=decisions["200 ids"], unit="µs"),
            Figure(name="through two joins", value=decisions["join"], unit="µs"),
            Figure(name="with a subquery", value=decisions["subquery"], unit="µs"),
            Figure(name="get(pk) with using()", value=got, unit="µs"),
            Figure(name="routing's share of get(pk)", value=100 * extra / got, unit="%", at_most=1),
            Figure(name="memory of an idle database", value=idle, unit="kB", at_most=50),
        ),
    )


def _shop_models() -> Any:
    """The example models, which need Django to be configured."""
    return import_module("tests.sharding.shop.models")


def _prepare() -> list[int]:
    """Ids of orders of one customer, whose tables were just made."""
    from sharding import migrating

    shop = _shop_models()
    for progress in migrating.migrate(migrating.groups()).values():
        if progress.error is not None:
            raise progress.error
    shop.Customer.objects.create(id=7, name="x")
    return [
        row.pk for row in shop.Order.objects.bulk_create([shop.Order(customer_id=7, store_id=1) for _ in range(ORDERS)])
    ]


def _decisions(ids: list[int], *, repeats: int) -> dict[str, float]:
    """Microseconds to find the database of one query, by kind."""
    from django.db.models import Exists, OuterRef

    from sharding import topology

    shop = _shop_models()
    alias = topology.alias_for("customer", 7)
    spread = [id + (n % 2 * 5_000 << 8) for n, id in enumerate(ids)]
    asked = {
        "pk": shop.Order.objects.filter(pk=ids[0]),
        "key": shop.Order.objects.filter(customer_id=7),
        "200 ids": shop.Order.objects.filter(pk__in=spread),
        "join": shop.Order.objects.filter(lines__order__customer__name="x", customer_id=7),
        "subquery": shop.Order.objects.filter(Exists(shop.Line.objects.filter(order=OuterRef("pk"))), customer_id=7),
    }
    asked["told"] = asked["pk"].using(alias)
    best = dict.fromkeys(asked, float("inf"))
    for _ in range(repeats):
        for name, queryset in asked.items():
            # What a queryset does before it asks: one database here, several for the ids.
            best[name] = min(best[name], _seconds(queryset._aliases) / BATCH * 1e6)
    return {name: cost - best["told"] for name, cost in best.items()}


def _seconds(decide: Callable[[], Any]) -> float:
    gc.disable()
    began = time.perf_counter()
    for _ in range(BATCH):
        decide()
    taken = time.perf_counter() - began
    gc.enable()
    return taken


def _fetches(ids: list[int], *, pairs: int) -> tuple[float, float]:
    """Microseconds of a fetch with ``using``, and how many more without."""
    from sharding import topology

    orders = _shop_models().Order.objects
    alias = topology.alias_for("customer", 7)

    taken: list[float] = []
    differences: list[float] = []
    clock = time.perf_counter
    for n in range(WARM_UP + pairs):
        id = ids[n % len(ids)]
        for is_routed in (n % 2 == 0, n % 2 == 1):
            began = clock()
            if is_routed:
                orders.get(pk=id)
                routed = clock() - began
            else:
                orders.using(alias).get(pk=id)
                told = clock() - began
        if n >= WARM_UP:
            taken.append(told)
            differences.append(routed - told)
    return statistics.median(taken) * 1e6, statistics.median(differences) * 1e6


def _idle_kilobytes() -> float:
    """What one more database takes in a process that has routed a query and made every connection object, unused."""
    few, many = (_resident_kilobytes(SHARDS + more) for more in (0, IDLE))
    return (many - few) / IDLE


def _resident_kilobytes(databases: int) -> float:
    command = [sys.executable, "-m", "bench.routing", str(databases)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_resident(databases: int) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    _shop.configure({"default": url, **{f"customer_{n}": url for n in range(databases)}})
    from django.db import connections

    assert _shop_models().Order.objects.filter(pk=1 << 40).db.startswith("customer_")
    assert len(list(connections.all())) == databases + 1
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    print(pages * 4)


if __name__ == "__main__":
    _print_resident(int(sys.argv[1]))
