from datetime import timedelta

import pytest

import sharding
from apps.common.geo import Point
from apps.shoppers import errors, models, presence, selectors, services
from tests.presence import forget_everybody
from tests.queries import counted
from tests.shoppers.factories import DOWNTOWN, NOW, make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")

ZONE = 7
NORTH = Point(40.0456, -83.0123)


def available_ids(zone_id=ZONE, now=NOW):
    return [found.shopper_id for found in selectors.available(zone_id=zone_id, now=now)]


def near(point, other, tolerance=0.00001):
    return abs(point.lat - other.lat) < tolerance and abs(point.lng - other.lng) < tolerance


@pytest.fixture
def dead_redis(settings):
    """Redis that refuses every connection."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    presence._redis.cache_clear()
    yield
    presence._redis.cache_clear()


def test_who_goes_online_is_available_where_they_are():
    shopper = make_shopper(ZONE, point=NORTH)
    (found,) = selectors.available(zone_id=ZONE, now=NOW)
    assert found.shopper_id == shopper
    assert near(found.point, NORTH)


def test_shoppers_of_another_zone_or_offline_are_not_available():
    make_shopper(8)
    make_shopper(ZONE, online=False)
    gone = make_shopper(ZONE)
    services.go_offline(shopper_id=gone)
    assert available_ids() == []


def test_a_paused_shopper_is_neither_available_nor_let_online():
    shopper = make_shopper(ZONE)
    services.pause(shopper_id=shopper)
    assert available_ids() == []
    with pytest.raises(errors.ShopperPaused):
        services.go_online(shopper_id=shopper, point=DOWNTOWN, now=NOW)


def test_going_online_twice_keeps_the_start_of_the_shift():
    shopper = make_shopper(ZONE)
    services.go_online(shopper_id=shopper, point=NORTH, now=NOW + timedelta(minutes=5))
    assert selectors.shopper(shopper_id=shopper).online_since == NOW


def test_the_silent_drop_out_after_three_minutes_and_come_back_with_a_report():
    shopper = make_shopper(ZONE)
    later = NOW + timedelta(minutes=3)
    assert available_ids(now=later - timedelta(seconds=1)) == [shopper]
    assert available_ids(now=later) == []
    services.report_position(shopper_id=shopper, point=NORTH, now=later)
    assert available_ids(now=later) == [shopper]


def test_an_older_report_does_not_move_anybody_back():
    shopper = make_shopper(ZONE)
    services.report_position(shopper_id=shopper, point=NORTH, now=NOW + timedelta(seconds=20))
    old = NOW + timedelta(seconds=10)
    services.report_position(shopper_id=shopper, point=DOWNTOWN, at=old, now=NOW + timedelta(seconds=21))
    assert near(selectors.position(shopper_id=shopper, now=NOW + timedelta(seconds=21)), NORTH)


def test_an_hour_of_positions_replayed_says_nothing():
    shopper = make_shopper(ZONE, point=NORTH)
    is_used = services.report_position(shopper_id=shopper, point=DOWNTOWN, at=NOW - timedelta(hours=1), now=NOW)
    assert is_used is False
    assert near(selectors.position(shopper_id=shopper, now=NOW), NORTH)


def test_the_database_keeps_a_position_once_a_minute_and_coarsely(django_assert_num_queries):
    shopper = make_shopper(ZONE)
    row = models.Shopper.objects.get(pk=shopper)
    with django_assert_num_queries(1, using=row._state.db):
        services.report_position(shopper_id=shopper, point=NORTH, now=NOW + timedelta(seconds=59))
    row.refresh_from_db()
    assert (row.last_lat, row.last_lng, row.last_seen_at) == (39.961, -82.999, NOW)
    with django_assert_num_queries(2, using=row._state.db):
        services.report_position(shopper_id=shopper, point=NORTH, now=NOW + timedelta(seconds=60))
    row.refresh_from_db()
    assert (row.last_lat, row.last_lng) == (40.046, -83.012)


def test_offline_shoppers_report_no_position():
    shopper = make_shopper(ZONE, online=False)
    with pytest.raises(errors.ShopperOffline):
        services.report_position(shopper_id=shopper, point=NORTH, now=NOW)
    assert selectors.position(shopper_id=shopper, now=NOW) is None


def test_without_redis_the_databases_say_who_is_there(dead_redis):
    shoppers = sorted(make_shopper(ZONE, point=NORTH) for _ in range(4))
    found = selectors.available(zone_id=ZONE, now=NOW)
    assert [shopper.shopper_id for shopper in found] == shoppers
    assert {shopper.point for shopper in found} == {Point(40.046, -83.012)}
    assert selectors.position(shopper_id=shoppers[0], now=NOW) == Point(40.046, -83.012)


def test_a_redis_that_forgot_is_filled_from_the_databases_at_once():
    shoppers = sorted(make_shopper(ZONE) for _ in range(4))
    assert available_ids() == shoppers
    forget_everybody()
    services.report_position(shopper_id=shoppers[0], point=NORTH, now=NOW)  # one report must not look like everybody
    assert available_ids() == shoppers
    assert presence.in_zone(zone_id=ZONE, now=NOW).keys() == set(shoppers)


def test_a_refill_does_not_overwrite_a_newer_report():
    shopper = make_shopper(ZONE)
    forget_everybody()
    services.report_position(shopper_id=shopper, point=NORTH, now=NOW + timedelta(seconds=5))
    assert available_ids(now=NOW + timedelta(seconds=5)) == [shopper]
    assert near(selectors.position(shopper_id=shopper, now=NOW + timedelta(seconds=5)), NORTH)


def test_asking_who_is_available_costs_three_queries_a_shard():
    for _ in range(4):
        make_shopper(ZONE)
    available_ids()
    with counted() as few:
        available_ids()
    for _ in range(8):
        make_shopper(ZONE)
    with counted() as many:
        assert len(available_ids()) == 12
    assert few.by_alias == dict.fromkeys(sharding.aliases("shopper"), 3)
    assert many.by_alias == few.by_alias


def test_abandoned_shifts_end_after_half_an_hour():
    shopper = make_shopper(ZONE)
    alias = models.Shopper.objects.get(pk=shopper)._state.db
    assert services.end_abandoned_shifts(using=alias, now=NOW + timedelta(minutes=29)) == 0
    assert services.end_abandoned_shifts(using=alias, now=NOW + timedelta(minutes=30)) == 1
    assert selectors.shopper(shopper_id=shopper).is_online is False
