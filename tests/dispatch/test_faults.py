"""Redis away, planners killed, workers and beat down: nothing is lost, nothing is doubled, and it is over soon."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from threading import Event, Thread

import pytest
from celery import current_app
from django.conf import settings as configured
from django.db import connections

import sharding
from apps.common import cache as resting
from apps.common import clock, outbox
from apps.dispatch import domain, models, selectors, services, tasks
from apps.dispatch.services import leasing, planning
from apps.shoppers import models as shopper_models
from apps.shoppers import presence
from apps.shoppers import selectors as shoppers
from apps.shoppers import services as shopper_services
from deploy.local import testservers, trees
from deploy.local.layout import ROOT
from tests.dispatch.factories import NOW, make_offer
from tests.fulfilment.factories import make_waiting_store_order
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

AWAY_COSTS_S = 1.0
"""What a plan, or an answer to an offer, may wait for a Redis that hangs, all its uses together."""
NEXT_TURN = domain.LEASE + domain.PLAN_EVERY
"""A planner that died blocks its zone for a lease; then comes the next turn."""
CLAIMED_FOR = timedelta(seconds=60) + domain.CLAIM_GRACE

_numbers = count(1)


class Zone:
    """So many stores with an order each, at one place, and so many shoppers there."""

    def __init__(self, *, orders, people, now=NOW):
        self.name, self.now = f"Faulty {next(_numbers)}", now
        self.orders, self.stores = set(), []
        for _ in range(orders):
            self.add_order()
        self.id = self.stores[0].zone_id
        self.people = {make_shopper(self.id, point=self.stores[0].point, now=now) for _ in range(people)}

    def add_order(self):
        self.stores.append(make_store(zone=self.name))
        self.orders.add(make_waiting_store_order(store=self.stores[-1], now=self.now))

    def plan(self, seconds=0.0):
        return services.plan(zone_id=self.id, now=self.now + timedelta(seconds=seconds))

    def phones(self, seconds=0.0):
        """The store orders in each offer that somebody's phone shows; nobody has two, none is on two."""
        shown = {}
        for shopper_id in self.people:
            offers = selectors.offers_of(shopper_id=shopper_id, now=self.now + timedelta(seconds=seconds))
            assert len(offers) <= 1
            for offer in offers:
                stops = models.BatchStop.objects.filter(batch_id=offer.batch_id, kind="drop", state="pending")
                shown[shopper_id] = set(stops.values_list("store_order_id", flat=True))
        assert max(Counter(one for orders in shown.values() for one in orders).values(), default=0) <= 1
        return shown

    def shown(self, seconds=0.0):
        return {one for orders in self.phones(seconds).values() for one in orders}

    def counts(self):
        """What the databases hold: batches each order is in, live offers of each batch and of each shopper."""
        store_ids = [store.id for store in self.stores]
        orders, batches, asked = Counter(), Counter(), Counter()
        for alias in sharding.aliases("store"):
            stops = models.BatchStop.objects.using(alias).filter(kind="drop", store_id__in=store_ids)
            orders.update(stops.exclude(state="dropped").values_list("store_order_id", flat=True))
            live = models.Offer.objects.using(alias).filter(status="sent", store_id__in=store_ids)
            for batch_id, shopper_id in live.values_list("batch_id", "shopper_id"):
                batches[batch_id] += 1
                asked[shopper_id] += 1
        return orders, batches, asked


# Redis


@pytest.fixture(autouse=True)
def nobody_rests():
    resting._rests_until.clear()
    yield
    resting._rests_until.clear()


@contextmanager
def hanging(settings):
    """It lets everybody in and never answers."""
    server = testservers._redis().identity()
    trees.send(server, signal.SIGSTOP)
    try:
        yield
    finally:
        trees.send(server, signal.SIGCONT)


