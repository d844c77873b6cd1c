"""Who would get a held order, from turn to turn."""

import random
import time
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from apps.common.geo import Point
from apps.dispatch.domain import steadiness, zone_plan
from apps.dispatch.domain.zone_plan import ROADS, Zone
from cython_ext.dispatch.travel import Travel
from tests.dispatch.test_zone_plan import NOW, STORES, codes, north, order, shoppers

STEP = timedelta(seconds=3)


@dataclass
class Traffic:
    """``ROADS``, each way faster or slower by up to ``share``, anew in each turn."""

    rng: random.Random
    share: float
    roads: Travel = ROADS

    def grid(self, places, now):
        plain = self.roads.grid(places, now)
        minutes = [
            ((x - u) ** 2 + (y - v) ** 2) ** 0.5 / plain.speed * self.rng.uniform(1 - self.share, 1 + self.share)
            for x, y in zip(plain.x, plain.y, strict=True)
            for u, v in zip(plain.x, plain.y, strict=True)
        ]
        return replace(plain, matrix=type(plain.matrix)("f", minutes))


def turn(orders, people, *, last=None, travel=ROADS, number=0, seconds=0.0):
    zone = Zone(
        stores={store_id: point for store_id, point in STORES.items() if point},
        now=NOW + number * STEP,
        early=timedelta(minutes=15),
        travel=travel,
    )
    return zone_plan.propose(
        orders,
        people,
        zone=zone,
        until_next=timedelta(seconds=63),
        previous=last.routes if last else {},
        seconds=seconds,
    )


def takers(proposal):
    return {order_id: shopper for shopper, stops in proposal.routes.items() for kind, order_id in stops}


def held_orders():
    """Two trips, north and south, that nobody has to leave for yet."""
    return [order(opens=40, metres=metres) for metres in (5_000, 5_200, -5_000, -5_200)]


def test_small_changes_of_travel_times_and_positions_change_nobodys_orders():
    orders, rng = held_orders(), random.Random(3)  # noqa: S311
    seen = []
    last = turn(orders, shoppers(900, -900, 1_000))
    for number in range(1, 21):
        moved = shoppers(*(metres + rng.uniform(-60, 60) for metres in (900, -900, 1_000)))
        last = turn(orders, moved, last=last, travel=Traffic(rng, 0.04), number=number)
        assert set(codes(last).values()) == {"hold"}
        seen.append(takers(last))
    assert seen == [seen[0]] * 20


def test_without_the_comparison_they_would_change_hands(monkeypatch):
    monkeypatch.setattr(steadiness, "WORTH", -1e9)
    orders, rng = held_orders(), random.Random(3)  # noqa: S311
    seen, last = [], turn(orders, shoppers(900, -900, 1_000))
    for number in range(1, 21):
        moved = shoppers(*(metres + rng.uniform(-60, 60) for metres in (900, -900, 1_000)))
        last = turn(orders, moved, last=last, travel=Traffic(rng, 0.04), number=number)
        seen.append(takers(last))
    assert any(takers != seen[0] for takers in seen)


def test_a_new_order_far_away_changes_nobodys_orders():
    orders, people = held_orders(), shoppers(900, -900, 1_000)
    last = turn(orders, people)
    far = order(opens=40, drop=Point(STORES[17].lat, STORES[17].lng + 0.12))
    after = turn([*orders, far], people, last=last, number=1)
    assert {order_id: who for order_id, who in takers(after).items() if order_id != str(far.id)} == takers(last)
    assert str(far.id) in takers(after)


@pytest.mark.parametrize("change", ["he is gone", "he drove away"])
def test_a_real_change_changes_who_gets_an_order(change):
    one = order(opens=40, metres=3_000)
    near, other = shoppers(100, 700)
    last = turn([one], [near, other])
    assert takers(last) == {str(one.id): "1"}
    people = [other] if change == "he is gone" else [replace(near, point=north(6_000)), other]
    assert takers(turn([one], people, last=last, number=1)) == {str(one.id): "2"}


def test_a_canceled_order_leaves_the_others_where_they_are():
    orders, people = held_orders(), shoppers(900, -900, 1_000)
    last = turn(orders, people)
    after = turn(orders[1:], people, last=last, number=1)
    assert takers(after) == {order_id: who for order_id, who in takers(last).items() if order_id != str(orders[0].id)}


def test_a_thousand_orders_are_compared_in_little_time():
    orders = [order(opens=40, metres=50 + 9 * n) for n in range(1_000)]
    people = shoppers(*range(0, 20_000, 100))
    last = turn(orders, people, seconds=0.05)
    moved = [replace(one, point=north(100 * n + 60)) for n, one in enumerate(people)]
    began = time.monotonic()
    after = turn(orders, moved, last=last, number=1, seconds=0.05)
    assert time.monotonic() - began < 2
    in_matches = {str(one.id) for match in after.matches for one in match.job.route.orders}
    assert in_matches | {str(order_id) for order_id in after.held} == {str(one.id) for one in orders}
