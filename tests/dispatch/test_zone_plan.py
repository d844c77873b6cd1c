"""From waiting orders to offers, without a database."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.geo import Point
from apps.common.money import Money
from apps.dispatch.domain import reasons, zone_plan
from apps.dispatch.domain.coming import Coming
from apps.dispatch.domain.zone_plan import Zone
from apps.fulfilment.types import WaitingOrder
from apps.shoppers.types import AvailableShopper

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)
STORE = Point(39.9612, -82.9988)
DEGREES_PER_M = 1 / 111_195  # of latitude
_numbers = count(1)


def north(metres):
    return Point(STORE.lat + metres * DEGREES_PER_M, STORE.lng)


STORES = {17: STORE, 18: north(40), 19: None}


def order(*, metres=2_000, minutes=120, opens=0, **changes):
    usual = {
        "id": next(_numbers),
        "store_id": 17,
        "order_id": 1,
        "drop": north(metres),
        "line_count": 2,
        "unit_count": 3,
        "window_starts_at": NOW + timedelta(minutes=opens),
        "window_ends_at": NOW + timedelta(minutes=opens + minutes),
        "tip": Money(0),
        "projected_at": NOW,
    }
    return WaitingOrder(**(usual | changes))


def shoppers(*metres, vehicle="car"):
    return [AvailableShopper(shopper_id=n, point=north(m), vehicle=vehicle) for n, m in enumerate(metres, start=1)]


def propose(orders, free, *, coming=(), previous=None, seconds=0.05):
    stores = {store_id: point for store_id, point in STORES.items() if point}
    zone = Zone(stores=stores, now=NOW, early=timedelta(minutes=15))
    return zone_plan.propose(
        orders,
        free,
        coming=coming,
        zone=zone,
        until_next=timedelta(seconds=63),
        previous=previous or {},
        seconds=seconds,
    )


def batches(proposal):
    return sorted(sorted(order.id for order in match.job.route.orders) for match in proposal.matches)


def codes(proposal):
    return {order_id: held.code for order_id, held in proposal.held.items()}


def test_windows_are_told_to_end_ten_minutes_early_unless_nobody_can_be_there_by_then():
    zone = Zone(stores={17: STORE}, now=NOW, early=timedelta(minutes=15))
    relaxed, over = order(minutes=120), order(minutes=-30)
    told = zone_plan.request([relaxed, over], [], zone=zone, previous={}).orders
    assert told[0].due == 110
    at_store, to_door = 111 + 300 + 45 * 2 + 8 * 3, 76 * 2 + (111 + 150) / 2  # half of a stop is before its moment
    soonest = (600 + at_store + to_door) / 60
    assert told[1].due == pytest.approx(soonest, abs=0.01)


def test_neighbours_go_together_and_each_is_taken_before_it_is_handed_over():
    one, two = order(metres=2_000), order(metres=2_300)
    proposal = propose([one, two], shoppers(0, 100))
    (match,) = proposal.matches
    steps = [(step.kind, step.order.id) for step in match.job.route.steps]
    assert {kind for kind, _ in steps[:2]} == {"pick"}
    assert steps[2:] == [("drop", one.id), ("drop", two.id)]
    assert match.shopper_id == 1
    assert match.job.route.route_m == pytest.approx(2_300, rel=0.001)
    assert codes(proposal) == {}


def test_doors_far_apart_stay_apart():
    one, two = order(metres=8_000), order(metres=-8_000)
    assert batches(propose([one, two], shoppers(0, 0))) == [[one.id], [two.id]]


def test_of_more_than_one_can_carry_the_rest_is_for_the_next_trip():
    orders = [order() for _ in range(4)]
    proposal = propose(orders, shoppers(0))
    assert [len(batch) for batch in batches(proposal)] == [3]
    assert list(codes(proposal).values()) == ["next_trip"]


def test_nobody_comes_back_to_the_store_with_something_in_the_car():
    orders = [order(metres=metres, unit_count=20) for metres in (100, 100, 100, 3_000, 3_000, 3_000, 3_000)]
    proposal = propose(orders, shoppers(0, 0))
    for match in proposal.matches:
        assert len(match.job.route.orders) <= 3
        kinds = [step.kind for step in match.job.route.steps]
        assert kinds == sorted(kinds, reverse=True)  # picks, then drops
    offered = [order_id for batch in batches(proposal) for order_id in batch]
    assert sorted([*offered, *proposal.held]) == [one.id for one in orders]


def test_a_vehicle_holds_what_it_holds():
    big = order(unit_count=40)
    by_bike = propose([big], shoppers(0, vehicle="bike"))
    assert (by_bike.matches, codes(by_bike)) == ([], {big.id: "too_big"})
    assert batches(propose([big], shoppers(0))) == [[big.id]]
    bigger = order(unit_count=400)
    assert batches(propose([big, bigger], shoppers(0, 0))) == [[big.id], [bigger.id]]  # a full car, alone


def test_a_vehicle_carries_what_it_carries():
    heavy = order(kilograms=16.0)
    assert codes(propose([heavy], shoppers(0, vehicle="bike"))) == {heavy.id: "too_big"}
    assert batches(propose([heavy], shoppers(0))) == [[heavy.id]]
    heavier = order(kilograms=500.0)
    assert batches(propose([heavy, heavier], shoppers(0, 0))) == [[heavy.id], [heavier.id]]  # a full car, alone


def test_something_cold_is_handed_over_first():
    # From the store the way through both doors is as long either way round.
    sides = [order(metres=1_000), order(metres=-1_000)]
    for first in (0, 1):
        orders = [replace(one, is_cold=n == first) for n, one in enumerate(sides)]
        (match,) = propose(orders, shoppers(0)).matches
        assert [one.id for one in match.job.route.orders] == [sides[first].id, sides[1 - first].id]


def test_only_who_has_the_certificate_is_asked():
    wine, bread = order(needs=frozenset({"alcohol"})), order(metres=-3_000)
    (without,) = shoppers(0)
    certified = replace(without, shopper_id=2, point=north(3_000), certificates=frozenset({"alcohol"}))
    proposal = propose([wine], [without])
    assert (proposal.matches, codes(proposal)) == ([], {wine.id: "no_skill"})
    assert proposal.held[wine.id].detail == "Nobody on shift has all of: alcohol."
    both = propose([wine, bread], [without, certified])
    assert {order.id: match.shopper_id for match in both.matches for order in match.job.route.orders}[wine.id] == 2


def test_a_batch_is_of_one_store_and_the_rest_finds_others_in_the_same_turn():
    orders = [order(store_id=store_id) for store_id in (17, 18, 17, 18, 17, 18, 17, 18)]
    proposal = propose(orders, shoppers(*range(0, 80, 10)))
    for match in proposal.matches:
        assert {one.store_id for one in match.job.route.orders} == {match.job.route.store_id}
    assert sorted(order_id for batch in batches(proposal) for order_id in batch) == [one.id for one in orders]
    assert len({match.shopper_id for match in proposal.matches}) == len(proposal.matches)


def test_with_nobody_else_the_other_stores_part_waits():
    one, two = order(store_id=17), order(store_id=18)
    proposal = propose([one, two], shoppers(0))
    ((offered,),) = batches(proposal)
    assert set(proposal.held) == {one.id, two.id} - {offered}
    assert set(codes(proposal).values()) <= {"cut_off", "next_trip"}


def test_nothing_is_picked_up_after_the_shift():
    one = order()
    # half of parking and of the way through the store are 3.4 minutes, the goods 1.9
    late, early = (
        [replace(someone, shift_ends_at=NOW + timedelta(minutes=minutes)) for someone in shoppers(0)]
        for minutes in (5, 7)
    )
    assert codes(propose([one], late)) == {one.id: "shifts_end"}
    assert batches(propose([one], early)) == [[one.id]]
    proposal = propose([one], [*late, replace(early[0], shopper_id=2, point=north(1_000))])
    assert [match.shopper_id for match in proposal.matches] == [2]


def test_nobody_is_sent_before_it_is_time():
    later = order(opens=60)  # 45 minutes until it may be handed over; 8.75 of them in the store, 4.7 from there
    proposal = propose([later], shoppers(0))
    assert codes(proposal) == {later.id: "hold"}
    assert proposal.held[later.id].detail == "Nobody has to leave for 32 minutes."
    much_later = order(opens=180)
    assert codes(propose([much_later], shoppers(0))) == {much_later.id: "too_early"}


@pytest.mark.parametrize(("opens", "minutes"), [(0, -300), (0, -1), (0, 0), (0, 1), (-9_000, 60), (-60, -600_000)])
def test_an_impossible_window_makes_an_order_urgent_not_hopeless(opens, minutes):
    hopeless = order(opens=opens, minutes=minutes)
    assert batches(propose([hopeless], shoppers(0))) == [[hopeless.id]]


@pytest.mark.parametrize(("opens", "code"), [(60, "hold"), (300, "too_early")])
def test_a_window_that_ended_before_it_begins_waits_for_its_beginning(opens, code):
    hopeless = order(opens=opens, minutes=-900)
    assert codes(propose([hopeless], shoppers(0))) == {hopeless.id: code}


def test_what_was_weighed_is_told_with_its_cost():
    one = order(metres=2_000)
    (match,) = propose([one], shoppers(3_000, 1_000, 5_000, 9_000, 8_000, 7_000)).matches
    why = match.why
    assert match.shopper_id == 2
    drive = (1_000 + 2_000) * 76 / 60_000
    assert why.drive_minutes == pytest.approx(drive, abs=0.02)
    # 6.85 minutes in the store and 1.9 for two lines and three units, 4.35 at the door
    assert why.minutes == pytest.approx(drive + 6.85 + 1.9 + 4.35, abs=0.02)
    assert (why.late_minutes, why.cut_orders, why.leave_by) == (0, 0, NOW)
    (weighed,) = why.alternatives.values()
    assert [(each.shopper_id, each.is_chosen) for each in weighed] == [(2, True), (1, False), (3, False), (None, False)]
    assert weighed[-1].cost == 1_000
    costs = [each.cost for each in weighed]
    # 2 km farther are 2.53 minutes more to drive, half of that for the shopper's time, a tenth for who waits
    assert costs[1] - costs[0] == pytest.approx(2 * 76 / 60 * 1.6, abs=0.02)
    assert reasons.from_json(json.loads(json.dumps(reasons.to_json(why)))) == why


def test_what_has_no_place_is_held_with_the_reason():
    no_door, no_store, fine = order(drop=None), order(store_id=19), order()
    proposal = propose([no_door, no_store, fine], shoppers(0))
    assert codes(proposal) == {no_door.id: "door_unplaced", no_store.id: "store_unplaced"}
    assert batches(proposal) == [[fine.id]]


def test_without_shoppers_all_wait():
    orders = [order() for _ in range(5_000)]
    began = time.monotonic()
    assert codes(propose(orders, [])) == {one.id: "no_shopper" for one in orders}
    assert time.monotonic() - began < 2


def test_too_far_is_too_far_until_it_has_waited():
    far = (15 * 60 - 111) / 76 * 1000 + 50
    fresh, waited = order(), order(projected_at=NOW - timedelta(minutes=2))
    assert codes(propose([fresh], shoppers(far))) == {fresh.id: "too_far"}
    assert batches(propose([waited], shoppers(far))) == [[waited.id]]


def test_a_far_order_that_waited_does_not_send_anybody_far_for_another():
    far = (15 * 60 - 111) / 76 * 1000 + 50
    fresh = order(metres=-8_000)
    waited = order(store_id=18, metres=8_000, projected_at=NOW - timedelta(minutes=2))
    proposal = propose([fresh, waited], shoppers(far, far))
    assert batches(proposal) == [[waited.id]]
    assert set(proposal.held) == {fresh.id}


def test_five_thousand_orders_get_an_answer_each():
    orders = [order(metres=200 + n % 5_000, store_id=17 + n % 2) for n in range(5_000)]
    began = time.monotonic()
    proposal = propose(orders, shoppers(*range(100)))
    took = time.monotonic() - began
    offered = [order_id for batch in batches(proposal) for order_id in batch]
    assert 100 <= len(offered) <= 300
    assert sorted([*offered, *proposal.held]) == [one.id for one in orders]
    assert set(codes(proposal).values()) <= {"backlog", "next_trip", "cut_off", "waits"}
    assert list(codes(proposal).values()).count("backlog") == 4_000
    assert [bool(match.why.alternatives) for match in proposal.matches] == [
        n < 20 for n in range(len(proposal.matches))
    ]
    assert took < 5


@pytest.mark.parametrize("is_crossed", [False, True])
def test_of_two_plans_as_good_the_last_one_is_kept_to(is_crossed):
    orders = [order(opens=40, metres=8_000), order(opens=40, metres=-8_000)]
    before = {
        str(shopper_id): (("pick", str(one.id)), ("drop", str(one.id)))
        for shopper_id, one in zip((2, 1) if is_crossed else (1, 2), orders, strict=True)
    }
    now = propose(orders, shoppers(0, 0), previous=before, seconds=0.0)
    assert set(codes(now).values()) == {"hold"}
    assert now.routes == before


def test_planning_again_changes_nothing_where_nothing_has_changed():
    orders = [order(opens=45, metres=500 * n) for n in range(-6, 7) if n]
    people = shoppers(*range(0, 1_000, 200))
    plans = [propose(orders, people, seconds=0.0)]
    for _ in range(3):
        plans.append(propose(orders, people, previous=plans[-1].routes, seconds=0.0))
    assert all(trips(later) == trips(earlier) for earlier, later in pairwise(plans[1:]))


def trips(proposal):
    return {shopper_id: {order_id for _, order_id in stops} for shopper_id, stops in proposal.routes.items()}


ALCOHOL = frozenset({"alcohol"})
anywhere = st.one_of(st.none(), st.builds(Point, st.floats(-90, 90), st.floats(-180, 180)), st.just(north(900)))
any_order = st.builds(
    order,
    drop=anywhere,
    store_id=st.sampled_from([17, 18, 19, 20]),
    minutes=st.integers(-10_000, 10_000),
    opens=st.integers(-10_000, 300),
    line_count=st.integers(0, 10_000),
    unit_count=st.integers(0, 2**31 - 1),
    kilograms=st.floats(0, 1e6),
    needs=st.sampled_from([frozenset(), ALCOHOL]),
    is_cold=st.booleans(),
)
any_shopper = st.builds(
    AvailableShopper,
    shopper_id=st.integers(1, 10**6),
    point=st.integers(-9_000, 9_000).map(north),
    vehicle=st.sampled_from(["car", "bike", "foot", "balloon"]),
    shift_ends_at=st.one_of(st.none(), st.integers(-60, 900).map(lambda minutes: NOW + timedelta(minutes=minutes))),
    certificates=st.sampled_from([frozenset(), ALCOHOL]),
    pace=st.floats(0.5, 2.0),
)
any_shoppers = st.lists(any_shopper, max_size=6, unique_by=lambda shopper: shopper.shopper_id)


@given(st.lists(any_order, max_size=12), any_shoppers, st.integers(0, 3))
def test_every_order_is_offered_once_or_held_with_a_reason(orders, people, at_work):
    later = [Coming(shopper=one, after=timedelta(minutes=5)) for one in people[:at_work]]
    free = {one.shopper_id: one for one in people[at_work:]}
    proposal = propose(orders, list(free.values()), coming=later, seconds=0.01)
    offered = [order_id for batch in batches(proposal) for order_id in batch]
    assert sorted([*offered, *proposal.held]) == sorted(one.id for one in orders)
    for match in proposal.matches:
        route, shopper = match.job.route, free[match.shopper_id]
        assert {one.store_id for one in route.orders} == {route.store_id}
        assert 1 <= len(route.orders) <= 3
        assert [step.kind for step in route.steps] == ["pick"] * len(route.orders) + ["drop"] * len(route.orders)
        assert {step.order.id for step in route.steps[: len(route.orders)]} == {one.id for one in route.orders}
        assert all(one.needs <= shopper.certificates for one in route.orders)
        assert shopper.shift_ends_at is None or shopper.shift_ends_at > NOW
        assert (
            shopper.vehicle == "balloon"
            or sum(min(one.kilograms, 120) for one in route.orders)
            <= {
                "car": 120,
                "bike": 15,
                "foot": 8,
            }[shopper.vehicle]
            + 1e-6
        )
