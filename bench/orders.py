"""A customer fills a cart with ten lines and places the order, over HTTP: what that costs, and how much of it fits.

One uWSGI process on one core answers; PostgreSQL, Redis, the payments sandbox and the customers share the rest. A cart
is filled by one GraphQL request and ordered by another, as a phone sends them; the payments sandbox answers at once and
posts its webhooks to the same process. Beside it, fifty buyers at once want the last five of an item.
"""

import json
import math
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench import _market, _shopping
from bench._market import Running
from bench._shopping import Customer, Shop
from bench.report import Figure, Report

LEFT_OUT = frozenset({"websockets", "collectstatic", "beat"})
WORKERS = frozenset({"worker-critical", "worker-dispatch", "worker-events", "worker-bulk"})
RATE = 10.0
"""Orders a second for latencies: half of the goal's twenty."""
AT_ONCE = 4
"""Customers who do not pause, for throughput: as many as the process has threads."""
WEB = ("--processes", "1", "--threads", str(AT_ONCE))
BUYERS, UNITS = 50, 5


def main(*, quick: bool) -> Report:
    seconds = 6.0 if quick else 40.0
    figures: list[Figure] = []
    with _market.installation("orders", leave_out=LEFT_OUT | WORKERS, web=WEB) as running:
        shop = _shopping.settle(quick=quick)
        figures += _statements(shop)
        with _on_cores(running):
            _order_for(2.0, running.url, shop)  # connections and caches
            figures += _throughput(seconds, running, shop)
            figures += _latencies(seconds, running.url, shop)
        figures += _last_items(shop, rounds=4 if quick else 10)
    return Report(bench="orders", figures=tuple(figures))


# What one order asks of the databases


def _statements(shop: Shop) -> Iterator[Figure]:
    """Counted in this process, behind the same view; transactions' BEGIN and COMMIT are not among them."""
    from django.db import connections
    from django.test import Client

    asked: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    def post(customer: Customer, body: bytes) -> dict[str, Any]:
        sent = Client().post("/graphql/", body, "application/json", headers=customer.headers)
        answer: dict[str, Any] = sent.json()
        return answer

    to_fill, to_place = [], []
    with ExitStack() as stack, shop.somebody() as customer:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(note))
        for _ in range(21):
            asked.clear()
            filled = post(customer, shop.filling(customer))
            to_fill.append(len(asked))
            asked.clear()
            shop.placed(post(customer, shop.placing(customer, shop.filled(filled))))
            to_place.append(len(asked))
    # The median: now and then what was remembered is asked for again.
    yield Figure(name="statements to fill the cart", value=statistics.median(to_fill), unit="")
    yield Figure(name="statements to place the order", value=statistics.median(to_place), unit="", at_most=25)


# Over HTTP


class Connection:
    """One customer's phone; each request has a connection of its own, as the server wants it."""

    def __init__(self, url: str) -> None:
        self._at = urlsplit(url).netloc

    def post(self, customer: Customer, body: bytes) -> dict[str, Any]:
        connection = HTTPConnection(self._at, timeout=20)
        try:
            connection.request("POST", "/graphql/", body, {"Content-Type": "application/json", **customer.headers})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


def _order(url: str, shop: Shop) -> tuple[float, float]:
    """One order of some customer's: seconds to fill the cart and to place it. Raises when it was refused."""
    phone = Connection(url)
    with shop.somebody() as customer:
        began = time.perf_counter()
        version = shop.filled(phone.post(customer, shop.filling(customer)))
        filled = time.perf_counter()
        shop.placed(phone.post(customer, shop.placing(customer, version)))
        return filled - began, time.perf_counter() - filled


def _order_for(seconds: float, url: str, shop: Shop) -> int:
    """So long, ``AT_ONCE`` customers one after the other each; how many orders they placed."""
    until = time.monotonic() + seconds

    def shopping() -> int:
        placed = 0
        while time.monotonic() < until:
            _order(url, shop)
            placed += 1
        return placed

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(one.result() for one in [pool.submit(shopping) for _ in range(AT_ONCE)])


def _throughput(seconds: float, running: Running, shop: Shop) -> Iterator[Figure]:
    before, began = running.processor_s(), time.monotonic()
    orders = _order_for(seconds, running.url, shop)
    took, after = time.monotonic() - began, running.processor_s()
    yield Figure(name="orders a second, one process on one core", value=orders / took, unit="1/s", at_least=20)
    for name in sorted(after):
        goal = 40 if name == "web" else None
        used = (after[name] - before.get(name, 0.0)) / orders * 1000
        yield Figure(name=f"processor time of {name} an order", value=used, unit="ms", at_most=goal)