@contextmanager
def gone(settings):
    """Nobody listens there."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_URL}}
    presence._redis.cache_clear()
    outbox._broker.cache_clear()
    try:
        yield
    finally:
        presence._redis.cache_clear()
        outbox._broker.cache_clear()


def seconds_of(work):
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


@pytest.mark.parametrize("travel_times", ["roads", "valhalla"])
@pytest.mark.parametrize("away", [hanging, gone])
def test_a_plan_goes_on_without_redis_and_waits_a_second_at_most(away, travel_times, settings):
    settings.TRAVEL_TIMES, settings.TRAVEL_URL = travel_times, "http://127.0.0.1:1"
    usual, _ = seconds_of(Zone(orders=3, people=3).plan)
    waits = []
    for _ in range(2):  # of two, the one that others on the machine disturbed less
        zone = Zone(orders=3, people=3)
        resting._rests_until.clear()
        with away(settings):
            took, report = seconds_of(zone.plan)
        assert (report.offers_lost, report.waiting_orders) == (0, 3)  # two may be in a batch
        assert zone.shown() == zone.orders
        waits.append(took - usual)
    print(f"{away.__name__}, {travel_times}: {min(waits):.2f} s more")
    assert min(waits) <= AWAY_COSTS_S


@pytest.mark.parametrize("away", [hanging, gone])
def test_offers_are_answered_without_redis(away, settings):
    settings.OUTBOX_NUDGE = True
    accepted, declined = make_offer(), make_offer()
    with away(settings):
        accepting, _ = seconds_of(
            lambda: services.accept(offer_id=accepted.offer_id, shopper_id=accepted.shopper_id, now=NOW)
        )
        declining, _ = seconds_of(
            lambda: services.decline(offer_id=declined.offer_id, shopper_id=declined.shopper_id, now=NOW)
        )
    assert models.Batch.objects.get(pk=accepted.batch_id).shopper_id == accepted.shopper_id
    assert models.Offer.objects.get(pk=declined.offer_id).status == "declined"
    assert max(accepting, declining) <= AWAY_COSTS_S


def test_a_cache_that_hangs_is_waited_for_once_and_used_again_when_it_is_back(settings):
    from django.core.cache import cache

    cache.set("word", "kept")
    with hanging(settings):
        first, found = seconds_of(lambda: cache.get("word"))
        assert (found, 0.2 < first < 1.0) == (None, True)
        resting_for, _ = seconds_of(lambda: [cache.get("word"), cache.get_many(["word"]), cache.add("word", 1)])
        assert resting_for < 0.2
    assert cache.get("word") is None  # it has not been asked yet
    resting._rests_until.update(dict.fromkeys(resting._rests_until, time.monotonic()))
    assert cache.get("word") == "kept"


def test_an_empty_redis_is_filled_from_the_databases_and_asked_again():
    zone = Zone(orders=2, people=2)
    presence._redis().flushdb()
    assert (zone.plan().offers_sent, zone.shown()) == (2, zone.orders)
    assert presence.in_zone(zone_id=zone.id, now=NOW).keys() == zone.people


# Planners


def killed_in(zone, owner, name, *, is_after):
    """Plan the zone in a process of its own that is killed at its second call of ``owner.name``."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            _kill_at_second_call(owner, name, is_after=is_after)
            zone.plan()
        except BaseException:  # nobody else would hear of it
            traceback.print_exc()
        finally:
            os._exit(1)  # it was to be killed before
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def _kill_at_second_call(owner, name, *, is_after):
    calls, real = count(1), getattr(owner, name)

    def deadly(*args, **kwargs):
        is_last = next(calls) == 2
        if is_last and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*args, **kwargs)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, deadly)


POINTS = {
    "before the claim": (lambda: shopper_services, "claim", False),
    "after the claim": (lambda: shopper_services, "claim", True),
    "inside the transaction": (lambda: leasing, "check", True),
    "with the batch written": (lambda: planning, "_make_batch", True),
    "with the offer written": (lambda: models.Offer.objects, "create", True),
    "after the commit": (lambda: shopper_services, "mark_offered", False),
    "after the shopper's shard knows": (lambda: shopper_services, "mark_offered", True),
}


