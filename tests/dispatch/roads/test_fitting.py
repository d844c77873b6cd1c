"""``fit_roads`` on finished batches of two zones on two shards, with speeds that the test makes itself."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

import sharding
from apps.common import clock
from apps.common.geo import Point
from apps.dispatch import finished, models, services
from apps.dispatch.domain import zone_plan
from apps.dispatch.roads import domain, fitting, stored
from apps.dispatch.roads.domain import DEFAULT, Leg, Speeds
from apps.fulfilment import models as fulfilment_models
from apps.shoppers import models as shopper_models
from tests.dispatch.factories import Dropped, make_completed_batch
from tests.dispatch.test_zone_plan import order as waiting_order
from tests.dispatch.test_zone_plan import shoppers as people
from tests.fulfilment.factories import a_line, make_waiting_store_order
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)
"""Noon in Ohio."""
NOON = 12
STOP = timedelta(seconds=111 + 150)
M = 1 / 111_195  # degrees of latitude
database = pytest.mark.django_db(databases="__all__")


def north(store, metres):
    return Point(store.point.lat + metres * M, store.point.lng)


def make_trip(store, *doors, started, sequence=None, starts_each=False):
    """A delivered batch: for each door its metres north of the store, and when it had its order."""
    drops = [
        Dropped(
            door=north(store, metres),
            at=at,
            window_ends_at=started + timedelta(hours=2),
            delivery_started_at=doors[place - 1][1] + timedelta(minutes=3) if starts_each and place else started,
            sequence=sequence[place] if sequence else None,
        )
        for place, (metres, at) in enumerate(doors)
    ]
    make_completed_batch(store, drops, accepted_at=started)


def drive(metres, speed):
    return STOP + timedelta(minutes=metres / speed)


def read():
    """The legs of all shards, and why others were left out."""
    kept, left_out = [], Counter()
    for alias in sharding.aliases("store"):
        for trip in finished.trips(using=alias, since=NOW - timedelta(days=2), most_batches=1000):
            for leg in fitting.history.legs(trip):
                reason = domain.why_left_out(leg)
                left_out[reason] += 1
                kept += [leg] if reason is None else []
    return kept, left_out


@database
@pytest.mark.parametrize("starts_each", [False, True])
def test_a_leg_to_the_first_door_and_one_from_there_to_the_next(starts_each):
    store = make_store()
    first = NOW + drive(2_000, 500)
    pause = timedelta(minutes=3) if starts_each else timedelta(0)
    second = first + pause + drive(3_000, 600)
    make_trip(store, (2_000, first), (5_000, second), started=NOW, starts_each=starts_each)
    (one, two), _ = read()
    assert (one.minutes, two.minutes) == (pytest.approx(4), pytest.approx(5))
    assert (one.metres, two.metres) == (pytest.approx(2_000, rel=1e-3), pytest.approx(3_000, rel=1e-3))
    assert {(leg.zone_id, leg.hour) for leg in (one, two)} == {(store.zone_id, NOON)}


@database
def test_doors_count_in_the_order_they_were_come_to_not_in_which_they_were_planned():
    store = make_store()
    first = NOW + drive(2_000, 500)
    make_trip(store, (5_000, first + drive(3_000, 600)), (2_000, first), started=NOW, sequence=(0, 1))
    legs, _ = read()
    assert [round(leg.minutes, 3) for leg in legs] == [4, 5]


@database
def test_without_a_departure_only_the_way_between_doors_is_known():
    store = make_store()
    first = NOW + drive(2_000, 500)
    make_trip(store, (2_000, first), (5_000, first + drive(3_000, 600)), started=NOW)
    fulfilment_models.StoreOrder.objects.filter(store_id=store.id).update(delivery_started_at=None)
    assert [round(leg.minutes, 3) for leg in read()[0]] == [5]


@database
def test_absurd_legs_are_left_out_and_counted():
    store = make_store()
    for metres, at in (
        (300, drive(300, 500)),
        (45_000, drive(45_000, 900)),
        (20_000, drive(20_000, 200)),  # 100 minutes
        (3_000, drive(3_000, 100)),  # a break
        (3_000, drive(3_000, 2_500)),
        (3_000, timedelta(seconds=20)),  # all said at the door
        (3_000, drive(3_000, 500)),
    ):
        make_trip(store, (metres, NOW + at), started=NOW)
    legs, left_out = read()
    assert [round(leg.minutes, 3) for leg in legs] == [6]
    assert left_out == {"too_short": 1, "too_long": 2, "absurd": 3, None: 1}


def made_up(zone_id, count, speed_at, *, noise=0.0, seed=8):
    """Legs of 1 to 6 km, spread over the hours, at a known speed."""
    chance = random.Random(seed)  # noqa: S311 (repeats by its seed)
    for number in range(count):
        metres, hour = chance.uniform(1_000, 6_000), number % 24
        yield Leg(
            zone_id=zone_id,
            start=(39.96, -82.99),
            end=(39.96 + metres * M, -82.99),
            hour=hour,
            minutes=metres / speed_at(hour) * (1 + chance.uniform(-noise, noise)),
            ended_at=NOW - timedelta(days=20) + timedelta(minutes=number),
        )


def rush(hour):
    return 400.0 if hour in (8, 17, 18) else 650.0


@pytest.mark.parametrize(("count", "within"), [(6_000, 0.07), (60_000, 0.01)])
def test_known_speeds_are_found_as_near_as_credibility_lets_them(count, within):
    """Drawn by 30 / (n + 30): of 200 drives an hour 13 % of the rest of the day's, of 2,000 1.5 %."""
    fit = domain.fitted(list(made_up(7, count, rush, noise=0.2)))
    speeds = domain.together({7: fit})
    for hour in range(24):
        assert speeds.at(7, hour) == pytest.approx(rush(hour), rel=within)
    assert fit.after < 0.6 * fit.before