def _latencies(seconds: float, url: str, shop: Shop) -> Iterator[Figure]:
    """At ``RATE``, each at its own time, however long the ones before take."""
    chance = random.Random(11)  # noqa: S311
    due, begins = 0.0, time.monotonic() + 0.1
    with ThreadPoolExecutor(64) as pool:
        sent = []
        while due < seconds:
            time.sleep(max(begins + due - time.monotonic(), 0))
            sent.append(pool.submit(_order, url, shop))
            due += chance.expovariate(RATE)
        took = [one.result() for one in sent]
    placing = sorted(1000 * place for _, place in took)
    filling = sorted(1000 * fill for fill, _ in took)
    yield Figure(name=f"placing at {RATE:.0f} orders a second, p50", value=_at(placing, 0.5), unit="ms", at_most=50)
    yield Figure(name=f"placing at {RATE:.0f} orders a second, p99", value=_at(placing, 0.99), unit="ms", at_most=150)
    yield Figure(name=f"filling at {RATE:.0f} orders a second, p50", value=_at(filling, 0.5), unit="ms")
    yield Figure(name=f"filling at {RATE:.0f} orders a second, p99", value=_at(filling, 0.99), unit="ms")


def _at(ascending: list[float], share: float) -> float:
    return ascending[min(math.ceil(share * len(ascending)), len(ascending)) - 1]


@contextmanager
def _on_cores(running: Running) -> Iterator[None]:
    """uWSGI on one core, everybody else, this process too, on the others; where there is one core only, all on it."""
    cores = sorted(os.sched_getaffinity(0))
    web, others = set(cores[:1]), set(cores[1:]) or set(cores)
    for name in running.processor_s():
        _pin(running.identity(name).pid, web if name == "web" else others)
    _pin(os.getpid(), others, children=False)
    try:
        yield
    finally:
        _pin(os.getpid(), set(cores), children=False)


def _pin(pid: int, cores: set[int], *, children: bool = True) -> None:
    root = psutil.Process(pid)
    for process in [root, *(root.children(recursive=True) if children else [])]:
        for thread in process.threads():
            with suppress(ProcessLookupError):  # it has ended since
                os.sched_setaffinity(thread.id, cores)


# The last of an item


@dataclass
class Round:
    """What ``BUYERS`` at once were told of ``UNITS`` units."""

    told: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def _last_items(shop: Shop, *, rounds: int) -> Iterator[Figure]:
    found = [_round(shop, number) for number in range(rounds)]
    sold = [sum(one.told) for one in found]
    took = sorted(1000 * seconds for one in found for seconds in one.seconds)
    yield Figure(name="last items: oversold units", value=sum(max(n - UNITS, 0) for n in sold), unit="", at_most=0)
    missed = sum(max(UNITS - n, 0) for n in sold)
    yield Figure(name="last items: told sold out while there was one", value=missed, unit="", at_most=0)
    yield Figure(name="last items: reserving, p50", value=statistics.median(took), unit="ms")
    yield Figure(name="last items: reserving, p99", value=_at(took, 0.99), unit="ms", at_most=100)


def _round(shop: Shop, number: int) -> Round:
    """Each buyer has bought something else before, as connections of a web process have served others: a new one first
    reads what PostgreSQL knows of its tables, for some milliseconds that a kept one does not need.
    """
    from django.db import connections

    from apps.inventory import services
    from apps.inventory.errors import OutOfStock

    now = datetime.now(UTC)
    store_id, item_id = shop.rare_item(number, UNITS)
    _, plenty = shop.rare_item(number + len(shop.goods), BUYERS)  # of the same store
    found, lock, start = Round(), threading.Lock(), threading.Barrier(BUYERS)
    order_ids = count((number + 1) * 1_000_000)

    def reserve(item_id: int) -> None:
        services.reserve(
            store_id=store_id,
            order_id=next(order_ids),
            quantities={item_id: Decimal(1)},
            expires_at=now + timedelta(minutes=10),
            now=now,
        )

    def buy() -> None:
        reserve(plenty)
        start.wait()
        began = time.perf_counter()
        try:
            reserve(item_id)
            has_one = True
        except OutOfStock:
            has_one = False
        took = time.perf_counter() - began
        with lock:
            found.told.append(has_one)
            found.seconds.append(took)
        connections.close_all()

    buyers = [threading.Thread(target=buy) for _ in range(BUYERS)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    return found
