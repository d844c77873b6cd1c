"""A process is killed before, in and after each call of report → decision → refund; afterwards everything adds up.

As in tests/orders/test_crashes.py the points are found by running each scenario once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

import sharding
from apps.common import clock, outbox
from apps.orders import services as orders
from apps.orders.types import Order
from apps.payments import services as payments
from apps.shoppers import services as shoppers
from apps.support import models, services
from tests.orders.factories import MORNING, make_market, relay_once
from tests.orders.failpoints import Killed, failpoints
from tests.orders.invariants import violations as order_violations
from tests.orders.provider import Provider
from tests.orders.test_crashes import distinct
from tests.support.factories import PICTURES, SHOPPER, SOON, make_delivered, now_of, rate, report
from tests.support.invariants import integers, violations

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@dataclass
class Scenario:
    name: str
    act: Callable[[Order], object]
    """What is killed, and what its customer or operator does again afterwards."""
    refunded_cents: int
    stars: int | None = None
    prepare: Callable[[Order], object] = lambda order: None
    is_paid: bool = True


def believed(order):
    report(order, pictures=PICTURES)
    relay_once()
    relay_once()


def left_to_a_person(order):
    report(order, kind="damaged", key="d")


def of_order(order):
    (row,) = models.OrderIssue.objects.filter(customer_id=order.customer_id)
    return row.pk


def upheld(order):
    services.uphold(issue_id=of_order(order), user_id=9, reason="as_reported", now=SOON)
    relay_once()
    relay_once()


def declined(order):
    services.decline(issue_id=of_order(order), user_id=9, reason="not_shown", now=SOON)
    relay_once()


def waiting_for_the_charge(order):
    report(order)
    relay_once()
    relay_once()
    relay_once()


def rated_twice(order):
    rate(order, 1)
    relay_once()
    rate(order, 4)
    relay_once()


def rated_low(order):
    rate(order, 2, tags=["out_of_stock"])
    outbox.drain()


SCENARIOS = [
    Scenario("report, believed at once", believed, 698),
    Scenario("report, left to a person", left_to_a_person, 0),
    Scenario("report before the charge", waiting_for_the_charge, 698, is_paid=False),
    Scenario("uphold", upheld, 698, prepare=left_to_a_person),
    Scenario("decline", declined, 0, prepare=left_to_a_person),
    Scenario("rate, and change it", rated_twice, 0, stars=4),
    Scenario("report after a rating", believed, 698, stars=2, prepare=rated_low),
]


def stage_for(scenario, market):
    order = make_delivered(market=market, is_paid=scenario.is_paid)
    shoppers.register(user_id=SHOPPER, name="Grace", zone_id=1, now=MORNING)
    scenario.prepare(order)
    return order


def recover(scenario, order):
    """The customer or operator asks again, and sweepers and relays come round until all is quiet."""
    scenario.act(order)
    now = MORNING + timedelta(minutes=90)
    with clock.shifted_to(now):
        for alias in sharding.aliases("customer"):
            orders.sweep(using=alias, now=now)
            payments.sweep(using=alias, now=now)
        outbox.drain()


def check(scenario, order, provider: Provider, where):
    assert order_violations(provider, store_id=order.store_id) == [], where
    assert violations() == [], where
    assert now_of(order).refunded.cents == scenario.refunded_cents, where
    if scenario.stars:
        rating = models.Rating.objects.get(customer_id=order.customer_id)
        assert rating.stars == scenario.stars, where


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_kill_at_any_point_leaves_no_half(scenario, provider, capsys, request):
    market = make_market()
    order = stage_for(scenario, market)
    with failpoints(provider) as points:
        scenario.act(order)
    names = points.passed
    assert len(names) >= 3
    chosen = list(range(len(names)))
    if not request.config.getoption("--long"):
        chosen = distinct(names)[:: 1 + len(names) // 20]
    for number in chosen:
        where = f"{scenario.name}, killed at {number} ({names[number]})"
        order = stage_for(scenario, market)
        with failpoints(provider, deadly=number) as points, pytest.raises(Killed):
            scenario.act(order)
        assert points.passed == names[: number + 1], where
        recover(scenario, order)
        check(scenario, order, provider, where)
    with capsys.disabled():
        print(f"\n{scenario.name}: {len(chosen)} of {len(names)} cells; {integers(provider)}", end="")
