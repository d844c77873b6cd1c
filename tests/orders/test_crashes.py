"""A process is killed before, in and after each foreign call of an order's life; afterwards everything must add up.

The points are not listed here: each scenario is run once to find them, then once for each of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import override_settings

import sharding
from apps.carts import selectors as carts
from apps.common import clock, outbox
from apps.common.money import Money
from apps.orders import models, selectors, services
from apps.orders.types import RefundLine
from apps.payments import services as payments
from apps.slots import services as slots
from instacart import invariants
from tests.orders.factories import (
    ASKS,
    DECLINES,
    MORNING,
    PAYS,
    Ready,
    bring_to,
    make_customer,
    make_market,
    make_ready,
    relay_once,
)
from tests.orders.failpoints import Killed, failpoints
from tests.orders.invariants import violations
from tests.orders.provider import Provider

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@dataclass
class Stage:
    """Where a scenario plays: a store and a customer with a full cart, made once for each cell."""

    provider: Provider
    ready: Ready
    order_id: int = 0

    def place(self, *, after: timedelta = timedelta(0)) -> None:
        """The same request each time, as a client repeats it."""
        self.order_id = self.ready.place(key="only", now=MORNING + after).order_id


@dataclass
class Scenario:
    name: str
    act: Callable[[Stage], object]
    """What is killed."""
    ends: frozenset[str]
    """Where the order may be when all is quiet."""
    prepare: Callable[[Stage], object] = lambda stage: None
    """What happens before, unharmed."""
    afterwards: Callable[[Stage], object] = lambda stage: None
    """What the world does before the recovery."""
    card: str = PAYS


def place(stage):
    stage.place()


def placed(stage):
    stage.place()
    outbox.drain()


def placed_and_approved(stage):
    placed(stage)
    (intent,) = stage.provider.intents_of(stage.order_id)
    stage.provider.answer_bank(intent.id, approve=True)


def resume(stage):
    services.resume(order_id=stage.order_id, now=MORNING)


def cancel(stage):
    services.cancel(order_id=stage.order_id, customer_id=stage.ready.customer.id, reason="", now=MORNING)


def reschedule(stage):
    services.reschedule(
        order_id=stage.order_id,
        customer_id=stage.ready.customer.id,
        window_id=stage.ready.market.window_ids[1],
        now=MORNING,
    )


def rescheduled_untold(stage):
    placed(stage)
    reschedule(stage)


def bring(stage):
    """The store's events, told again after a crash like all others."""
    bring_to(selectors.order_for_staff(order_id=stage.order_id), "delivered")


def deliver(stage):
    bring(stage)
    relay_once()  # among others the event that takes the money


def delivered_and_paid(stage):
    placed(stage)
    bring(stage)
    outbox.drain()


def give_back(stage):
    """One line, then a courtesy; the events that send the money, and the news of it."""
    order = selectors.order_for_staff(order_id=stage.order_id)
    asked = {"order_id": order.id, "actor": "staff:1", "now": MORNING}
    services.refund(
        **asked, key="a", reason="missing", lines=[RefundLine(line_id=order.lines[1].id, quantity=Decimal(1))]
    )
    services.refund(**asked, key="b", reason="late", amount=Money(100))
    relay_once()
    relay_once()


def placed_far_ahead(stage):
    """Ordered when the window was too far away to hold any money; now it is near."""
    with override_settings(PAYMENT_HOLD_DAYS=0):
        stage.place()
    outbox.drain()
    assert stage.provider.intents_of(stage.order_id) == []
    models.Order.objects.filter(pk=stage.order_id).update(due_at=MORNING)


def told(stage):
    relay_once()


def canceled_untold(stage):
    placed(stage)
    cancel(stage)


def silent(stage):
    stage.provider.is_down = True


def speaking(stage):
    stage.provider.is_down = False


SCENARIOS = [
    Scenario("place", place, frozenset({"brand_new"})),
    Scenario("place, declined", place, frozenset({"rejected"}), card=DECLINES),
    Scenario("place, provider silent", place, frozenset({"brand_new"}), prepare=silent, afterwards=speaking),
    Scenario("place, bank never answered", place, frozenset({"rejected"}), card=ASKS),
    Scenario("tell of a confirmed order", told, frozenset({"brand_new"}), prepare=place),
    Scenario("hold later", resume, frozenset({"brand_new"}), prepare=placed_far_ahead),
    Scenario("resume after the bank", resume, frozenset({"brand_new"}), prepare=placed_and_approved, card=ASKS),
    Scenario("reschedule", reschedule, frozenset({"brand_new"}), prepare=placed),
    Scenario("reschedule at once", reschedule, frozenset({"brand_new"}), prepare=place),
    Scenario("tell of a rescheduled order", told, frozenset({"brand_new"}), prepare=rescheduled_untold),
    Scenario("cancel", cancel, frozenset({"brand_new", "canceled"}), prepare=placed),
    Scenario("tell of a canceled order", told, frozenset({"canceled"}), prepare=canceled_untold),
    Scenario("give back", give_back, frozenset({"delivered"}), prepare=delivered_and_paid, afterwards=give_back),
    Scenario("deliver and take the money", deliver, frozenset({"delivered"}), prepare=placed, afterwards=bring),
]


