"""A store's windows, made from its hours and its plan."""

from datetime import date, datetime

import sharding
from apps.slots import domain, models, selectors
from apps.slots.types import Plan
from apps.stores import selectors as stores


@sharding.repeatable
def open_windows(
    *, store_id: int, first_day: date, days: int = domain.DAYS_AHEAD, plan: Plan | None = None, now: datetime
) -> int:
    """Open the windows of ``days`` days, by the store's hours and clock; how many were new.

    By the store's own plan unless another is given. Windows that are there already, or over by ``now``,
    are left alone, so repeating it is harmless. Raises ``StoreNotFound``, ``WindowInvalid``. 4 queries (6
    by the store's own plan), however many windows.
    """
    plan = plan or selectors.plan(store_id=store_id)
    domain.checked_plan(plan, days=days)
    store = stores.store(store_id=store_id)
    planned = domain.windows(
        hours=stores.opening_hours(store_id=store_id),
        timezone=store.timezone,
        first_day=first_day,
        days=days,
        plan=plan,
    )
    rows = [
        models.DeliveryWindow(
            store_id=store_id,
            starts_at=window.starts_at,
            ends_at=window.ends_at,
            kind=window.kind,
            capacity_minutes=window.capacity_minutes,
            cutoff_at=window.cutoff_at,
            fee_cents=window.fee_cents,
        )
        for window in planned
        if window.ends_at > now
    ]
    with sharding.atomic(sharding.home("store", store_id)):
        there = set(
            models.DeliveryWindow.objects.filter(
                store_id=store_id, starts_at__in={row.starts_at for row in rows}
            ).values_list("kind", "starts_at")
        )
        new = [row for row in rows if (row.kind, row.starts_at) not in there]
        models.DeliveryWindow.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)