def test_few_drives_leave_the_default():
    assert domain.fitted(list(made_up(7, 19, rush))) == domain.Fit(legs=19)
    of_few = domain.fitted(list(made_up(7, 20, rush)))
    drawn = domain.together({7: of_few}).at(7, 3)
    assert 0.9 * DEFAULT < drawn < DEFAULT  # 16 drives a fifth slower: nearer to the default than to them
    assert domain.together({7: of_few}).at(8, 3) == DEFAULT


def test_speeds_that_are_no_better_on_later_drives_are_not_used():
    legs = list(made_up(7, 480, lambda hour: 400.0)) + list(made_up(7, 120, lambda hour: DEFAULT))
    later = [
        replace(leg, ended_at=leg.ended_at + timedelta(days=5 * (number >= 480))) for number, leg in enumerate(legs)
    ]
    fit = domain.fitted(later)
    assert (fit.legs, fit.is_used) == (600, False)
    assert fit.before == pytest.approx(0, abs=1e-3)
    assert domain.together({7: fit}) == Speeds()


@pytest.fixture
def two_zones():
    """Sixty trips of each of two zones on two shards, all at eleven: one slow, the other as fast as the default."""
    slow = make_store(zone="Slow")
    home = sharding.alias_for("store", slow.id)
    usual = next(
        store for store in iter(lambda: make_store(zone="Usual"), None) if sharding.alias_for("store", store.id) != home
    )
    chance = random.Random(8)  # noqa: S311 (repeats by its seed)
    for number in range(120):
        store, speed = ((slow, 400.0), (usual, DEFAULT))[number % 2]
        metres = chance.uniform(1_000, 6_000)
        started = NOW - timedelta(days=1 + number // 12, minutes=30)
        make_trip(store, (metres, started + drive(metres, speed)), started=started)
    return slow, usual


@database
def test_each_zone_of_all_shards_is_fitted_stored_and_told(two_zones):
    slow, usual = two_zones
    out = StringIO()
    with clock.shifted_to(NOW):
        call_command("fit_roads", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("Slow: 60 drives; later ones are off by ")
    assert lines[0].endswith(": used.")
    assert lines[1].startswith("Usual: 60 drives; later ones are off by 0.00 minutes before")
    row = models.RoadSpeeds.objects.get()
    assert lines[2:] == [f"Stored as version {row.pk}."]
    assert row.legs == 120
    assert row.figures["left_out"] == {}
    figures = row.figures["zones"][str(slow.zone_id)]
    assert figures["after"] < 0.35 * figures["before"]
    own = 48 / (48 + 30)  # of the drives that are not held out
    of_zone = own / 400 + (1 - own) / DEFAULT
    of_hour = own / 400 + (1 - own) * of_zone
    speeds = stored.newest()
    assert speeds.at(slow.zone_id, 11) == pytest.approx(1 / of_hour, rel=0.002)
    assert speeds.at(slow.zone_id, 3) == pytest.approx(1 / of_zone, rel=0.002)
    assert speeds.at(usual.zone_id, 11) == pytest.approx(DEFAULT, rel=0.001)


@database
def test_without_trips_nothing_is_stored_and_the_default_stays():
    with clock.shifted_to(NOW), pytest.raises(CommandError, match=r"^No zone has 20 drives in 28 days\. Nothing was"):
        call_command("fit_roads")
    assert not models.RoadSpeeds.objects.exists()
    assert stored.newest().at(7, NOON) == zone_plan.ROADS.speed


@database
def test_the_newest_counts_and_is_asked_for_once_a_minute(django_assert_num_queries):
    stored.save(Speeds(zones={7: 100.0}), {}, Counter(), now=NOW)
    stored.save(Speeds(zones={7: 300.0}, hours={(7, NOON): 200.0}), {}, Counter(), now=NOW)
    with django_assert_num_queries(1):
        assert stored.newest() == Speeds(zones={7: 300.0}, hours={(7, NOON): 200.0})
        assert stored.newest().at(7, NOON) == 200.0


@database
@pytest.mark.parametrize(("hour", "taker"), [(NOON, "near"), (NOON + 1, "quick")])
def test_a_plan_takes_the_speed_of_the_hour_on_the_stores_clock(hour, taker):
    """Who picks quickly is worth a drive of three kilometres, unless the roads are slow at that hour."""
    store = make_store(zone=f"Hours {hour}")
    now = NOW + timedelta(hours=hour - NOON)
    ids = {
        "near": make_shopper(store.zone_id, point=store.point, now=now),
        "quick": make_shopper(store.zone_id, point=north(store, 3_000), now=now),
    }
    shopper_models.Shopper.objects.filter(pk=ids["quick"]).update(pace=0.5)
    shopper_models.Shopper.objects.filter(pk=ids["near"]).update(pace=2.0)
    slow_noon = Speeds(zones={store.zone_id: 1_000.0}, hours={(store.zone_id, NOON): 300.0})
    stored.save(slow_noon, {}, Counter(), now=NOW)
    lines = [a_line(number) for number in range(1, 15)]  # 14 minutes
    make_waiting_store_order(store=store, drop=north(store, -1_000), lines=lines, now=now)
    services.plan(zone_id=store.zone_id, now=now)
    assert list(models.Offer.objects.filter(store_id=store.id).values_list("shopper_id", flat=True)) == [ids[taker]]


@database
def test_a_turn_asks_for_the_speeds_once_a_minute():
    store = make_store(zone="Counted")
    make_shopper(store.zone_id, point=north(store, 14_000))
    make_waiting_store_order(store=store)
    services.plan(zone_id=store.zone_id, now=NOW)  # a new zone has rows to make
    stored.forget()
    turns = []
    for _ in range(3):
        with counted() as queries:
            services.plan(zone_id=store.zone_id, now=NOW)
        turns.append(queries.by_alias["default"])
    assert turns[0] == turns[1] + 1
    assert turns[1] == turns[2]


def test_who_is_too_far_is_a_matter_of_the_zones_speed():
    def codes(speed):
        zone = zone_plan.Zone(
            stores={17: Point(39.9612, -82.9988)},
            now=NOW,
            early=timedelta(minutes=15),
            travel=replace(zone_plan.ROADS, speed=speed),
            speed=speed,
        )
        made = zone_plan.propose(
            [waiting_order()],
            people(12_000),
            zone=zone,
            until_next=timedelta(seconds=63),
            previous={},
            seconds=0.05,
        )
        return [held.code for held in made.held.values()]

    assert codes(DEFAULT) == ["too_far"]  # 17 minutes
    assert codes(1_000.0) == []  # 13.9
