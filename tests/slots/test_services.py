from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

import sharding
from apps.common.geo import Point
from apps.common.money import Money
from apps.slots import domain, models, selectors, services, tasks
from apps.slots.errors import (
    HoldDiffers,
    HoldGone,
    HoldNotFound,
    WindowClosed,
    WindowFull,
    WindowInvalid,
    WindowNotFound,
)
from apps.slots.types import Plan, Window
from apps.stores.errors import StoreNotFound
from tests.slots.factories import make_window
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)  # Monday, 7 o'clock in Columbus
SOON = NOW + timedelta(minutes=10)
TOMORROW = NOW + timedelta(days=1)
ORDER = 4_711


@pytest.fixture
def window() -> Window:
    return make_window(make_store().id, starts_at=TOMORROW, capacity_minutes=60)


def hold(window: Window, *, minutes: int = 20, order_id: int = ORDER, now: datetime = NOW) -> None:
    services.hold(
        store_id=window.store_id, window_id=window.id, order_id=order_id, minutes=minutes, expires_at=SOON, now=now
    )


def free(window: Window) -> int:
    return selectors.window(store_id=window.store_id, window_id=window.id).free_minutes


def states(window: Window) -> list[str]:
    return list(models.WindowHold.objects.filter(store_id=window.store_id).values_list("state", flat=True))


def test_a_week_of_windows_is_opened_once() -> None:
    store = make_store(opens=time(9), closes=time(12))
    first = {"store_id": store.id, "first_day": date(2026, 1, 5), "days": 7, "now": NOW}
    assert services.open_windows(**first) == 7 * (3 + 2 + 4)  # scheduled, immediate and priority ones
    assert services.open_windows(**first) == 0
    found = selectors.open_windows(store_id=store.id, now=NOW, minutes=10)
    assert [w.kind for w in found] == ["scheduled"] * 21  # immediate ones take no orders before they run
    assert found[0] == Window(
        id=found[0].id,
        store_id=store.id,
        starts_at=datetime(2026, 1, 5, 14, tzinfo=UTC),
        ends_at=datetime(2026, 1, 5, 15, tzinfo=UTC),
        kind="scheduled",
        fee=Money(399),
        cutoff_at=datetime(2026, 1, 5, 13, tzinfo=UTC),
        free_minutes=600,
    )


def test_windows_that_are_over_are_not_opened() -> None:
    store = make_store(opens=time(9), closes=time(12))
    late = datetime(2026, 1, 5, 16, tzinfo=UTC)  # 11 o'clock: one scheduled, one immediate, two priority ones are left
    assert services.open_windows(store_id=store.id, first_day=date(2026, 1, 5), days=1, now=late) == 4
    found = selectors.open_windows(store_id=store.id, now=late, minutes=10)
    assert found == ()  # the scheduled one runs, the others take orders only until the next one starts


def test_the_running_hour_is_delivered_immediately() -> None:
    store = make_store(opens=time(9), closes=time(22))
    at = datetime(2026, 1, 5, 15, 30, tzinfo=UTC)
    services.open_windows(store_id=store.id, first_day=date(2026, 1, 5), days=1, now=at)
    found = selectors.open_windows(store_id=store.id, now=at, minutes=10)
    assert [(w.kind, w.starts_at.hour, w.ends_at.hour) for w in found[:2]] == [
        ("immediate", 15, 17),
        ("priority", 15, 16),
    ]
    assert [w.kind for w in found[2:]] == ["scheduled"] * len(found[2:])


