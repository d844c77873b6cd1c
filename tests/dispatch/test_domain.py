from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.geo import Point
from apps.common.money import Money
from apps.dispatch import domain
from apps.dispatch.domain import Job, OfferStatus
from apps.fulfilment.types import WaitingOrder
from apps.shoppers.types import AvailableShopper

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)
STORE = Point(39.9612, -82.9988)
DEGREES_PER_M = 1 / 111_195  # of latitude
_numbers = count(1)


def north(metres, of=STORE):
    return Point(of.lat + metres * DEGREES_PER_M, of.lng)


def order(*, drop=None, minutes=120, lines=2, units=3, waited_s=0, **changes):
    usual = {
        "id": next(_numbers),
        "store_id": 17,
        "order_id": 1,
        "drop": drop or north(2_000),
        "line_count": lines,
        "unit_count": units,
        "window_starts_at": NOW,
        "window_ends_at": NOW + timedelta(minutes=minutes),
        "tip": Money(0),
        "projected_at": NOW - timedelta(seconds=waited_s),
    }
    return WaitingOrder(**(usual | changes))


def routes(*orders):
    found = domain.routes(17, STORE, orders, now=NOW)
    return [[order.id for order in route.orders] for route in found]


def job(*orders, **changes):
    return Job(route=domain.route(17, STORE, orders or [order()], now=NOW), **changes)


def shopper(number, metres):
    return AvailableShopper(shopper_id=number, point=north(metres))


def test_a_drive_takes_what_was_measured():
    assert domain.travel_s(0) == 111
    assert domain.travel_s(5_000) == 111 + 76 * 5


def test_what_a_batch_pays():
    # 500 for the batch, 250 for the second order, 9 lines of 15, 14 units of 5, 4.25 km of 60
    assert domain.PAY.cents(orders=2, lines=9, units=14, route_m=4_250) == 500 + 250 + 135 + 70 + 255
    assert domain.PAY.cents(orders=1, lines=1, units=1, route_m=0) == 520


def test_neighbours_go_together_nearest_door_first():
    far, near = order(drop=north(3_000)), order(drop=north(2_000))
    assert routes(far, near) == [[near.id, far.id]]
    (route,) = domain.routes(17, STORE, [far, near], now=NOW)
    assert route.route_m == pytest.approx(3_000, rel=0.001)


def test_doors_far_apart_stay_apart():
    one, two = order(drop=north(2_000)), order(drop=north(4_600))
    assert routes(one, two) == [[two.id], [one.id]]  # the longer way is the more urgent


def test_more_than_one_can_carry_stays_apart():
    one, two = order(units=40), order(units=21)
    assert len(routes(one, two)) == 2
    assert len(routes(one, replace(two, unit_count=20))) == 1


def test_of_three_the_two_nearest_go_together():
    urgent = order(drop=north(2_000), minutes=60)
    far, near = order(drop=north(4_000)), order(drop=north(2_100))
    assert routes(urgent, far, near) == [[urgent.id, near.id], [far.id]]


def test_nobody_is_made_late_for_company():
    alone_s = domain.APPROACH_S + domain.picking_s([order()]) + domain.travel_s(2_000)
    tight = order(minutes=(alone_s + 30) / 60)
    assert routes(tight, order()) == [[tight.id], [next(_numbers) - 1]]


def test_who_is_late_already_travels_alone():
    late, other = order(minutes=1), order()
    assert routes(late, other) == [[late.id], [other.id]]


@given(st.lists(st.builds(order, drop=st.floats(0, 9_000).map(north), minutes=st.integers(1, 240)), max_size=7))
def test_every_order_is_in_exactly_one_route_and_no_pair_is_late(orders):
    found = domain.routes(17, STORE, orders, now=NOW)
    assert sorted(order.id for route in found for order in route.orders) == sorted(order.id for order in orders)
    for route in found:
        assert len(route.orders) == 1 or route.slack_s >= 0


def test_the_nearest_shopper_is_asked_the_urgent_order_chooses_first():
    urgent, calm = job(order(minutes=40)), job(order(minutes=200))
    found = domain.matches([calm, urgent], [shopper(1, 3_000), shopper(2, 500)], now=NOW)
    assert [(match.job, match.shopper_id) for match in found] == [(urgent, 2), (calm, 1)]
    assert found[0].distance_m == 2_500


def test_nobody_is_asked_twice_at_once():
    assert [match.shopper_id for match in domain.matches([job(), job()], [shopper(1, 500)], now=NOW)] == [1]


def test_fifteen_minutes_is_as_far_as_it_reaches():
    edge_m = (15 * 60 - 111) / 76 * 1000
    assert len(domain.matches([job()], [shopper(1, edge_m - 20)], now=NOW)) == 1
    assert domain.matches([job()], [shopper(1, edge_m + 20)], now=NOW) == []


def test_refusals_and_waiting_widen_the_circle():
    assert domain.reach_s(job(), now=NOW) == 15 * 60
    assert domain.reach_s(job(refusals=2), now=NOW) == 25 * 60
    assert domain.reach_s(job(order(waited_s=239)), now=NOW) == 20 * 60
    assert domain.reach_s(job(order(waited_s=240)), now=NOW) == 25 * 60


def test_the_excluded_are_passed_over():
    found = domain.matches([job(excluded=frozenset({2}))], [shopper(1, 3_000), shopper(2, 500)], now=NOW)
    assert [match.shopper_id for match in found] == [1]


@pytest.mark.parametrize(
    ("outcome", "minutes", "is_excluded"),
    [
        (OfferStatus.DECLINED, 14, True),
        (OfferStatus.DECLINED, 15, False),
        (OfferStatus.EXPIRED, 1, True),
        (OfferStatus.EXPIRED, 2, False),
        (OfferStatus.WITHDRAWN, 0, False),
        (OfferStatus.ACCEPTED, 10_000, True),  # and then did not begin
    ],
)
def test_who_is_not_asked_again_yet(outcome, minutes, is_excluded):
    asked = [(1, outcome, NOW - timedelta(minutes=minutes))]
    assert domain.excluded(asked, now=NOW) == ({1} if is_excluded else set())


def test_work_begins_so_that_somebody_arrives_as_the_window_opens():
    later = order(window_starts_at=NOW + timedelta(hours=1))
    way = timedelta(seconds=domain.APPROACH_S + domain.picking_s([later]) + domain.travel_s(2_000))
    due_at = later.window_starts_at - way - timedelta(minutes=15)
    early = timedelta(minutes=15)
    second = timedelta(seconds=1)
    assert domain.is_due(later, store=STORE, now=due_at + second, early=early)
    assert not domain.is_due(later, store=STORE, now=due_at - second, early=early)
