"""Minutes of a window kept for an order, and given back.

Locks are taken in one order: the order's hold, then the window.
"""

from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import F

import sharding
from apps.slots import domain, models, selectors
from apps.slots.errors import WindowClosed, WindowFull, WindowNotFound

REAPED_AT_ONCE = 500
# A second call for the same order waits here for the first, and then has no row to add.
_KEEP = """
    INSERT INTO slots_windowhold (store_id, order_id, window_id, minutes, state, expires_at)
    SELECT store_id, %(order_id)s, id, %(minutes)s, %(state)s, %(expires_at)s FROM slots_deliverywindow
    WHERE store_id = %(store_id)s AND id = %(window_id)s
    ON CONFLICT (store_id, order_id) DO NOTHING
"""


@sharding.repeatable
def hold(*, store_id: int, window_id: int, order_id: int, minutes: int, expires_at: datetime, now: datetime) -> None:
    """Keep ``minutes`` of the window for the order until ``expires_at``, by one guarded UPDATE.

    Repeating it is harmless, whatever has become of the order since; after a release it holds anew.
    2 statements the first time. Raises ``WindowNotFound`` (another store's too), ``WindowClosed``, ``WindowFull``,
    ``HoldDiffers`` for an order that holds something else, ``WindowInvalid``; nothing is held then.
    """
    domain.checked_minutes(minutes)
    home = sharding.home("store", store_id)
    # Pinned: the id of a window elsewhere must not lead there.
    windows = models.DeliveryWindow.objects.using(home.alias).filter(store_id=store_id, pk=window_id)
    holds = models.WindowHold.objects.filter(store_id=store_id, order_id=order_id)
    values: dict[str, Any] = {
        "window_id": window_id,
        "minutes": minutes,
        "state": domain.HELD,
        "expires_at": expires_at,
    }
    with sharding.atomic(home, savepoint=False), connections[home.alias].cursor() as cursor:
        cursor.execute(_KEEP, {"store_id": store_id, "order_id": order_id, **values})
        if not cursor.rowcount:
            held = holds.select_for_update().first()
            if held is None:
                raise WindowNotFound("This store has no such window.")
            if held.state != domain.RELEASED:
                domain.check_same(held.window_id, held.minutes, window_id=window_id, minutes=minutes)
                return
            holds.update(**values)
        taken = selectors.taking_orders(windows, now=now).filter(held_minutes__lte=F("capacity_minutes") - minutes)
        if not taken.update(held_minutes=F("held_minutes") + minutes):
            if selectors.taking_orders(windows, now=now).exists():
                raise WindowFull("This window is full.")
            raise WindowClosed("This window takes no orders now.")


@sharding.repeatable
def confirm(*, store_id: int, order_id: int) -> None:
    """Keep the order's window for good; repeating it changes nothing. Raises ``HoldNotFound``, ``HoldGone``."""
    with sharding.atomic(sharding.home("store", store_id)):
        holds = models.WindowHold.objects.filter(store_id=store_id, order_id=order_id)
        state = holds.select_for_update().values_list("state", flat=True).first()
        if domain.must_confirm(state):
            holds.update(state=domain.CONFIRMED)


@sharding.repeatable
def release(*, store_id: int, order_id: int) -> None:
    """Give the order's minutes back; nothing to do for an order that holds none, or twice."""
    with sharding.atomic(sharding.home("store", store_id)):
        holds = models.WindowHold.objects.filter(store_id=store_id, order_id=order_id)
        held = holds.exclude(state=domain.RELEASED).select_for_update().first()
        if held is None:
            return
        holds.update(state=domain.RELEASED)
        _give_back(held)


def release_expired(*, using: str, now: datetime) -> int:
    """Give back what holds in database ``using`` ran out by ``now``; how many. Locked ones wait for the next time."""
    with sharding.atomic(using):
        expired = list(
            sharding.owned(models.WindowHold.objects, using)
            .filter(state=domain.HELD, expires_at__lte=now)
            .order_by("expires_at", "id")
            .select_for_update(skip_locked=True)[:REAPED_AT_ONCE]
        )
        models.WindowHold.objects.using(using).filter(pk__in=[row.pk for row in expired]).update(state=domain.RELEASED)
        for row in sorted(expired, key=lambda row: row.window_id):
            _give_back(row)
    return len(expired)


def _give_back(held: models.WindowHold) -> None:
    windows = models.DeliveryWindow.objects.filter(store_id=held.store_id, pk=held.window_id)
    windows.update(held_minutes=F("held_minutes") - held.minutes)