def test_a_store_has_windows_by_its_own_plan() -> None:
    store, other = make_store(opens=time(9), closes=time(12)), make_store(opens=time(9), closes=time(12))
    row = models.WindowPlan.objects.create(
        store_id=store.id, length_minutes=90, fee_cents=250, shoppers=4, immediate_length_minutes=0, priority_percent=0
    )
    row.shifts.create(weekday=0, from_hour=9, to_hour=10, shoppers=1)
    for each in (store, other):
        services.open_windows(store_id=each.id, first_day=date(2026, 1, 5), days=1, now=NOW)
    found = selectors.open_windows(store_id=store.id, now=NOW, minutes=1)
    assert [(w.starts_at.hour, w.fee, w.free_minutes) for w in found] == [
        (14, Money(250), (60 + 4 * 30) * 60 // 100),
        (15, Money(250), 4 * 90 * 60 // 100),
    ]
    assert [w.free_minutes for w in selectors.open_windows(store_id=other.id, now=NOW, minutes=1)] == [600] * 3


@pytest.mark.parametrize(
    "columns", [{"length_minutes": 14}, {"immediate_percent": 91}, {"priority_percent": 61}, {"shoppers": -1}]
)
def test_a_plan_that_cannot_be_kept_is_refused_by_the_database_and_the_form(columns: dict[str, int]) -> None:
    row = models.WindowPlan(store_id=4, **columns)
    with pytest.raises(ValidationError):
        row.full_clean()
    with pytest.raises(IntegrityError), sharding.atomic("default"):
        row.save()
    assert not models.WindowPlan.objects.exists()


@pytest.mark.parametrize("hours", [(3, 3), (5, 4), (20, 25)])
def test_a_shift_that_does_not_last_is_refused_by_the_database(hours: tuple[int, int]) -> None:
    row = models.WindowPlan.objects.create(store_id=4)
    with pytest.raises(IntegrityError), sharding.atomic("default"):
        row.shifts.create(weekday=0, from_hour=hours[0], to_hour=hours[1], shoppers=1)
    assert not row.shifts.exists()


def test_a_long_drive_takes_the_shoppers_time() -> None:
    store = make_store()
    north = Point(store.point.lat + 0.09, store.point.lng)  # ten kilometres
    needed = [selectors.minutes_needed(lines=10, units=25, store=store, door=door) for door in (store.point, north)]
    assert needed == [29, 42]
    edge = selectors.minutes_needed(lines=10, units=25, store=store, door=None)
    assert edge == domain.minutes_needed(10, 25, drive_m=store.delivery_radius_m)


def test_a_store_without_hours_has_no_windows() -> None:
    store = make_store(opens=None)
    assert services.open_windows(store_id=store.id, first_day=date(2026, 1, 5), now=NOW) == 0
    assert selectors.open_windows(store_id=store.id, now=NOW, minutes=10) == ()


def test_windows_of_an_unknown_store_or_without_sense_are_refused() -> None:
    with pytest.raises(StoreNotFound):
        services.open_windows(store_id=4, first_day=date(2026, 1, 5), now=NOW)
    store = make_store()
    with pytest.raises(WindowInvalid):
        services.open_windows(store_id=store.id, first_day=date(2026, 1, 5), plan=Plan(length_minutes=1), now=NOW)
    assert not models.DeliveryWindow.objects.filter(store_id=store.id).exists()


def test_a_hold_takes_minutes_once(window: Window) -> None:
    for _ in range(2):
        hold(window)
        assert (free(window), states(window)) == (40, ["held"])


def test_a_window_takes_orders_until_it_is_full(window: Window) -> None:
    hold(window, minutes=60)
    with pytest.raises(WindowFull):
        hold(window, minutes=1, order_id=ORDER + 1)
    assert (free(window), states(window)) == (0, ["held"])


def test_a_window_takes_orders_until_its_cut_off(window: Window) -> None:
    hold(window, now=window.cutoff_at - timedelta(microseconds=1))
    with pytest.raises(WindowClosed):
        hold(window, order_id=ORDER + 1, now=window.cutoff_at)
    assert (free(window), states(window)) == (40, ["held"])


def test_an_immediate_window_takes_orders_while_it_runs() -> None:
    window = make_window(make_store().id, starts_at=TOMORROW, kind="immediate")
    with pytest.raises(WindowClosed):
        hold(window, now=TOMORROW - timedelta(microseconds=1))
    assert states(window) == []
    hold(window, now=TOMORROW)
    assert states(window) == ["held"]


def test_the_window_of_another_store_is_not_found(window: Window) -> None:
    others = [make_store(), make_store()]  # on the same shard or not
    for other in others:
        with pytest.raises(WindowNotFound):
            services.hold(store_id=other.id, window_id=window.id, order_id=ORDER, minutes=20, expires_at=SOON, now=NOW)
        with pytest.raises(WindowNotFound):
            selectors.window(store_id=other.id, window_id=window.id)
        assert not models.WindowHold.objects.filter(store_id=other.id).exists()
    assert free(window) == 60


def test_an_order_holds_one_window(window: Window) -> None:
    other = make_window(window.store_id, starts_at=TOMORROW + timedelta(hours=1))
    hold(window)
    with pytest.raises(HoldDiffers):
        hold(other)
    with pytest.raises(HoldDiffers):
        hold(window, minutes=21)
    assert (free(window), free(other)) == (40, 600)


@pytest.mark.parametrize("minutes", [0, -1, 1441])
def test_minutes_without_sense_hold_nothing(window: Window, minutes: int) -> None:
    with pytest.raises(WindowInvalid):
        hold(window, minutes=minutes)
    assert (free(window), states(window)) == (60, [])


def test_release_gives_the_minutes_back_once_and_the_order_may_choose_again(window: Window) -> None:
    other = make_window(window.store_id, starts_at=TOMORROW + timedelta(hours=1))
    hold(window)
    for _ in range(2):
        services.release(store_id=window.store_id, order_id=ORDER)
        assert (free(window), states(window)) == (60, ["released"])
    hold(other)
    assert (free(window), free(other), states(window)) == (60, 580, ["held"])


def test_release_of_nothing_is_harmless(window: Window) -> None:
    services.release(store_id=window.store_id, order_id=ORDER)
    assert free(window) == 60


def test_a_confirmed_window_does_not_run_out_but_can_be_released(window: Window) -> None:
    hold(window)
    for _ in range(2):
        services.confirm(store_id=window.store_id, order_id=ORDER)
    alias = sharding.alias_for("store", window.store_id)
    assert services.release_expired(using=alias, now=SOON + timedelta(days=1)) == 0
    assert (free(window), states(window)) == (40, ["confirmed"])
    services.release(store_id=window.store_id, order_id=ORDER)
    assert (free(window), states(window)) == (60, ["released"])


def test_only_what_is_held_is_confirmed(window: Window) -> None:
    with pytest.raises(HoldNotFound):
        services.confirm(store_id=window.store_id, order_id=ORDER)
    hold(window)
    services.release(store_id=window.store_id, order_id=ORDER)
    with pytest.raises(HoldGone):
        services.confirm(store_id=window.store_id, order_id=ORDER)
    assert states(window) == ["released"]


def test_the_reaper_frees_what_ran_out(window: Window) -> None:
    hold(window)
    hold(window, order_id=ORDER + 1, minutes=10)
    alias = sharding.alias_for("store", window.store_id)
    assert services.release_expired(using=alias, now=SOON - timedelta(microseconds=1)) == 0
    assert free(window) == 30
    assert services.release_expired(using=alias, now=SOON) == 2
    assert services.release_expired(using=alias, now=SOON) == 0
    assert (free(window), states(window)) == (60, ["released", "released"])


def test_the_hourly_task_opens_windows_on_every_shard() -> None:
    stores = [make_store(zone="A"), make_store(zone="B"), make_store(zone="A")]
    tasks.open_windows()
    counts = [models.DeliveryWindow.objects.filter(store_id=store.id).count() for store in stores]
    assert min(counts) > 14 * 7
    tasks.open_windows()
    assert [models.DeliveryWindow.objects.filter(store_id=store.id).count() for store in stores] == counts


def test_lists_ask_once_per_shard_however_long_they_are(django_assert_num_queries: Callable[..., object]) -> None:
    stores = [make_store(opens=time(9), closes=time(12)) for _ in range(6)]
    for store in stores:
        services.open_windows(store_id=store.id, first_day=date(2026, 1, 5), now=NOW)
    ids = [store.id for store in stores]
    shards = {sharding.alias_for("store", store_id) for store_id in ids}
    assert len(shards) > 1
    with django_assert_num_queries(1, using="default"):
        found = selectors.open_windows_of(store_ids=ids, now=NOW, minutes=10)
    assert {store_id: len(windows) for store_id, windows in found.items()} == dict.fromkeys(ids, 21)
    for alias in shards:
        with django_assert_num_queries(1, using=alias):
            selectors.open_windows_of(store_ids=ids, now=NOW, minutes=10)
