from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import IntegrityError

import sharding
from apps.common import clock
from apps.common.geo import Point
from apps.common.models import OutboxMessage
from apps.stores import models, selectors, services
from apps.stores.errors import HoursInvalid, RetailerNotFound, StoreInvalid, StoreNotFound, ZoneNotFound
from apps.stores.types import OpeningHours, SpecialDay
from tests.stores.factories import COLUMBUS, make_store

pytestmark = pytest.mark.django_db(databases="__all__")

CLOSED = SpecialDay(date=date(2026, 12, 25), opens=None, closes=None, reason="Christmas")
FIELDS = {
    "name": "Corner Shop",
    "address": "1 High St",
    "city": "Columbus",
    "state": "OH",
    "postcode": "43215",
    "point": COLUMBUS,
    "timezone": "America/New_York",
}


def north(metres: float) -> Point:
    return Point(COLUMBUS.lat + metres / 111_195, COLUMBUS.lng)


def create(code: str = "corner-1", **fields: object) -> int:
    retailer_id = services.create_retailer(name="Corner")
    zone_id = services.create_zone(name="Columbus", point=COLUMBUS, radius_m=60_000)
    values = {"retailer_id": retailer_id, "zone_id": zone_id, "code": code} | FIELDS | fields
    return services.create_store(**values)


