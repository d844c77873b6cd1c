"""Many customers want the last minutes of a window at the same moment."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from apps.slots import models, selectors, services
from apps.slots.errors import WindowFull
from apps.slots.types import Window
from tests.slots.factories import make_window
from tests.stores.factories import make_store
from tests.threads import at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=10)
TOMORROW = NOW + timedelta(days=1)


def customer(window: Window, order_id: int, minutes: int) -> Callable[[], str]:
    def choose() -> str:
        try:
            services.hold(
                store_id=window.store_id,
                window_id=window.id,
                order_id=order_id,
                minutes=minutes,
                expires_at=SOON,
                now=NOW,
            )
        except WindowFull:
            return "full"
        return "held"

    return choose


def test_a_window_for_five_orders_takes_five_of_fifty() -> None:
    store_id = make_store().id
    for round_ in range(3):
        window = make_window(store_id, starts_at=TOMORROW + timedelta(hours=round_), capacity_minutes=100)
        jobs = [customer(window, round_ * 1000 + n, 20) for n in range(1, 51)]
        assert at_once(jobs) == {"held": 5, "full": 45}
        assert selectors.window(store_id=store_id, window_id=window.id).free_minutes == 0
        assert models.WindowHold.objects.filter(store_id=store_id, window=window.id).count() == 5


def test_one_order_that_asks_many_times_at_once_gets_the_last_minutes_once() -> None:
    window = make_window(make_store().id, starts_at=TOMORROW, capacity_minutes=20)
    assert at_once([customer(window, 7, 20)] * 12) == {"held": 12}
    assert selectors.window(store_id=window.store_id, window_id=window.id).free_minutes == 0


def test_release_and_reaper_at_once_give_back_once() -> None:
    window = make_window(make_store().id, starts_at=TOMORROW, capacity_minutes=100)
    customer(window, 7, 20)()
    alias = models.DeliveryWindow.objects.get(pk=window.id)._state.db
    assert alias is not None

    def release() -> str:
        services.release(store_id=window.store_id, order_id=7)
        return "done"

    def reap() -> str:
        services.release_expired(using=alias, now=SOON)
        return "done"

    assert at_once([release, reap] * 6) == {"done": 12}
    assert selectors.window(store_id=window.store_id, window_id=window.id).free_minutes == 100
