"""Decisions on a big day: how long one takes and how much memory, the whole way from dataclasses to dataclasses."""

import multiprocessing
import random
import statistics
import time
from pathlib import Path

from bench.report import Figure
from cython_ext.dispatch import engine
from cython_ext.dispatch.travel import Plane
from cython_ext.dispatch.types import Order, Request, Shopper

SIDE_M = 25_000
SPEED = 320.0
BUDGETS = {1000: 0.015, 3000: 0.06}
"""Orders, and seconds of search that leave room for the rest of a decision."""


def figures(*, quick: bool) -> list[Figure]:
    rounds = 10 if quick else 100
    small = _milliseconds(1000, 667, rounds)
    big = _milliseconds(3000, 2000, max(5, rounds // 4))
    return [
        Figure(name="decision p99, 1,000 orders and 667 shoppers", value=small, unit="ms", at_most=50),
        Figure(name="decision p99, 3,000 orders and 2,000 shoppers", value=big, unit="ms", at_most=250),
        Figure(name="memory for 3,000 orders", value=_megabytes(), unit="MB", at_most=200),
    ]


def city(orders: int, shoppers: int, seed: int = 1) -> Request:
    chance = random.Random(seed)  # noqa: S311 (the same city every time)

    def somewhere() -> tuple[float, float]:
        return chance.uniform(0, SIDE_M), chance.uniform(0, SIDE_M)

    def around(at: tuple[float, float]) -> tuple[float, float]:
        return at[0] + chance.gauss(0, 1600), at[1] + chance.gauss(0, 1600)

    stores = [somewhere() for _ in range(max(10, orders // 9))]
    placed = []
    for i in range(orders):
        store, at = chance.randrange(len(stores)), chance.uniform(-20, 0)
        ready = at + chance.uniform(5, 35)
        door = around(stores[store])
        placed.append(
            Order(
                order_id=f"o{i}",
                store_id=f"s{store}",
                store=stores[store],
                door=door,
                placed=at,
                ready=ready,
                due=at + 40,
            )
        )
    on_shift = [
        Shopper(
            shopper_id=f"c{i}",
            at=around(chance.choice(stores)),
            free=chance.uniform(0, 20),
            off=chance.uniform(60, 240),
        )
        for i in range(shoppers)
    ]
    return Request(now=0.0, orders=placed, shoppers=on_shift, travel=Plane(SPEED))


def _milliseconds(orders: int, shoppers: int, rounds: int) -> float:
    """The 99th percentile of going on from the last plan; the first one, from nothing, is among them."""
    request = city(orders, shoppers)
    taken = []
    routes: dict[str, tuple[tuple[str, str], ...]] = {}
    for number in range(rounds):
        asked = Request(
            now=0.0,
            orders=request.orders,
            shoppers=request.shoppers,
            travel=request.travel,
            previous=routes,  # type: ignore[arg-type]
        )
        began = time.perf_counter()
        made = engine.plan(asked, seed=number, iterations=10**9, seconds=BUDGETS[orders])
        taken.append(1000 * (time.perf_counter() - began))
        routes = made.routes  # type: ignore[assignment]
    return statistics.quantiles(taken, n=100, method="inclusive")[98]


def _megabytes() -> float:
    """The most that a process of its own held, planning 3,000 orders, above what it held before."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure_memory)


def _measure_memory() -> float:
    request = city(3000, 2000)
    before = _status_kilobytes("VmRSS")
    engine.plan(request, iterations=2000)
    return (_status_kilobytes("VmHWM") - before) / 1024


def _status_kilobytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[1])
