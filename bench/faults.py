"""One database is frozen, killed, replaced by its replica: how soon are its callers answered, and who else notices?

Callers are threads of one process, as in a web server, four for each of two servers, at a steady pace. Afterwards the
first server's replica takes over, once while it is dead and once, back again, with everybody alive; a writer says how
long it had to wait, and the rows say what the old primary took when it came back.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import psycopg

from bench import _shop
from bench.report import Figure, Report
from deploy.local import faults, postgres

if TYPE_CHECKING:
    from tests.sharding.load import Call, Callers

VICTIM, OTHER, COPY = "customer_0", "customer_1", "customer_0_copy"
KEY = 7
"""A customer of the first shard."""
PAUSE = 0.005
ANSWERED, SETTLED, NOTICED = 2.2, 5.0, 1.1
TELLING_SECONDS = 20.0
"""In less, what else happens on the machine moves a 99th percentile by more than that."""
DETECTED = 2
"""Seconds that it may take to see that a primary is dead: counted, and not measured here."""


def main(*, quick: bool) -> Report:
    seconds = 5.0 if quick else 20.0
    with ExitStack() as stack:
        other = stack.enter_context(_shop.server("faults-other"))
        victim = stack.enter_context(_shop.server("faults-victim"))
        for name in ("directory", "shard_1"):
            postgres.ensure_database(other, name)
        postgres.ensure_database(victim, "shard_0")
        copy = postgres.Server(directory=victim.directory.parent / "faults-copy")
        urls = {"default": other.url("directory"), VICTIM: victim.url("shard_0"), OTHER: other.url("shard_1")}
        _configure(urls, copy.url("shard_0"))
        figures = [*_overhead(quick=quick)]
        for fault in ("frozen", "killed"):
            figures += _fault(fault, victim, seconds)
        postgres.start(copy.directory, durable=False, copy_of=victim)
        stack.callback(_remove, copy)
        figures += _promotions(victim, copy)
        _leave()
    return Report(bench="faults", figures=tuple(figures))


def _configure(urls: dict[str, str], copy: str) -> None:
    from django.conf import settings
    from django.db import connections

    from instacart.env import django_database

    _shop.configure(urls, WATCH=True, REPLICAS={VICTIM: (COPY,)})
    settings.DATABASES[COPY] = django_database(copy)
    connections.databases[COPY] = connections.configure_settings({"default": {}, COPY: settings.DATABASES[COPY]})[COPY]

    from sharding import directory, migrating, topology

    for progress in migrating.migrate(migrating.groups()).values():
        if progress.error is not None:
            raise progress.error
    directory.publish()
    topology.reload()
    _shop_model("Customer").objects.create(id=KEY, name="Ada")


def _remove(server: postgres.Server) -> None:
    faults.thaw(server)
    server.stop()
    server.remove()


def _leave() -> None:
    from django.db import connections

    from sharding import leases

    connections.close_all()
    leases.stop()


# What it costs while nothing is wrong


def _overhead(*, quick: bool) -> Iterator[Figure]:
    """One connection, guarded and not in turn: two connections differ by more than what is looked for."""
    from django.db import connections

    connections[VICTIM].ensure_connection()
    connection = connections[VICTIM].connection
    breaker = connection.breaker
    plain, guarded = [], []
    for _ in range(100 if quick else 1000):
        connection.breaker = None
        plain.append(_microseconds_a_query(connection))
        connection.breaker = breaker
        guarded.append(_microseconds_a_query(connection))
    # Of neighbours in time: whether the two processes share a processor changes from second to second, for more.
    more = statistics.median(one - other for one, other in zip(guarded, plain, strict=True))
    yield Figure(name="deadline, breaker and figures of a query", value=more, unit="µs", at_most=2)
    yield Figure(name="a query", value=statistics.median(guarded), unit="µs")


def _microseconds_a_query(connection: Any) -> float:
    rounds = 100
    with connection.cursor() as cursor:
        began = time.perf_counter()
        for _ in range(rounds):
            cursor.execute("SELECT 1")
        return (time.perf_counter() - began) / rounds * 1e6


# A fault


def _fault(fault: str, victim: postgres.Server, seconds: float) -> Iterator[Figure]:
    from sharding import breakers

    with _callers(_ask(VICTIM), 4) as victims, _callers(_ask(OTHER), 4) as others:
        time.sleep(1)
        calm = time.monotonic()
        time.sleep(seconds)
        began = time.monotonic()
        faults.freeze(victim) if fault == "frozen" else faults.kill(victim)
        opened = _when(lambda: breakers.state(VICTIM) != "closed", 30)
        time.sleep(max(seconds - (opened - began), 0))
        ends = time.monotonic()  # to start a server is work of its own
        faults.thaw(victim) if fault == "frozen" else postgres.start(victim.directory, durable=False)
        back = time.monotonic()
        closed = _when(lambda: breakers.state(VICTIM) == "closed", 30)
        time.sleep(1)
        over = time.monotonic()
    slowest = max(call.seconds for call in victims.between(began, over))
    before, during = others.p99(calm, began), others.p99(began, ends)
    yield Figure(name=f"{fault}: slowest answer to its callers", value=slowest, unit="s", at_most=ANSWERED)
    yield Figure(name=f"{fault}: until it is left alone", value=opened - began, unit="s", at_most=SETTLED)
    yield Figure(name=f"{fault}: until it is asked again, once back", value=closed - back, unit="s", at_most=SETTLED)
    failed = sum(not call.ok for call in victims.between(closed + 0.1, over))
    yield Figure(name=f"{fault}: failures after that", value=failed, unit="", at_most=0)
    failed = sum(not call.ok for call in others.between(calm, over))
    yield Figure(name=f"{fault}: failures of the other server's", value=failed, unit="", at_most=0)
    yield Figure(name=f"{fault}: their p99 before", value=before * 1000, unit="ms")
    noticed = None if seconds < TELLING_SECONDS else NOTICED
    yield Figure(name=f"{fault}: their p99 meanwhile, to that before", value=during / before, unit="", at_most=noticed)


def _ask(alias: str) -> Callable[[], object]:
    from django.db import connections

    def ask() -> object:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM shop_customer")
            return cursor.fetchone()

    return ask


def _callers(ask: Callable[[], object], count: int) -> "AbstractContextManager[Callers]":
    from tests.sharding.load import callers

    return callers(ask, count=count, pause=PAUSE)


def _when(holds: Callable[[], bool], seconds: float) -> float:
    """The moment at which it holds."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.005)
    return time.monotonic()


