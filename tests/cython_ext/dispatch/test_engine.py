"""Plans: exact ones where there is one answer, and for any input one that keeps every rule, or a reason."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cython_ext.dispatch import engine
from cython_ext.dispatch.demand import Demand
from cython_ext.dispatch.travel import Plane
from cython_ext.dispatch.types import Alternative, Batch, Held, Order, Plan, Request, Shopper, Visit, Weights
from tests.cython_ext.dispatch.factories import order, request, shopper

pytestmark = pytest.mark.twins


def test_one_order_and_one_shopper():
    made = engine.plan(request([order(store=(5.0, 0.0), door=(15.0, 0.0), due=18.0)], [shopper()]))
    # 5 to the store, half a pickup of 2; then 2, 10 to the door and half a drop of 2: three minutes late.
    visits = (Visit("pick", "o1", 7.0, 9.0), Visit("drop", "o1", 21.0, 23.0))
    assert made.batches == (Batch("a", 0, visits, 0.0, 0.0, 15.0, 3.0),)
    assert made.cost == 15 + 2 * 3
    assert made.held == made.moves == made.ignored == ()


def test_a_batch_may_be_held_until_its_order_is_ready():
    made = engine.plan(request([order(store=(5.0, 0.0), door=(15.0, 0.0), ready=30.0)], [shopper()]))
    (batch,) = made.batches
    assert (batch.start, batch.leave_by) == (0.0, 23.0)
    assert batch.visits[0] == Visit("pick", "o1", 30.0, 32.0)


def test_orders_of_one_store_share_a_drive():
    two = [order("o1", store=(5.0, 0.0)), order("o2", store=(5.0, 0.0), door=(12.0, 0.0))]
    made = engine.plan(request(two, [shopper("a"), shopper("b")]))
    (batch,) = made.batches
    assert batch.order_ids == ("o1", "o2")
    assert batch.drive == 12
    assert [visit.at for visit in batch.visits] == [7, 7, 16, 22]


def test_the_car_is_emptied_where_it_holds_one():
    two = [order("o1"), order("o2", door=(12.0, 0.0))]
    made = engine.plan(request(two, [shopper(orders=1)]))
    assert [(batch.number, batch.order_ids) for batch in made.batches] == [(0, ("o1",)), (1, ("o2",))]


def test_weight_and_volume_count():
    heavy = [order("o1", kilograms=15), order("o2", kilograms=15), order("o3", litres=300)]
    made = engine.plan(request(heavy, [shopper(kilograms=20, litres=200)]))
    assert sorted(batch.order_ids for batch in made.batches) == [("o1",), ("o2",)]
    assert made.held == (
        Held("o3", "too_big", "No car of those on shift holds it; it needs a bigger one or two trips."),
    )


def test_a_certificate_is_needed():
    wine = order("wine", needs=frozenset({"alcohol"}))
    made = engine.plan(request([wine], [shopper("a"), shopper("b", at=(90.0, 0.0), skills=frozenset({"alcohol"}))]))
    assert [batch.shopper_id for batch in made.batches] == ["b"]
    made = engine.plan(request([wine], [shopper("a")]))
    assert made.held == (Held("wine", "no_skill", "Nobody on shift has all of: alcohol."),)


def test_picking_in_the_store_takes_the_shoppers_time():
    made = engine.plan(request([order(shop_minutes=20.0)], [shopper("slow", pace=1.5), shopper("fast", pace=0.5)]))
    made_late = engine.plan(
        request([order(shop_minutes=20.0, due=30.0)], [shopper("slow", pace=1.5), shopper("fast", pace=0.5)])
    )
    assert made.batches[0].visits[0].at in (12.0, 32.0)
    assert made_late.batches[0].shopper_id == "fast"
    assert made_late.batches[0].visits[0] == Visit("pick", "o1", 12.0, 14.0)


def test_nobody_rings_before_the_window_opens():
    made = engine.plan(request([order(opens=60.0)], [shopper()]))
    assert made.batches[0].visits[1] == Visit("drop", "o1", 60.0, 62.0)


@pytest.mark.parametrize(
    ("given", "who", "code"),
    [
        ({}, [], "no_shopper"),
        ({"ready": 50.0}, [shopper(off=49.0)], "shifts_end"),
        ({}, [shopper(at=(501.0, 0.0))], "too_far"),
        ({"due": -100.0}, [shopper()], "waits"),
        ({"store": None}, [shopper()], "store_unplaced"),
        ({"store": (math.nan, 0.0)}, [shopper()], "store_unplaced"),
        ({"door": (0.0, math.inf)}, [shopper()], "door_unplaced"),
        ({"ready": math.nan}, [shopper()], "not_a_number"),
        ({"due": math.inf}, [shopper()], "not_a_number"),
        ({"kilograms": math.nan}, [shopper()], "not_a_number"),
    ],
)
def test_an_order_that_cannot_go_is_held_with_a_reason(given: dict[str, Any], who: list[Shopper], code: str):
    made = engine.plan(request([order("bad", **given), order("good")], who))
    assert [(held.order_id, held.code) for held in made.held if held.order_id == "bad"] == [("bad", code)]
    if who and code != "too_far":
        assert [batch.order_ids for batch in made.batches] == [("good",)]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (shopper("bad", at=None), "has no position"),
        (shopper("bad", off=math.nan), "has a time, pace, capacity or pay that is no usable number"),
        (shopper("bad", route=(("pick", "o1"),)), "has a promised route in which a stop is missing or out of order"),
        (shopper("bad", route=(("drop", "gone"),)), "is promised an order that the request does not hold"),
    ],
)
def test_a_shopper_who_makes_no_sense_is_passed_over(bad: Shopper, why: str):
    made = engine.plan(request([order()], [bad, shopper()]))
    assert made.ignored == (("bad", why),)
    assert [batch.shopper_id for batch in made.batches] == ["a"]


def test_what_is_named_twice_counts_once():
    made = engine.plan(request([order(), order()], [shopper(), shopper()]))
    assert [batch.order_ids for batch in made.batches] == [("o1",)]
    assert [held.code for held in made.held] == ["twice"]
    assert made.ignored == (("a", "named more than once; the first counts"),)


def test_an_empty_request_has_an_empty_plan():
    made = engine.plan(request([], []))
    assert (made.batches, made.held, made.cost) == ((), (), 0.0)


def test_what_is_promised_stays_where_it_is():
    """Neither a better shopper nor the end of the shift takes a promised order away; more may join it."""
    promised = shopper("far", at=(300.0, 0.0), off=100.0, route=(("pick", "o1"), ("drop", "o1")), locked=1)
    made = engine.plan(request([order("o1"), order("o2")], [promised, shopper("near")]))
    assert {batch.shopper_id: batch.order_ids for batch in made.batches} == {"far": ("o1",), "near": ("o2",)}
    assert made.batches[0].visits[0] == Visit("pick", "o1", 302.0, 304.0)


def test_nothing_new_puts_a_promised_pickup_off_beyond_the_shift():
    """The second order lies on the way to the first, but with its pickup that one's would be at 26."""
    promised = order("o1", store_id="t", store=(20.0, 0.0), door=(30.0, 0.0))
    more = order("o2", store=(10.0, 0.0), door=(30.0, 0.0))
    who = shopper(off=25.0, route=(("pick", "o1"), ("drop", "o1")))
    made = engine.plan(request([promised, more], [who]))
    assert [(batch.order_ids, batch.visits[0].at) for batch in made.batches] == [(("o1",), 22.0)]
    assert [held.order_id for held in made.held] == ["o2"]
    longer = engine.plan(request([promised, more], [replace(who, off=26.0)]))
    assert [(batch.order_ids, batch.visits[1].at) for batch in longer.batches] == [(("o2", "o1"), 26.0)]


