"""Who goes first of those who cost about the same."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from apps.dispatch import models, services
from apps.dispatch.domain import fairness, steadiness, zone_plan
from apps.dispatch.domain.coming import Coming
from apps.shoppers import services as shopper_services
from tests.dispatch.factories import NOW
from tests.dispatch.test_planning import near
from tests.dispatch.test_zone_plan import STORES, codes, order, shoppers
from tests.fulfilment.factories import make_waiting_store_order
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

MINUTE = timedelta(minutes=1)
KM_MINUTES = 76 / 60
ZONE = zone_plan.Zone(
    stores={store_id: point for store_id, point in STORES.items() if point}, now=NOW, early=timedelta(minutes=15)
)


def waiting(people, *minutes):
    """The shoppers, each for so long without a turn; None is not known."""
    return [
        replace(one, waiting_since=None if waited is None else NOW - waited * MINUTE)
        for one, waited in zip(people, minutes, strict=True)
    ]


def propose(orders, free, *, coming=(), previous=None, now=NOW):
    return zone_plan.propose(
        orders,
        free,
        coming=coming,
        zone=replace(ZONE, now=now),
        until_next=timedelta(seconds=63),
        previous=previous or {},
        seconds=0.05,
    )


def taker(*args, **kwargs):
    (match,) = propose(*args, **kwargs).matches
    return match.shopper_id


@pytest.mark.parametrize(("minutes", "first"), [((10, 40), 2), ((40, 10), 1), ((None, 5), 2), ((600, 660), 2)])
def test_of_two_at_one_place_the_one_who_waited_longer_goes_first(minutes, first):
    assert taker([order()], waiting(shoppers(500, 500), *minutes)) == first


def test_waiting_is_worth_a_small_detour():
    """An hour more is 1.33 minutes' drive: a kilometre and 50 metres."""
    assert taker([order()], waiting(shoppers(500, 1_400), 0, 60)) == 2
    assert taker([order()], waiting(shoppers(500, 1_700), 0, 60)) == 1


def test_who_is_nearer_by_more_than_the_bound_goes_first_whoever_has_waited():
    farther = 500 + 1.05 * fairness.MOST_MINUTES / KM_MINUTES * 1_000
    assert taker([order()], waiting(shoppers(500, farther), 0, 24 * 60)) == 1


def test_no_order_is_late_for_it():
    """The nearer one is just punctual, the other a minute late, which costs more than any wait is worth."""
    assert taker([order(minutes=180)], waiting(shoppers(7_800, 8_700), 0, 60)) == 2
    assert taker([order(minutes=20)], waiting(shoppers(7_800, 8_700), 0, 60)) == 1


def test_worth_grows_with_each_minute_and_stays_below_what_a_plan_changes_for():
    a_minute = zone_plan.WEIGHTS.drive + zone_plan.WEIGHTS.busy
    since = [None, *(NOW - timedelta(minutes=minutes) for minutes in (1, 5, 30, 60, 480, 100_000))]
    costs = fairness.cost_of_turn(since, now=NOW, a_minute=a_minute)
    assert all(one > other for one, other in pairwise(costs))
    assert costs[-1] == 0
    assert costs[0] < steadiness.WORTH
    half, most = fairness.cost_of_turn([NOW, NOW - fairness.HALF_AFTER], now=NOW, a_minute=1.0)
    assert (half, most) == (1.0, 0.0)
    assert fairness.cost_of_turn([NOW + MINUTE, None], now=NOW, a_minute=1.0) == [0.0, 0.0]  # a clock that is ahead
    assert fairness.cost_of_turn([], now=NOW, a_minute=1.0) == []


def test_all_who_wait_alike_cost_what_they_did():
    told = zone_plan.request([order()], waiting(shoppers(0, 500), 90, 90), zone=ZONE, previous={})
    assert {cost for shopper in told.shoppers for cost in shopper.pay} == {0.0}


def test_a_turn_costs_once_whatever_is_in_the_batch():
    neighbours = [order(metres=2_000), order(metres=2_100), order(metres=2_200)]
    told = zone_plan.request(neighbours, waiting(shoppers(500, 500), 0, 60), zone=ZONE, previous={})
    assert [shopper.pay for shopper in told.shoppers] == [pytest.approx((2.0,) * 7), (0.0,) * 7]
    (match,) = propose(neighbours, waiting(shoppers(500, 500), 0, 60)).matches
    assert (match.shopper_id, len(match.job.route.orders)) == (2, 3)


def test_who_is_still_at_work_does_not_wait():
    (idle, busy) = waiting(shoppers(500, 500), 5, 300)
    told = zone_plan.request([order()], [idle], coming=[Coming(shopper=busy, after=MINUTE)], zone=ZONE, previous={})
    assert [shopper.pay[0] > 0 for shopper in told.shoppers] == [False, True]


def test_what_is_planned_stays_with_whom_it_was_planned_for():
    """Whoever comes, has waited longer, or has waited for longer by now."""
    held, people = order(opens=40), waiting(shoppers(500, 520, 540), 30, 10, 5)
    last = propose([held], people[:2])
    assert codes(last) == {held.id: "hold"}
    assert list(last.routes) == ["1"]
    people = waiting(people, 30, 10, 600)
    for turn in range(1, 20):
        last = propose([held], people, previous=last.routes, now=NOW + turn * MINUTE / 4)
        assert list(last.routes) == ["1"]


@pytest.mark.django_db(databases="__all__")
def test_turns_go_around_between_shoppers_at_one_place():
    """Each is asked once before anybody is asked twice, for as many questions as ever."""
    store = make_store(zone="Fair")
    people = [make_shopper(store.zone_id, point=near(store, 300), now=NOW - n * MINUTE) for n in range(3)]
    asked, totals = [], []
    for turn in range(6):
        now = NOW + turn * MINUTE / 3
        for shopper_id in people:
            shopper_services.report_position(shopper_id=shopper_id, point=near(store, 300), now=now)
        make_waiting_store_order(store=store, now=now)
        with counted() as queries:
            services.plan(zone_id=store.zone_id, now=now)
        totals.append(queries.total)
        offer = models.Offer.objects.get(store_id=store.id, status="sent")
        asked.append(offer.shopper_id)
        services.accept(offer_id=offer.pk, shopper_id=offer.shopper_id, now=now)
        shopper_services.complete(shopper_id=offer.shopper_id, batch_id=offer.batch_id, now=now)
    assert asked == people[::-1] * 2
    assert len(set(totals[1:])) == 1  # the first plan of a zone makes its lease
