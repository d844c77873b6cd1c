"""Hours that change after windows were opened, and orders that are in them."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from apps.common import clock, outbox
from apps.slots import models, selectors, services
from apps.slots.errors import WindowClosed
from apps.stores import services as stores
from apps.stores.types import OpeningHours, SpecialDay
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)  # Monday, 7 o'clock in Columbus
TUESDAY = date(2026, 1, 6)


@pytest.fixture(autouse=True)
def on_that_monday():
    with clock.shifted_to(NOW):
        yield


@pytest.fixture
def store():
    store = make_store(opens=time(9), closes=time(12))
    services.open_windows(store_id=store.id, first_day=date(2026, 1, 5), days=2, now=NOW)
    return store


def offered(store, kind="scheduled"):
    """Local starts, as day and hour."""
    zone = timedelta(hours=-5)
    rows = models.DeliveryWindow.objects.filter(store_id=store.id, kind=kind, withdrawn_at=None).order_by("starts_at")
    return [f"{row.starts_at + zone:%d %H:%M}" for row in rows if row.starts_at < NOW + timedelta(days=2)]


def hold(store, window, order_id):
    services.hold(
        store_id=store.id,
        window_id=window.id,
        order_id=order_id,
        minutes=20,
        expires_at=NOW + timedelta(minutes=10),
        now=NOW,
    )


def of_tuesday(store):
    return [w for w in selectors.open_windows(store_id=store.id, now=NOW, minutes=1) if w.starts_at.day == 6]


def test_a_day_that_becomes_closed_loses_its_windows_and_names_its_orders(store):
    other = make_store(opens=time(9), closes=time(12))
    services.open_windows(store_id=other.id, first_day=date(2026, 1, 5), days=2, now=NOW)
    first, second = of_tuesday(store)[:2]
    hold(store, second, 72)
    hold(store, first, 71)
    hold(store, first, 73)
    services.release(store_id=store.id, order_id=73)
    hold(other, of_tuesday(other)[0], 74)
    assert selectors.stranded(now=NOW) == ()

    stores.set_special_day(store_id=store.id, day=SpecialDay(date=TUESDAY, opens=None, closes=None))
    outbox.drain()

    assert not [start for start in offered(store) if start.startswith("06")]
    assert offered(other)[3:6] == ["06 09:00", "06 10:00", "06 11:00"]
    with pytest.raises(WindowClosed):
        hold(store, first, 75)
    found = selectors.stranded(now=NOW)
    assert [(order.order_id, order.store_id, order.starts_at) for order in found] == [
        (71, store.id, first.starts_at),
        (72, store.id, second.starts_at),
    ]
    assert selectors.stranded(now=NOW, store_ids=[store.id]) == found
    assert selectors.stranded(now=NOW, store_ids=[other.id]) == ()
    assert selectors.stranded(now=second.ends_at) == ()
    services.confirm(store_id=store.id, order_id=71)  # what was promised is kept
    assert selectors.window(store_id=store.id, window_id=first.id).free_minutes == 580


def test_a_day_that_opens_again_has_its_windows_back_once(store):
    before = offered(store)
    for day in (
        SpecialDay(date=TUESDAY, opens=None, closes=None),
        SpecialDay(date=TUESDAY, opens=time(10), closes=time(12)),
    ):
        stores.set_special_day(store_id=store.id, day=day)
        outbox.drain()
    assert [start for start in offered(store) if start.startswith("06")] == ["06 10:00", "06 11:00"]
    stores.clear_special_day(store_id=store.id, date=TUESDAY)
    outbox.drain()
    assert [start for start in offered(store) if start[:2] in ("05", "06")] == before


def test_hours_that_begin_at_half_past_leave_no_two_windows_over_each_other(store):
    stores.set_special_day(store_id=store.id, day=SpecialDay(date=TUESDAY, opens=time(8, 30), closes=time(11, 30)))
    outbox.drain()
    assert [start for start in offered(store) if start.startswith("06")] == ["06 09:00", "06 10:00"]
    stores.set_special_day(store_id=store.id, day=SpecialDay(date=TUESDAY, opens=time(9, 30), closes=time(11, 30)))
    outbox.drain()
    assert [start for start in offered(store) if start.startswith("06")] == ["06 10:00"]
    stores.set_special_day(store_id=store.id, day=SpecialDay(date=TUESDAY, opens=time(12, 30), closes=time(14, 30)))
    outbox.drain()
    assert [start for start in offered(store) if start.startswith("06")] == ["06 12:30", "06 13:30"]
    stores.clear_special_day(store_id=store.id, date=TUESDAY)
    outbox.drain()
    assert [start for start in offered(store) if start.startswith("06")] == ["06 09:00", "06 10:00", "06 11:00"]


def test_a_changed_week_counts_for_windows_that_are_open(store):
    week = [OpeningHours(weekday=weekday, opens=time(10), closes=time(11)) for weekday in range(7)]
    stores.set_hours(store_id=store.id, hours=week)
    outbox.drain()
    assert [start for start in offered(store) if start[:2] in ("05", "06")] == ["05 10:00", "06 10:00"]
    assert services.follow_hours(store_id=store.id, now=NOW) == (0, 0)


def test_what_is_over_is_left_alone(store):
    late = NOW + timedelta(days=3)
    stores.set_special_day(store_id=store.id, day=SpecialDay(date=TUESDAY, opens=None, closes=None))
    assert services.follow_hours(store_id=store.id, now=late) == (0, 0)
    assert len(offered(store)) == 6
