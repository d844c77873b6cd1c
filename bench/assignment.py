"""From an order that is ready to be assigned until a shopper's phone has shown it: how long, calm and under faults?

The installation is a whole one (``_market``), the phones speak its REST API (``_phones``). Orders come in at the stores
as a confirmed order's event brings them in, and are *ready* from when they are committed there: their window is open,
somebody has to set out at once. Every tenth order is for later; nobody may be asked for it. *Seen* is when a phone has
the answer that holds the offer with the order.

``lost``: ready, and not seen by anybody when all is over. ``doubled``: an order in two batches, or a batch offered to
two at a time. ``two at once``: a shopper with an offer while they have another, or a batch in hand.
"""

import math
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, Thread
from typing import Any

from bench import _market, _race
from bench._market import Market, Place, Running
from bench._phones import Phones
from bench.report import Figure, Report


@dataclass(frozen=True, slots=True)
class Scale:
    """What falls to one of ``machines`` of two cores each, of a whole market with 300 orders a second at peak, 80,000
    stores in 1,000 zones, and 40,000 shoppers at a time who would take an order.

    300: 5 million orders on the busiest day are 99 a second over the 14 hours that stores are open, and dinner is three
    times as busy.
    """

    machines: int
    seconds: float
    """Of a phase."""
    going_online_s: float
    """Phones are switched on over so long."""

    @property
    def orders_a_second(self) -> float:
        return 300 / self.machines

    @property
    def stores(self) -> int:
        return 80_000 // self.machines

    @property
    def zones(self) -> int:
        return 1_000 // self.machines

    @property
    def shoppers(self) -> int:
        return 40_000 // self.machines


FULL = Scale(machines=100, seconds=60, going_online_s=10)
"""Of two cores each."""
QUICK = Scale(machines=500, seconds=4, going_online_s=2)
LATER = 0.1

GOAL_S = 30.0
FAULT_AFTER = 0.25
"""Of a phase; the rest is for what follows from it."""
DRAINED_WITHIN_S = 75.0
"""An offer that is ignored runs out after a minute, and its orders wait so long for the next."""
LEASES_END_EVERY_S = 1.0
SKEW_S = 0.3
"""Ids are up to 256 ms ahead of the clock."""


def main(*, quick: bool) -> Report:
    scale = QUICK if quick else FULL
    figures: list[Figure] = []
    with _market.installation("assignment") as running:
        market = _market.settle(zones=scale.zones, stores=scale.stores, shoppers=scale.shoppers, now=datetime.now(UTC))
        figures += _race.figures(running.url, market, _finish)
        with Phones(running.url, market, _finish, going_online_s=scale.going_online_s) as phones:
            _wait(lambda: phones.log.online == scale.shoppers, 60)
            orders = Orders(market, scale.orders_a_second)
            with orders:
                phases = [_phase(name, scale.seconds, running) for name in ("calm", *FAULTS)]
            _wait(lambda: not _unseen(orders, phones), 20.0 if quick else DRAINED_WITHIN_S)
        figures += _figures(phases, orders, phones)
        figures += _counts(orders, phones)
        restarts = sum(child.restarts for child in running.supervisor.children.values())
        figures.append(Figure(name="processes started again", value=restarts, unit="", at_least=2))
    return Report(bench="assignment", figures=tuple(figures))


# Orders


@dataclass(frozen=True, slots=True)
class Ordered:
    store_order_id: int
    store: Place
    at: float
    """When it was committed, in Unix seconds."""
    is_ready: bool


class Orders:
    """Customers, in a thread: so many orders a second, at random moments. What fails there is raised at the end."""

    def __init__(self, market: Market, a_second: float) -> None:
        self.made: list[Ordered] = []
        self._market, self._a_second, self._over = market, a_second, Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "Orders":
        self._work = self._pool.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        self._work.result()

    def _run(self) -> None:
        from django.db import connections

        chance = random.Random(7)  # noqa: S311
        numbers = count(1)
        due = time.time()
        while not self._over.is_set():
            due += chance.expovariate(self._a_second)
            if self._over.wait(max(due - time.time(), 0)):
                break
            self.made.append(_order(chance.choice(self._market.stores), next(numbers), chance))
        connections.close_all()


def _order(store: Place, number: int, chance: random.Random) -> Ordered:
    is_ready = chance.random() >= LATER
    opens_in = timedelta(0) if is_ready else timedelta(hours=4)
    store_order_id = _market.order(store, number, opens_in=opens_in, chance=chance)
    return Ordered(store_order_id, store, time.time(), is_ready)


def _finish(store_id: int, batch_id: int) -> None:
    """All orders of the batch are handed over."""
    from django.db import connections

    from apps.dispatch import services
    from apps.dispatch.models import BatchStop

    drops = BatchStop.objects.filter(batch_id=batch_id, kind="drop")
    for store_order_id in drops.values_list("store_order_id", flat=True):
        services.finish_order(store_id=store_id, store_order_id=store_order_id, now=datetime.now(UTC))
    connections.close_all()


# Phases


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    begins: float
    ends: float
    processor_s: dict[str, float]
    """What each process took; none for those that ended."""


def _phase(name: str, seconds: float, running: Running) -> Phase:
    begins, before = time.time(), running.processor_s()
    with ExitStack() as stack:
        if name != "calm":
            time.sleep(FAULT_AFTER * seconds)
            stack.enter_context(FAULTS[name](running))
        time.sleep(max(begins + seconds - time.time(), 0))
    after = running.processor_s()
    took = {one: after[one] - before[one] for one in before if one in after and after[one] >= before[one]}
    return Phase(name, begins, time.time(), took)


@contextmanager
def _redis_lost(running: Running) -> Iterator[None]:
    running.kill_redis()
    yield