@pytest.mark.parametrize("point", POINTS)
def test_the_next_planner_finishes_what_a_killed_one_began(point):
    zone = Zone(orders=4, people=6)
    owner, name, is_after = POINTS[point]
    killed_in(zone, owner(), name, is_after=is_after)
    is_committed = point in ("after the commit", "after the shopper's shard knows")
    assert len(zone.shown()) == 1 + is_committed

    seconds, reports = 0.0, []
    while zone.shown(seconds) != zone.orders and seconds < 120:
        seconds += domain.PLAN_EVERY.total_seconds()
        reports.append(zone.plan(seconds))

    print(f"killed {point}: every order on a phone after {seconds:.0f} s")
    assert seconds <= NEXT_TURN.total_seconds()
    assert [report.is_skipped for report in reports] == [True, True, True, False]  # at 3, 6, 9 and 12 s
    orders, batches, asked = zone.counts()
    assert orders == Counter(zone.orders)
    assert set(batches.values()) == set(asked.values()) == {1}
    assert len(asked) == 4
    assert zone.plan(seconds + 3).offers_sent == 0

    later = NOW + CLAIMED_FOR + timedelta(seconds=1)
    free = {one.shopper_id for one in shoppers.available(zone_id=zone.id, now=later)}
    assert zone.people - asked.keys() <= free  # also whom the dead planner had claimed


def test_a_minute_without_beat_is_made_up_for_in_two_turns():
    zone = Zone(orders=3, people=9)
    assert zone.plan().offers_sent == 3
    for _ in range(3):
        zone.add_order()
    assert zone.shown(61) == set()  # the first three ran out, and nobody has swept
    with clock.shifted_to(NOW + timedelta(seconds=63)):
        tasks.plan_zone(zone.id)
        tasks.sweep()
    assert len(zone.shown(63)) == 3
    zone.plan(66)
    assert zone.shown(66) == zone.orders
    orders, batches, asked = zone.counts()
    assert orders == Counter(zone.orders)
    assert set(batches.values()) == set(asked.values()) == {1}


# Workers, as processes


@contextmanager
def worker(number):
    """One that plans, on the databases and the Redis of the tests; ``kill()`` ends it with its children at once."""
    urls = [
        f"{alias}=postgresql://postgres@/{connection.settings_dict['NAME']}?host={connection.settings_dict['HOST']}"
        for alias, connection in ((alias, connections[alias]) for alias in connections)
    ]
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "instacart.settings",
        "DATABASE_URLS": ",".join(urls),
        "REDIS_URL": configured.REDIS_URL,
    }
    command = [sys.executable, "-m", "celery", "-A", "celery_app.app", "worker", "--queues", "dispatch"]
    command += ["--hostname", f"faulty-{number}@%h", "-c", "1", "--without-mingle", "--without-gossip"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    identity = trees.Identity.of(process.pid)

    def kill():
        trees.kill({identity} | trees.descendants(identity))
        process.wait()

    try:
        yield kill
    finally:
        kill()


def until(holds, seconds):
    """Seconds that it took, or None."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        if holds():
            return time.monotonic() - began
        time.sleep(0.1)
    return None


@contextmanager
def locked(shopper_id):
    """Whoever claims the shopper has to wait."""
    is_held, is_over = Event(), Event()

    def hold():
        with sharding.atomic(sharding.home("shopper", shopper_id)):
            shopper_models.Shopper.objects.select_for_update().get(pk=shopper_id)
            is_held.set()
            is_over.wait(120)
        connections.close_all()

    holder = Thread(target=hold)
    holder.start()
    try:
        assert is_held.wait(10)
        yield
    finally:
        is_over.set()
        holder.join()


@pytest.mark.slow
def test_a_worker_killed_with_a_plan_in_hand_is_replaced_by_the_next(request):
    if not request.config.getoption("--long"):
        pytest.skip("starts two workers; run with --long")
    zone = Zone(orders=1, people=1, now=clock.now())

    def send(**options):
        current_app.send_task("dispatch.plan_zone", args=[zone.id], queue="dispatch", **options)

    leases = models.PlannerLease.objects.filter(zone_id=zone.id, holder__isnull=False)
    with locked(*zone.people), worker(1) as kill:
        send()
        assert until(leases.exists, 60) is not None
        time.sleep(0.5)
        kill()
    assert zone.counts()[0] == Counter()
    killed_at = time.monotonic()
    with worker(2) as kill:  # the task that was not acknowledged comes back to it, and beat sends more
        while not zone.shown() and time.monotonic() < killed_at + 90:
            send(expires=domain.PLAN_EVERY.total_seconds())
            time.sleep(1)
    seconds = time.monotonic() - killed_at
    print(f"worker killed: the order on a phone after {seconds:.0f} s, a worker's start among them")
    orders, batches, asked = zone.counts()
    assert orders == Counter(zone.orders)
    assert set(batches.values()) == set(asked.values()) == {1}
    assert seconds < 60