def test_an_order_aboard_is_only_dropped():
    aboard = shopper(at=(50.0, 0.0), orders=1, route=(("drop", "o1"),))
    made = engine.plan(
        request(
            [order("o1", door=(60.0, 0.0)), order("o2", store_id="t", store=(60.0, 0.0), door=(70.0, 0.0))], [aboard]
        )
    )
    assert [[(v.kind, v.order_id) for v in batch.visits] for batch in made.batches] == [
        [("drop", "o1")],
        [("pick", "o2"), ("drop", "o2")],
    ]
    assert made.batches[0].visits[0].at == 12


def test_a_guaranteed_order_goes_to_who_must_be_paid_anyway():
    pays = tuple(10.0 * k for k in range(1, 8))
    made = engine.plan(request([order()], [shopper("paid", pay=pays), shopper("unpaid", at=(5.0, 0.0))]))
    assert [batch.shopper_id for batch in made.batches] == ["unpaid"]


def test_each_choice_says_what_the_others_would_have_cost():
    made = engine.plan(request([order(store=(5.0, 0.0))], [shopper("a"), shopper("b", at=(-30.0, 0.0))]))
    assert engine.why(made, "o1") == (
        Alternative("a", 10.0, is_chosen=True),
        Alternative("b", 40.0, is_chosen=False),
        Alternative(None, 120.0, is_chosen=False),
    )
    with pytest.raises(KeyError):
        engine.why(made, "unknown")