# A replica takes over


def _promotions(victim: postgres.Server, copy: postgres.Server) -> Iterator[Figure]:
    from sharding import promotion

    placed: list[int] = []
    with _callers(lambda: placed.append(_order()), 2) as writers:
        time.sleep(1)
        acknowledged, began = len(placed), time.monotonic()
        promotion.promote(VICTIM, COPY)
        _when(lambda: len(placed) > acknowledged + 20, 20)
    wait = _longest_gap(writers.between(began - 1, time.monotonic()))
    lost = len(set(placed) - _rows(copy))
    yield Figure(name="planned promotion: longest wait for a write", value=wait, unit="s", at_most=SETTLED)
    yield Figure(name="planned promotion: acknowledged rows lost", value=lost, unit="", at_most=0)

    victim.stop()
    victim.remove()
    postgres.start(victim.directory, durable=False, copy_of=copy)
    _when(lambda: bool(_rows(victim)), 10)
    with _callers(lambda: placed.append(_order()), 2) as writers:
        time.sleep(1)
        faults.kill(copy)
        began = time.monotonic()
        promotion.promote(VICTIM, VICTIM)
        acknowledged = len(placed)
        _when(lambda: len(placed) > acknowledged, 20)
        restored = time.monotonic() - began
        postgres.start(copy.directory, durable=False)
        before = _rows(copy)
        time.sleep(3)
    yield Figure(name="dead primary: until the first write", value=restored, unit="s", at_most=10 - DETECTED)
    yield Figure(
        name="dead primary: writes it took when it was back", value=len(_rows(copy) - before), unit="", at_most=0
    )


def _order() -> int:
    import sharding

    orders = _shop_model("Order").objects
    home = sharding.home("customer", KEY)
    return sharding.run(home, lambda: int(orders.create(customer_id=KEY, store_id=1).pk))


def _shop_model(name: str) -> Any:
    from django.apps import apps

    return apps.get_model("shop", name)


def _rows(server: postgres.Server) -> set[int]:
    with psycopg.connect(server.url("shard_0")) as connection:
        return {id for (id,) in connection.execute("SELECT id FROM shop_order")}


def _longest_gap(calls: "list[Call]") -> float:
    good = sorted(call.ended for call in calls if call.ok)
    return max(later - earlier for earlier, later in itertools.pairwise(good))
