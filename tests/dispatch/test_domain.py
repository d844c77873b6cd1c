from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

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


def job(*orders, **changes):
    return Job(route=domain.route(17, STORE, orders or [order()], now=NOW), **changes)


def shopper(number, metres):
    return AvailableShopper(shopper_id=number, point=north(metres), vehicle="car")


def test_a_drive_takes_what_was_measured():
    assert domain.travel_s(0) == 111
    assert domain.travel_s(5_000) == 111 + 76 * 5


def test_what_a_batch_pays():
    # 500 for the batch, 250 for the second order, 9 lines of 15, 14 units of 5, 4.25 km of 60
    assert domain.PAY.cents(orders=2, lines=9, units=14, route_m=4_250) == 500 + 250 + 135 + 70 + 255
    assert domain.PAY.cents(orders=1, lines=1, units=1, route_m=0) == 520


def test_a_batch_that_is_offered_again_goes_the_shortest_way_that_makes_nobody_late():
    far, near = order(drop=north(3_000)), order(drop=north(2_000))
    again = domain.route(17, STORE, [far, near], now=NOW)
    assert [(step.kind, step.order.id) for step in again.steps] == [
        ("pick", near.id),
        ("pick", far.id),
        ("drop", near.id),
        ("drop", far.id),
    ]
    assert again.route_m == pytest.approx(3_000, rel=0.001)
    direct_s = domain.APPROACH_S + domain.picking_s([far, near]) + domain.travel_s(3_000)
    hurried = replace(far, window_ends_at=NOW + timedelta(seconds=direct_s + 30))
    assert [order.id for order in domain.route(17, STORE, [hurried, near], now=NOW).orders] == [far.id, near.id]


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
    def reach_s(refusals=0, waited_s=0):
        return domain.reach_s([order(), order(waited_s=waited_s)], refusals=refusals, now=NOW)

    assert reach_s() == 15 * 60
    assert reach_s(refusals=2) == 25 * 60
    assert reach_s(waited_s=239) == 20 * 60
    assert reach_s(waited_s=240) == 25 * 60


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