def test_the_last_plan_is_gone_on_from():
    orders = [order(f"o{i}", store=(float(7 * i % 31), 3.0), store_id=f"s{i % 5}", ready=float(i)) for i in range(12)]
    asked = request(orders, [shopper(f"c{i}", at=(float(9 * i % 40), 0.0)) for i in range(5)])
    first = engine.plan(asked, iterations=300)
    assert engine.plan(replace(asked, previous=first.routes), iterations=0).routes == first.routes
    assert engine.plan(replace(asked, previous=first.routes), iterations=50).cost <= first.cost
    assert engine.plan(asked, iterations=300) == first
    gone = replace(asked, orders=orders[:6], previous=first.routes)
    assert {visit.order_id for batch in engine.plan(gone).batches for visit in batch.visits} == {
        f"o{i}" for i in range(6)
    }


def test_an_idle_shopper_waits_where_orders_come_from():
    demand = Demand({"busy": (40.0, 0.0), "dead": (0.0, 0.0)})
    for _ in range(20):
        demand.observe("busy")
    asked = request([], [shopper("a"), shopper("b", at=(40.0, 0.0), free=50.0)], demand=demand)
    assert [(move.shopper_id, move.store_id) for move in engine.plan(asked).moves] == [("a", "busy")]
    covered = replace(asked, shoppers=[shopper("b", at=(40.0, 0.0))])
    assert engine.plan(covered).moves == ()


def test_five_thousand_orders_and_nobody():
    made = engine.plan(request([order(f"o{i}") for i in range(5000)], []), iterations=10)
    assert len(made.held) == 5000
    assert {held.code for held in made.held} == {"no_shopper"}


# ---------------------------------------------------------------- every plan keeps every rule

COORDINATES = st.tuples(st.integers(0, 60).map(float), st.integers(0, 60).map(float))
SKILLS = st.sets(st.sampled_from(("alcohol", "cold", "heavy"))).map(frozenset)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    stores = draw(st.lists(COORDINATES, min_size=1, max_size=3))
    orders = []
    for i in range(draw(st.integers(0, 8))):
        number = draw(st.integers(0, len(stores) - 1))
        placed = float(draw(st.integers(0, 30)))
        orders.append(
            order(
                f"o{i}",
                store_id=f"s{number}",
                store=draw(st.sampled_from((stores[number],) * 9 + (None,))),
                door=draw(COORDINATES),
                placed=placed,
                ready=placed + draw(st.sampled_from((0.0, 5.0, 25.0, math.nan))),
                due=placed + draw(st.sampled_from((-1e6, 30.0, 60.0))),
                opens=draw(st.sampled_from((-1e9, 70.0))),
                shop_minutes=float(draw(st.integers(0, 20))),
                kilograms=float(draw(st.integers(0, 30))),
                needs=draw(SKILLS),
            )
        )
    shoppers = [
        shopper(
            f"c{i}",
            at=draw(COORDINATES),
            free=float(draw(st.integers(0, 40))),
            off=float(draw(st.integers(0, 200))),
            pace=draw(st.sampled_from((0.5, 1.0, 2.0))),
            orders=float(draw(st.integers(1, 4))),
            kilograms=float(draw(st.integers(5, 60))),
            skills=draw(SKILLS),
        )
        for i in range(draw(st.integers(0, 4)))
    ]
    for one in orders:
        kind = draw(st.sampled_from(("open", "open", "promised", "aboard"))) if shoppers else "open"
        if kind != "open" and one.store is not None and not math.isnan(one.ready):
            k = draw(st.integers(0, len(shoppers) - 1))
            stops = (("drop", one.order_id),) if kind == "aboard" else (("pick", one.order_id), ("drop", one.order_id))
            shoppers[k] = replace(shoppers[k], route=(*shoppers[k].route, *stops))
    travel = Plane(draw(st.sampled_from((1.0, 3.0))), is_whole=draw(st.booleans()))
    return request(orders, shoppers, travel=travel, weights=Weights(wait=0.5, busy=0.1), radius_minutes=40.0)