def test_a_store_is_made_once() -> None:
    store_id = create()
    assert create(name="Another name") == store_id
    assert selectors.store(store_id=store_id) == selectors.store_by_code(code=" CORNER-1 ")
    assert selectors.store(store_id=store_id).name == "Corner Shop"
    assert models.Store.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"code": "Corner"}, StoreInvalid),
        ({"code": ""}, StoreInvalid),
        ({"timezone": "Ohio"}, StoreInvalid),
        ({"timezone": "../etc/passwd"}, StoreInvalid),
        ({"retailer_id": 404}, RetailerNotFound),
        ({"zone_id": 404}, ZoneNotFound),
    ],
)
def test_a_store_that_cannot_be_is_not_made(wrong: dict[str, object], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        create(**wrong)
    assert not models.Store.objects.exists()


def test_unknown_stores_are_not_found() -> None:
    for ask in (
        lambda: selectors.store(store_id=4),
        lambda: selectors.store_by_code(code="nowhere-1"),
        lambda: services.pause(store_id=4),
        lambda: services.resume(store_id=4),
        lambda: services.set_hours(store_id=4, hours=[]),
        lambda: services.set_special_day(store_id=4, day=CLOSED),
        lambda: services.clear_special_day(store_id=4, date=CLOSED.date),
    ):
        with pytest.raises(StoreNotFound):
            ask()


def test_a_paused_store_can_be_seen_and_resumed() -> None:
    store_id = make_store().id
    for _ in range(2):
        services.pause(store_id=store_id)
        assert selectors.store(store_id=store_id).is_paused
    services.resume(store_id=store_id)
    assert not selectors.store(store_id=store_id).is_paused


def test_a_pause_with_an_end_ends_by_itself() -> None:
    store_id, until = make_store().id, datetime(2026, 3, 2, 12, tzinfo=UTC)
    for moment, is_paused in ((until - timedelta(seconds=1), True), (until, False)):
        with clock.shifted_to(moment):
            services.pause(store_id=store_id, until=until)
            found = selectors.store(store_id=store_id)
            assert (found.is_paused, found.paused_until) == (is_paused, until)
    with clock.shifted_to(until - timedelta(hours=1)):
        services.pause(store_id=store_id)
        assert selectors.store(store_id=store_id).paused_until is None


def test_a_special_day_is_told_and_replaced_and_cleared() -> None:
    store_id, other = make_store().id, make_store().id
    short = replace(CLOSED, opens=time(9), closes=time(14), reason="Christmas Eve")
    for day in (CLOSED, short):
        services.set_special_day(store_id=store_id, day=day)
        assert selectors.special_days(store_id=store_id, since=CLOSED.date) == (day,)
    assert selectors.special_days(store_id=store_id, since=CLOSED.date + timedelta(days=1)) == ()
    assert selectors.special_days(store_id=other, since=CLOSED.date) == ()
    for _ in range(2):
        services.clear_special_day(store_id=store_id, date=CLOSED.date)
    assert selectors.special_days(store_id=store_id, since=CLOSED.date) == ()
    told = OutboxMessage.objects.using("default").filter(name="stores.hours_changed")
    assert [message.payload for message in told] == [{"store_id": store_id}] * 3


def test_half_a_special_day_is_refused_everywhere() -> None:
    store_id = make_store().id
    with pytest.raises(HoursInvalid):
        services.set_special_day(store_id=store_id, day=replace(CLOSED, opens=time(9)))
    with pytest.raises(IntegrityError), sharding.atomic("default"):
        models.SpecialDay.objects.create(store_id=store_id, date=CLOSED.date, closes=time(9))
    assert selectors.special_days(store_id=store_id, since=CLOSED.date) == ()
    assert not OutboxMessage.objects.using("default").filter(name="stores.hours_changed").exists()


def test_the_week_is_set_as_a_whole() -> None:
    store_id = make_store().id
    week = (
        OpeningHours(weekday=0, opens=time(9), closes=time(18)),
        OpeningHours(weekday=5, opens=time(22), closes=time(2)),
    )
    services.set_hours(store_id=store_id, hours=tuple(reversed(week)))
    assert selectors.opening_hours(store_id=store_id) == week


@pytest.mark.parametrize("weekdays", [[0, 0], [7], [-1]])
def test_a_week_that_cannot_be_leaves_the_old_one(weekdays: list[int]) -> None:
    store_id = make_store().id
    before = selectors.opening_hours(store_id=store_id)
    with pytest.raises(HoursInvalid):
        services.set_hours(
            store_id=store_id, hours=[OpeningHours(weekday=day, opens=time(9), closes=time(18)) for day in weekdays]
        )
    assert selectors.opening_hours(store_id=store_id) == before
    assert len(before) == 7


def test_stores_that_deliver_are_listed_nearest_first() -> None:
    far = make_store(point=north(9_000), delivery_radius_m=9_500)
    near = make_store(point=north(1_000), delivery_radius_m=2_000)
    make_store(point=north(3_000), delivery_radius_m=2_900)
    assert [store.id for store in selectors.stores_delivering_to(point=COLUMBUS)] == [near.id, far.id]


@pytest.mark.parametrize("lng", [179.95, -179.95, 0.0])
@pytest.mark.parametrize("lat", [0.0, 65.0, 89.9, -89.9])
def test_the_sieve_of_the_database_lets_every_store_through_that_delivers(lat: float, lng: float) -> None:
    """Also at the date line and next to a pole, where degrees of longitude shrink to nothing."""
    store = make_store(point=Point(lat, lng), delivery_radius_m=12_000)
    other_lng = (lng + (0.1 if lng >= 0 else -0.1) + 540) % 360 - 180
    for point in (Point(lat, lng), Point(lat, other_lng)):
        assert [found.id for found in selectors.stores_delivering_to(point=point)] == [store.id]


def test_zones_and_their_stores() -> None:
    first, second, elsewhere = make_store(), make_store(), make_store(zone="Dayton")
    assert [zone.name for zone in selectors.zones()] == ["Columbus", "Dayton"]
    assert [store.id for store in selectors.stores_of_zone(zone_id=first.zone_id)] == [first.id, second.id]
    assert [store.id for store in selectors.stores_of_zone(zone_id=elsewhere.zone_id)] == [elsewhere.id]
    assert selectors.stores_of_zone(zone_id=0) == ()


def test_lists_take_one_query(django_assert_num_queries: Callable[..., object]) -> None:
    stores = [make_store() for _ in range(5)]
    ids = [store.id for store in stores]
    for ask in (
        lambda: selectors.stores(store_ids=[*ids, 4]),
        lambda: selectors.stores_delivering_to(point=COLUMBUS),
        lambda: selectors.stores_of_zone(zone_id=stores[0].zone_id),
        lambda: selectors.opening_hours_of(store_ids=ids),
    ):
        with django_assert_num_queries(1):
            assert len(ask()) == 5
    with django_assert_num_queries(1):
        selectors.zones()
