"""The judge of grocery days reckons as said, refuses every foul, and notices logs that were tampered with."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.dispatch.grocery import audit, judge
from bench.dispatch.grocery.app_engine import AppEngine
from bench.dispatch.grocery.baselines import first_come, one_at_a_time
from bench.dispatch.grocery.day import DOOR_MINUTES, STORE_MINUTES, Day, make
from bench.dispatch.grocery.judge import Foul, Log, Stop, Trip
from tests.bench.grocery_zone import day, order, shopper, zone

BOTH: list[Stop] = [("pick", 1), ("pick", 2), ("drop", 1), ("drop", 2)]


def once(commands: dict[float, list[tuple[int, list[Stop]]]]) -> judge.Policy:
    return lambda now, orders, idle: commands.get(now, [])


def two_orders() -> Day:
    return day([order(1, 3), order(2, 4, needs=frozenset({"cold"}))], [shopper(1, skills=frozenset({"cold"}))])


def test_a_trip_takes_drives_stops_and_the_shoppers_true_pace():
    made = day([order(1, 3), order(2, 4)], [shopper(1)], pace=1.5, snag=2.0)
    (trip,) = judge.run(made, once({5.0: [(1, BOTH)]})).trips
    # 2 minutes to the store, 2 x 10 minutes at 3 times the pace told, 4 and 2 to the doors.
    store = 5 + 2 + STORE_MINUTES / 2
    first = store + 60 + STORE_MINUTES / 2 + 4 + DOOR_MINUTES / 2
    assert [visit.at for visit in trip.visits] == pytest.approx(
        [store + 30, store + 60, first, first + DOOR_MINUTES + 2]
    )
    assert trip.ended == pytest.approx(first + 2 + 1.5 * DOOR_MINUTES)


def test_nobody_hands_over_before_the_window_opens():
    made = day([order(1, 3, is_asap=False, starts=100.0, opens=85.0)], [shopper(1)])
    (trip,) = judge.run(made, once({0.0: [(1, [("pick", 1), ("drop", 1)])]})).trips
    assert trip.visits[-1].at == 85.0
    assert trip.ended == pytest.approx(85 + DOOR_MINUTES / 2)


FOULS: dict[str, tuple[Day, list[tuple[int, list[Stop]]], str]] = {
    "drop first": (two_orders(), [(1, [("drop", 1), ("pick", 1)])], "without being aboard"),
    "never dropped": (two_orders(), [(1, [("pick", 1)])], "never dropped"),
    "picked up twice": (two_orders(), [(1, [("pick", 1), ("pick", 1), ("drop", 1)])], "picked up twice"),
    "dropped twice": (two_orders(), [(1, [("pick", 1), ("drop", 1), ("drop", 1)])], "without being aboard"),
    "unknown order": (two_orders(), [(1, [("pick", 9), ("drop", 9)])], "not open"),
    "not placed yet": (day([order(1, 3, placed=9.0)], [shopper(1)]), [(1, BOTH)], "not open"),
    "unknown shopper": (two_orders(), [(7, BOTH)], "not idle"),
    "before the shift": (day([order(1, 3), order(2, 4)], [shopper(1, on=30.0)]), [(1, BOTH)], "not idle"),
    "two trips at once": (two_orders(), [(1, [("pick", 1), ("drop", 1)]), (1, [("pick", 2), ("drop", 2)])], "not idle"),
    "one order for two": (
        day([order(1, 3)], [shopper(1), shopper(2)]),
        [(1, [("pick", 1), ("drop", 1)]), (2, [("pick", 1), ("drop", 1)])],
        "not open",
    ),
    "too many orders": (day([order(1, 3), order(2, 4)], [shopper(1, orders=1)]), [(1, BOTH)], "more orders"),
    "too many pieces": (day([order(1, 3), order(2, 4, units=55)], [shopper(1)]), [(1, BOTH)], "car holds"),
    "too heavy": (day([order(1, 3), order(2, 4, kilograms=31.0)], [shopper(1)]), [(1, BOTH)], "carries too much"),
    "no certificate": (
        day([order(1, 3), order(2, 4, needs=frozenset({"alcohol"}))], [shopper(1, skills=frozenset({"cold"}))]),
        [(1, BOTH)],
        "may not carry",
    ),
    "after the shift": (day([order(1, 3), order(2, 4)], [shopper(1, off=25.0)]), [(1, BOTH)], "after the shift"),
    "no stops": (two_orders(), [(1, [])], "without a stop"),
}


@pytest.mark.parametrize("name", FOULS)
def test_a_foul_ends_the_day(name: str):
    made, commands, words = FOULS[name]
    with pytest.raises(Foul, match=words):
        judge.run(made, once({0.0: commands}))


def test_the_same_day_without_the_foul_is_allowed():
    assert [trip.order_ids for trip in judge.run(two_orders(), once({0.0: [(1, BOTH)]})).trips] == [[1, 2]]


def test_who_is_on_the_way_is_not_idle():
    made = day([order(1, 3), order(2, 4)], [shopper(1)])
    later: dict[float, list[tuple[int, list[Stop]]]] = {
        0.0: [(1, [("pick", 1), ("drop", 1)])],
        10.0: [(1, [("pick", 2), ("drop", 2)])],
    }
    with pytest.raises(Foul, match="not idle at 10"):
        judge.run(made, once(later))


def clean() -> tuple[Day, Log]:
    made = day([order(1, 3), order(2, 4), order(3, 5, placed=50.0)], [shopper(1, kilograms=20.0), shopper(2)])
    log = judge.run(made, once({0.0: [(1, BOTH)], 100.0: [(1, [("pick", 3), ("drop", 3)])]}))
    assert audit.fouls(made, log) == []
    return made, log


def moved(trip: Trip, minutes: float) -> Trip:
    visits = tuple(
        replace(v, arrive=v.arrive + minutes, at=v.at + minutes, leave=v.leave + minutes) for v in trip.visits
    )
    return replace(trip, began=trip.began + minutes, visits=visits)


def sooner(trip: Trip, k: int) -> Trip:
    visits = list(trip.visits)
    visits[k] = replace(visits[k], at=visits[k].at - 1)
    return replace(trip, visits=tuple(visits))


TAMPERED: dict[str, tuple[Callable[[Trip, Trip], list[Trip]], str]] = {
    "delivered twice": (lambda a, b: [a, b, moved(b, 200)], "delivered 2 times"),
    "in two places": (lambda a, b: [a, moved(b, -60)], "before"),
    "from elsewhere": (lambda a, b: [a, replace(b, start=7)], "but stands at"),
    "nobody": (lambda a, b: [a, replace(b, shopper_id=9)], "nobody is shopper"),
    "drop before pick": (lambda a, b: [a, replace(b, visits=b.visits[::-1])], "not picked up, then dropped"),
    "never picked": (lambda a, b: [a, replace(b, visits=b.visits[1:])], "comes from nowhere"),
    "too fast in the store": (lambda a, b: [sooner(a, 1), b], "too soon"),
    "too fast to the door": (lambda a, b: [a, sooner(b, 1)], "too soon"),
    "after the shift": (lambda a, b: [a, moved(b, 200)], "after the shift"),
    "before it is placed": (lambda a, b: [moved(b, -80)], "before it is placed"),
    "wrong door": (
        lambda a, b: [a, replace(b, visits=(b.visits[0], replace(b.visits[1], place=6)))],
        "wrong place",
    ),
    "unknown order": (
        lambda a, b: [a, replace(b, visits=tuple(replace(v, order_id=8) for v in b.visits))],
        "nobody placed",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_the_audit_notices(name: str):
    made, log = clean()
    change, words = TAMPERED[name]
    found = audit.fouls(made, Log(trips=change(*log.trips)))
    assert any(words in foul for foul in found), found


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"kilograms": 19.0}, "carries"), ({"units": 14.0}, "carries"), ({"orders": 1}, "carries")],
)
def test_the_audit_notices_a_load(limits: dict[str, float], words: str):
    made, log = clean()
    small = replace(made, shoppers=made.shoppers | {1: replace(made.shoppers[1], **limits)})  # type: ignore[arg-type]
    (found,) = {foul.split(" (")[0] for foul in audit.fouls(small, log)}
    assert words in found


def test_the_audit_notices_a_missing_certificate():
    made, log = clean()
    needy = replace(made, orders=made.orders | {3: replace(made.orders[3], needs=frozenset({"alcohol"}))})
    assert audit.fouls(needy, log) == ["shopper 1 lacks what order 3 needs"] * 2


def test_measures_are_of_what_happened():
    made, log = clean()
    late = replace(made, orders=made.orders | {3: replace(made.orders[3], ends=100.0)})
    log.decision_ms = [1.0, 2.0]
    result = audit.result(late, log)
    drop = log.trips[1].visits[-1].at
    assert (result.orders, result.delivered, result.per_batch) == (3, 3, 1.5)
    assert result.late_share == pytest.approx(1 / 3)
    assert result.late_minutes == pytest.approx((drop - 100) / 3)
    assert result.missed_share == pytest.approx(1 / 3)
    # 2 to the store, 4 and 2 to the doors; from the second of them 6 back, then 8 to the third.
    assert result.drive_minutes == pytest.approx((2 + 4 + 2 + 6 + 8) / 3)
    assert result.shopper_minutes == pytest.approx((log.trips[0].ended + log.trips[1].ended - 100) / 3)


@pytest.mark.parametrize("policy", [one_at_a_time, first_come, AppEngine])
def test_policies_foul_nowhere_and_are_the_same_each_time(policy: Callable[..., judge.Policy]):
    made = make(zone(), seed=3, per_shopper_hour=1.2, shoppers=5)
    first, again = (judge.run(made, policy(made.zone)) for _ in range(2))
    assert audit.fouls(made, first) == []
    assert first.trips == again.trips
    assert audit.result(made, first).delivered >= 0.8 * len(made.orders)


def test_bundles_are_of_one_store_and_the_engine_makes_them_too():
    made = day([order(k, 2 + k, kilograms=5.0) for k in (1, 2)] + [order(3, 4, store=1)], [shopper(1)])
    trips = {
        policy.__name__: [sorted(trip.order_ids) for trip in judge.run(made, policy(made.zone)).trips]
        for policy in (one_at_a_time, first_come, AppEngine)
    }
    assert trips == {
        "one_at_a_time": [[1], [2], [3]],
        "first_come": [[1, 2], [3]],
        "AppEngine": [[1, 2], [3]],
    }


def test_the_engine_waits_for_who_is_nearly_back_if_it_is_told_of_him():
    near, far = shopper(1, home=2), shopper(2, home=6)
    made = day([order(1, 3), order(2, 3, placed=24.0)], [near, far])
    told = judge.run(made, AppEngine(made.zone)).trips
    untold = judge.run(made, AppEngine(made.zone, knows_idle_only=True)).trips
    assert told[0] == untold[0]
    assert told[0].ended == pytest.approx(2 + STORE_MINUTES + 10 + 4 + DOOR_MINUTES)  # 27.2
    assert [(trip.shopper_id, trip.began) for trip in told] == [(1, 0.0), (1, 28.0)]
    assert [(trip.shopper_id, trip.began) for trip in untold] == [(1, 0.0), (2, 24.0)]