@settings(deadline=None)
@given(requests())
def test_every_plan_keeps_every_rule(asked: Request):
    made = engine.plan(asked, iterations=25)
    seen = [order_id for batch in made.batches for order_id in batch.order_ids] + [held.order_id for held in made.held]
    assert sorted(seen) == sorted(order.order_id for order in asked.orders)
    for one in asked.shoppers:
        mine = [batch for batch in made.batches if batch.shopper_id == one.shopper_id]
        check_route(asked, one, mine)
    check_all_reasons(asked, made)


def check_route(asked: Request, who: Shopper, batches: list[Batch]) -> None:
    """Walk the shopper's batches with arithmetic of our own."""
    orders: dict[str, Order] = {one.order_id: one for one in asked.orders}
    assert isinstance(asked.travel, Plane)
    assert who.at is not None
    at, clock, store = who.at, max(asked.now, who.free), ""
    promised = {order_id for _, order_id in who.route}
    aboard = promised - {order_id for kind, order_id in who.route if kind == "pick"}
    mine = [visit.order_id for batch in batches for visit in batch.visits]
    assert promised <= set(mine)
    car = [orders[order_id] for order_id in sorted(aboard)]
    for batch in batches:
        assert batch.start == pytest.approx(clock)
        for visit in batch.visits:
            one = orders[visit.order_id]
            goal = one.store if visit.kind == "pick" else one.door
            assert goal is not None
            minutes = math.dist(at, goal) / asked.travel.speed
            minutes = math.ceil(minutes) if asked.travel.is_whole else minutes
            if visit.kind == "pick":
                assert one not in car
                assert visit.at >= one.ready
                if one.order_id not in promised:
                    assert one.needs <= who.skills
                    assert visit.at <= who.off
                if one.order_id not in promised and batch is batches[0] and not car and visit is batch.visits[0]:
                    assert minutes <= asked.radius_minutes + 1e-4
                service = 0.0 if store == one.store_id and not minutes else asked.half_pick
                assert visit.at >= clock + minutes + service + one.shop_minutes * who.pace - asked.half_pick - 1e-4
                car.append(one)
                if one.order_id not in promised:
                    assert len(car) <= who.orders
                    assert sum(each.kilograms for each in car) <= who.kilograms + 1e-6
                store = one.store_id
            else:
                car.remove(one)
                assert visit.at >= max(clock + minutes + asked.half_drop - 1e-4, one.opens)
                store = ""
            assert visit.leave == pytest.approx(
                visit.at + (asked.half_pick if visit.kind == "pick" else asked.half_drop)
            )
            at, clock = goal, visit.leave
        assert car == []


def check_all_reasons(asked: Request, made: Plan) -> None:
    codes = {held.order_id: held.code for held in made.held}
    for one in asked.orders:
        if one.store is None:
            assert codes[one.order_id] == "store_unplaced"
        elif math.isnan(one.ready):
            assert codes[one.order_id] == "not_a_number"
        elif not asked.shoppers:
            assert codes[one.order_id] == "no_shopper"
        elif not any(
            one.needs <= who.skills or one.order_id in {order_id for _, order_id in who.route} for who in asked.shoppers
        ):
            assert codes[one.order_id] == "no_skill"
