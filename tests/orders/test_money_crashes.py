"""As ``test_crashes``, of the money after the picking: killed before, in and after each foreign call."""

from datetime import timedelta

import pytest

from apps.common import outbox
from apps.common.money import Money
from apps.orders import models, selectors, services
from apps.pricing import services as pricing
from instacart import invariants
from tests.orders import shop_floor
from tests.orders import test_crashes as crashes
from tests.orders.factories import MORNING, relay_once
from tests.orders.failpoints import Killed, failpoints
from tests.orders.test_crashes import Scenario, placed, told

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def order_of(stage):
    return selectors.order_for_staff(order_id=stage.order_id)


def picked(stage):
    """Everything is in the bag and told; more of it than was held for."""
    stage.provider.declines_from_now = False
    placed(stage)
    shop_floor.hold_only(stage.provider, stage.order_id, 2000)
    shop_floor.pick(order_of(stage))
    outbox.drain()


def at_the_till(stage):
    picked(stage)
    shop_floor.pay(order_of(stage))


def at_the_till_and_declined(stage):
    at_the_till(stage)
    stage.provider.declines_from_now = True


def gone_and_declined(stage):
    picked(stage)
    shop_floor.pay(order_of(stage))
    shop_floor.leave(order_of(stage))
    stage.provider.declines_from_now = True


def at_the_till_and_silent(stage):
    at_the_till(stage)
    stage.provider.is_down = True


def speaking(stage):
    stage.provider.is_down = False


def at_the_door(stage):
    at_the_till(stage)
    shop_floor.leave(order_of(stage))
    outbox.drain()
    shop_floor.hand_over(order_of(stage))


def delivered(stage):
    at_the_door(stage)
    outbox.drain()


def told_twice(stage):
    """The store's word, and what the order says to it."""
    relay_once()
    relay_once()


def tip(stage, cents=800):
    services.raise_tip(order_id=stage.order_id, customer_id=stage.ready.customer.id, to=Money(cents), now=MORNING)


def tipped(stage):
    delivered(stage)
    tip(stage)
    outbox.drain()


def lower(stage):
    services.lower_tip(order_id=stage.order_id, to=Money(100), key="a", actor="staff:1", issue_id=7, now=MORNING)
    told_twice(stage)


def taken_for_a_fee(stage):
    pricing.set_ending_fee(ending="acknowledged", flat_cents=500)
    placed(stage)
    shop_floor.take(order_of(stage))
    outbox.drain()


def cancel(stage):
    services.cancel(
        order_id=stage.order_id, customer_id=stage.ready.customer.id, reason="", agreed=Money(500), now=MORNING
    )
    relay_once()


def being_picked(stage):
    placed(stage)
    shop_floor.pick(order_of(stage))
    outbox.drain()


def cancel_by_store(stage):
    services.cancel_for_customer(order_id=stage.order_id, actor="store:1", reason="out_of_stock", now=MORNING)
    relay_once()


def missed(stage):
    pricing.set_ending_fee(ending="returned", flat_cents=1000)
    at_the_till(stage)
    shop_floor.leave(order_of(stage))
    outbox.drain()
    services.transition(order_id=stage.order_id, to="customer_missing", actor="shopper:7", now=MORNING)
    outbox.drain()


def bring_back(stage):
    services.return_order(order_id=stage.order_id, actor="staff:1", now=MORNING)
    relay_once()


SCENARIOS = [
    Scenario("hold the overage", told, frozenset({"checkout"}), prepare=at_the_till),
    Scenario("leave goods behind", told, frozenset({"checkout"}), prepare=at_the_till_and_declined),
    Scenario("forgive what has left", told, frozenset({"delivering"}), prepare=gone_and_declined),
    Scenario(
        "overage, provider silent", told, frozenset({"checkout"}), prepare=at_the_till_and_silent, afterwards=speaking
    ),
    Scenario("take from two holds", told_twice, frozenset({"delivered"}), prepare=at_the_door),
    Scenario("raise the tip", tip, frozenset({"delivered"}), prepare=delivered),
    Scenario("lower the tip", lower, frozenset({"delivered"}), prepare=tipped, afterwards=lower),
    Scenario("cancel for a fee", cancel, frozenset({"acknowledged", "canceled"}), prepare=taken_for_a_fee),
    Scenario("cancel by the store", cancel_by_store, frozenset({"picking", "canceled"}), prepare=being_picked),
    Scenario("bring back", bring_back, frozenset({"customer_missing", "returned"}), prepare=missed),
]
QUICK = {"leave goods behind", "raise the tip", "cancel for a fee"}
"""Run every time; the others with --long."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_kill_at_any_point_leaves_every_cent_explained(scenario, provider, capsys, request):
    is_long = request.config.getoption("--long")
    if not is_long and scenario.name not in QUICK:
        pytest.skip("pass --long")
    names = crashes.points_of(scenario, provider)
    chosen = range(len(names)) if is_long else crashes.distinct(names)
    for number in chosen:
        where = f"{scenario.name}, killed at {number} ({names[number]})"
        stage = crashes.stage_for(scenario, provider)
        with failpoints(provider, deadly=number) as points, pytest.raises(Killed):
            scenario.act(stage)
        assert points.passed == names[: number + 1]
        crashes.recover(scenario, stage)
        crashes.check(scenario, stage, where)
        order = models.Order.objects.get(pk=stage.order_id)
        assert order.overage != "asked", where
        assert not order.tips.filter(status="asked").exists(), where
    found = invariants.score(now=MORNING + timedelta(minutes=17)).integers
    del found["doubled_batches"]  # the shopper here works without a batch
    assert set(found.values()) == {0}, found
    with capsys.disabled():
        print(f"\n{scenario.name}: {len(chosen)} of {len(names)} cells, {found}", end="")