def stage_for(scenario, provider):
    provider.is_down = False
    customer = make_customer(card=scenario.card)
    stage = Stage(provider, make_ready(market=make_market(), customer=customer))
    outbox.drain()
    scenario.prepare(stage)
    return stage


def sweep(now):
    for alias in sharding.aliases("customer"):
        services.sweep(using=alias, now=now)
        payments.sweep(using=alias, now=now)


def first_attempt(scenario, stage):
    """How a recovery begins: the client asks again, and sweepers and relays come round once."""
    scenario.afterwards(stage)
    if scenario.act is place:
        stage.place(after=timedelta(minutes=1))
    sweep(MORNING + timedelta(minutes=1))
    relay_once()


def recover(scenario, stage):
    """What happens by itself until all is quiet."""
    first_attempt(scenario, stage)
    for minutes in (1, 12, 16):  # a second look, the end of the bank's time, the last look at what ended
        now = MORNING + timedelta(minutes=minutes)
        with clock.shifted_to(now):
            sweep(now)
            for alias in sharding.aliases("store"):
                slots.release_expired(using=alias, now=now)
            outbox.drain()


def check(scenario, stage, where):
    market, customer = stage.ready.market, stage.ready.customer
    assert violations(stage.provider, store_id=market.store_id) == [], where
    (order,) = models.Order.objects.filter(customer_id=customer.id)
    assert order.status in scenario.ends, where
    assert order.due_at is None, where
    cart = carts.cart(customer_id=customer.id, store_id=market.store_id)
    assert len(cart.lines) == (3 if order.status == "rejected" else 0), where


def nothing_lost():
    """The six integers over all orders of a sweep, all 0."""
    found = invariants.score(now=MORNING + timedelta(minutes=17))
    assert set(found.integers.values()) == {0}, found.violations
    return found


def points_of(scenario, provider):
    stage = stage_for(scenario, provider)
    with failpoints(provider) as points:
        scenario.act(stage)
    assert len(points.passed) >= 3
    return points.passed


def distinct(names):
    """Without those before a call that come right after another: seldom is anything written between."""
    return [n for n, name in enumerate(names) if n == 0 or not name.startswith("before") or "after" not in names[n - 1]]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_kill_at_any_point_leaves_no_half(scenario, provider, capsys, request):
    names = points_of(scenario, provider)
    chosen = range(len(names)) if request.config.getoption("--long") else distinct(names)
    for number in chosen:
        name = names[number]
        stage = stage_for(scenario, provider)
        with failpoints(provider, deadly=number) as points, pytest.raises(Killed):
            scenario.act(stage)
        assert points.passed == names[: number + 1]
        recover(scenario, stage)
        check(scenario, stage, f"{scenario.name}, killed at {number} ({name})")
    lost = nothing_lost()
    with capsys.disabled():
        print(f"\n{scenario.name}: {len(chosen)} of {len(names)} cells, {lost}", end="")


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_second_kill_during_the_recovery_leaves_no_half_either(scenario, provider, capsys, request):
    if scenario.name != "cancel" and not request.config.getoption("--long"):
        pytest.skip("some 3,000 cells in ten minutes: pass --long")
    cells = 0
    for first in range(len(points_of(scenario, provider))):
        is_over, second = False, 0
        while not is_over:
            stage = stage_for(scenario, provider)
            with failpoints(provider, deadly=first), pytest.raises(Killed):
                scenario.act(stage)
            with failpoints(provider, deadly=second) as points:
                try:
                    first_attempt(scenario, stage)
                except Killed:
                    pass
                else:
                    is_over = True
            recover(scenario, stage)
            check(scenario, stage, f"{scenario.name}, killed at {first} and then at {points.passed[-1:]} {second}")
            cells += 1
            second += 1
    lost = nothing_lost()
    with capsys.disabled():
        print(f"\n{scenario.name}, killed twice: {cells} cells, {lost}", end="")