@contextmanager
def _worker_killed(running: Running) -> Iterator[None]:
    running.kill(running.planner())
    yield


@contextmanager
def _two_planners(running: Running) -> Iterator[None]:
    """Also at the same time: every lease ends under its holder again and again."""
    from django.db import connections

    from apps.dispatch.models import PlannerLease

    over = Event()

    def end_leases() -> None:
        while not over.wait(LEASES_END_EVERY_S):
            PlannerLease.objects.update(expires_at=datetime.now(UTC))
        connections.close_all()

    thread = Thread(target=end_leases)
    with running.second_planner():
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


FAULTS = {"Redis lost": _redis_lost, "worker killed": _worker_killed, "two planners": _two_planners}


# Figures


def _figures(phases: Sequence[Phase], orders: Orders, phones: Phones) -> Iterator[Figure]:
    seen = _first_seen(orders, phones)
    for phase in phases:
        of_phase = [one for one in orders.made if one.is_ready and phase.begins <= one.at < phase.ends]
        waits = sorted(seen[one.store_order_id] - one.at for one in of_phase if one.store_order_id in seen)
        yield Figure(name=f"{phase.name}: orders", value=len(of_phase), unit="")
        yield Figure(name=f"{phase.name}: ready to seen, p50", value=_rank(waits, 0.5), unit="s")
        yield Figure(name=f"{phase.name}: ready to seen, p99", value=_rank(waits, 0.99), unit="s", at_most=GOAL_S)
        yield Figure(name=f"{phase.name}: ready to seen, longest", value=_rank(waits, 1.0), unit="s")
    calm = phases[0]
    for name, seconds in calm.processor_s.items():
        cores = seconds / (calm.ends - calm.begins)
        yield Figure(name=f"calm: cores taken by {name}", value=cores, unit="")
    took = sorted(phones.log.took)
    yield Figure(name="a phone's question for offers, p99", value=_rank(took, 0.99) * 1000, unit="ms")


def _counts(orders: Orders, phones: Phones) -> Iterator[Figure]:
    batches, offers = _batches(), _offers()
    early = {one.store_order_id for one in orders.made if not one.is_ready} & batches.keys()
    held = [(offer.began, offer.ended) for offer in offers]
    yield Figure(name="orders lost", value=len(_unseen(orders, phones)), unit="", at_most=0)
    yield Figure(name="orders doubled", value=sum(len(found) > 1 for found in batches.values()), unit="", at_most=0)
    yield Figure(name="batches doubled", value=_overlaps(offers, "batch_id"), unit="", at_most=0)
    yield Figure(name="shoppers with two at once", value=_overlaps(offers, "shopper_id"), unit="", at_most=0)
    yield Figure(name="orders for later that somebody was asked for", value=len(early), unit="", at_most=0)
    yield Figure(name="offers", value=len(held), unit="")
    for word, number in sorted(phones.log.answers.items()):
        yield Figure(name=f"offers that phones {word}", value=number, unit="")
    for trouble, number in sorted(phones.log.troubles.items()):
        yield Figure(name=f"phones' troubles, {trouble}", value=number, unit="")


def _first_seen(orders: Orders, phones: Phones) -> dict[int, float]:
    """When each order was on a phone for the first time."""
    of_batch: dict[int, float] = {}
    for seen in phones.log.seen:
        of_batch.setdefault(seen.batch_id, seen.at)
    found = {}
    for store_order_id, batch_ids in _batches().items():
        moments = [of_batch[batch_id] for batch_id in batch_ids if batch_id in of_batch]
        if moments:
            found[store_order_id] = min(moments)
    return found


def _unseen(orders: Orders, phones: Phones) -> set[int]:
    ready = {one.store_order_id for one in orders.made if one.is_ready}
    return ready - _first_seen(orders, phones).keys()


def _batches() -> dict[int, list[int]]:
    """The batches that each order is in."""
    import sharding
    from apps.dispatch.models import BatchStop

    found: dict[int, list[int]] = {}
    for alias in sharding.aliases("store"):
        stops = BatchStop.objects.using(alias).filter(kind="drop").exclude(state="dropped")
        for store_order_id, batch_id in stops.values_list("store_order_id", "batch_id"):
            found.setdefault(store_order_id, []).append(batch_id)
    return found


@dataclass(frozen=True, slots=True)
class Held:
    """From when until when an offer, and the batch that came of it, kept a shopper."""

    shopper_id: int
    batch_id: int
    began: float
    ended: float


def _offers() -> list[Held]:
    import sharding
    from apps.dispatch.models import Offer
    from sharding import ids

    found = []
    for alias in sharding.aliases("store"):
        for offer in Offer.objects.using(alias).select_related("batch"):
            if offer.status == "accepted":
                ended = offer.batch.ended_at.timestamp() if offer.batch.ended_at else math.inf
            else:
                ended = min(offer.ended_at or offer.expires_at, offer.expires_at).timestamp()
            began = ids.milliseconds_of_id(offer.pk) / 1000
            found.append(Held(offer.shopper_id, offer.batch_id, began, ended))
    return found


def _overlaps(offers: Sequence[Held], name: str) -> int:
    """How many began before those before them, of the same batch or shopper, had ended."""
    ended: dict[int, float] = {}
    found = 0
    for offer in sorted(offers, key=lambda offer: offer.began):
        whose = getattr(offer, name)
        found += offer.began + SKEW_S < ended.get(whose, 0.0)
        ended[whose] = max(offer.ended, ended.get(whose, 0.0))
    return found


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[min(math.ceil(share * len(ordered)), len(ordered)) - 1] if ordered else math.inf


def _wait(holds: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.5)
