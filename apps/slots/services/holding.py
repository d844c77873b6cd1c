"""Minutes of a window kept for an order, and given back.

Locks are taken in one order: the order's hold, then the window.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import F

import sharding
from apps.slots import domain, models, selectors
from apps.slots.errors import HoldGone, WindowClosed, WindowFull, WindowNotFound

REAPED_AT_ONCE = 500
# A second call for the same order waits here for the first, and then has no row to add.
_KEEP = """
    INSERT INTO slots_windowhold (store_id, order_id, version, window_id, minutes, state, expires_at)
    SELECT store_id, %(order_id)s, %(version)s, id, %(minutes)s, %(state)s, %(expires_at)s FROM slots_deliverywindow
    WHERE store_id = %(store_id)s AND id = %(window_id)s
    ON CONFLICT (store_id, order_id, version) DO NOTHING
"""


@sharding.repeatable
def hold(
    *,
    store_id: int,
    window_id: int,
    order_id: int,
    minutes: int,
    version: int = 1,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Keep ``minutes`` of the window for the order until ``expires_at``, by one guarded UPDATE.

    ``version`` tells the windows of one order apart: 1 for the first, one more for each that it moves to.

    Repeating it is harmless, whatever has become of the order since; after a release it holds anew.
    2 statements the first time. Raises ``WindowNotFound`` (another store's too), ``WindowClosed``, ``WindowFull``,
    ``HoldDiffers`` for a version that holds something else, ``HoldGone`` for one that the order has left for a
    later one, ``WindowInvalid``; nothing is held then.
    """
    domain.checked_minutes(minutes)
    home = sharding.home("store", store_id)
    # Pinned: the id of a window elsewhere must not lead there.
    windows = models.DeliveryWindow.objects.using(home.alias).filter(store_id=store_id, pk=window_id)
    versions = models.WindowHold.objects.filter(store_id=store_id, order_id=order_id)
    holds = versions.filter(version=version)
    values: dict[str, Any] = {
        "window_id": window_id,
        "minutes": minutes,
        "state": domain.HELD,
        "expires_at": expires_at,
    }
    with sharding.atomic(home, savepoint=False), connections[home.alias].cursor() as cursor:
        cursor.execute(_KEEP, {"store_id": store_id, "order_id": order_id, "version": version, **values})
        if not cursor.rowcount:
            held = holds.select_for_update().first()
            if held is None:
                raise WindowNotFound("This store has no such window.")
            if held.state != domain.RELEASED:
                domain.check_same(held.window_id, held.minutes, window_id=window_id, minutes=minutes)
                return
            if versions.filter(version__gt=version, state=domain.CONFIRMED).exists():
                raise HoldGone("The order has another window by now.")
            holds.update(**values)
        taken = selectors.taking_orders(windows, now=now).filter(held_minutes__lte=F("capacity_minutes") - minutes)
        if not taken.update(held_minutes=F("held_minutes") + minutes):
            if selectors.taking_orders(windows, now=now).exists():
                raise WindowFull("This window is full.")
            raise WindowClosed("This window takes no orders now.")


@sharding.repeatable
def confirm(*, store_id: int, order_id: int, version: int = 1) -> None:
    """Keep this window of the order for good, and give the earlier ones back; repeating it changes nothing.

    Nothing to do either where a later one was confirmed meanwhile. Raises ``HoldNotFound``, ``HoldGone``.
    """
    with sharding.atomic(sharding.home("store", store_id)):
        holds = models.WindowHold.objects.filter(store_id=store_id, order_id=order_id)
        rows = {row.version: row for row in holds.order_by("version").select_for_update()}
        if any(later > version and row.state == domain.CONFIRMED for later, row in rows.items()):
            return
        if domain.must_confirm(rows[version].state if version in rows else None):
            holds.filter(version=version).update(state=domain.CONFIRMED)
        _release([row for earlier, row in rows.items() if earlier < version])


@sharding.repeatable
def release(*, store_id: int, order_id: int) -> None:
    """Give all of the order's minutes back; nothing to do for an order that holds none, or twice."""
    with sharding.atomic(sharding.home("store", store_id)):
        holds = models.WindowHold.objects.filter(store_id=store_id, order_id=order_id)
        _release(holds.exclude(state=domain.RELEASED).order_by("version").select_for_update())


@sharding.repeatable
def give_up(*, store_id: int, order_id: int, window_id: int, version: int) -> None:
    """Give back a window that the order was to move to, unless it was confirmed; repeating it changes nothing."""
    with sharding.atomic(sharding.home("store", store_id)):
        holds = models.WindowHold.objects.filter(store_id=store_id, order_id=order_id, version=version)
        _release(holds.filter(window_id=window_id, state=domain.HELD).select_for_update())


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


def _release(locked: Iterable[models.WindowHold]) -> None:
    """Of one order. Windows are locked in the order of their ids, as everywhere."""
    held = [row for row in locked if row.state != domain.RELEASED]
    if held:
        models.WindowHold.objects.filter(store_id=held[0].store_id, pk__in=[row.pk for row in held]).update(
            state=domain.RELEASED
        )
    for row in sorted(held, key=lambda row: row.window_id):
        _give_back(row)


def _give_back(held: models.WindowHold) -> None:
    windows = models.DeliveryWindow.objects.filter(store_id=held.store_id, pk=held.window_id)
    windows.update(held_minutes=F("held_minutes") - held.minutes)
