"""A store's windows, made from its hours and its plan."""

from datetime import date, datetime, timedelta

import sharding
from apps.slots import domain, models, selectors
from apps.slots.types import Plan, PlannedWindow
from apps.stores import selectors as stores

_LONGEST = timedelta(days=1)
"""No window is longer."""


@sharding.repeatable
def open_windows(
    *, store_id: int, first_day: date, days: int = domain.DAYS_AHEAD, plan: Plan | None = None, now: datetime
) -> int:
    """Open the windows of ``days`` days, by the store's hours, special days and clock; how many were new.

    By the store's own plan unless another is given. Windows that are there already are left alone, and none
    is opened that is over by ``now`` or lies across another of its kind, so repeating it is harmless.
    5 queries (7 by the store's own plan), however many windows. Raises ``StoreNotFound``, ``WindowInvalid``.
    """
    plan = plan or selectors.plan(store_id=store_id)
    domain.checked_plan(plan, days=days)
    store = stores.store(store_id=store_id)
    planned = domain.windows(
        hours=stores.opening_hours(store_id=store_id),
        special_days=stores.special_days(store_id=store_id, since=first_day - timedelta(days=1)),
        timezone=store.timezone,
        first_day=first_day,
        days=days,
        plan=plan,
    )
    coming = [window for window in planned if window.ends_at > now]
    if not coming:
        return 0
    first, last = min(window.starts_at for window in coming), max(window.ends_at for window in coming)
    with sharding.atomic(sharding.home("store", store_id)):
        there = models.DeliveryWindow.objects.filter(
            store_id=store_id, starts_at__gt=first - _LONGEST, starts_at__lt=last
        )
        taken = domain.Taken()
        known = set()
        for row in there.order_by("starts_at", "pk"):
            known.add((row.kind, row.starts_at))
            if row.withdrawn_at is None:
                taken.add(row.kind, row.starts_at, row.ends_at, row.cutoff_at)
        new = [
            _row(store_id, window)
            for window in coming
            if (window.kind, window.starts_at) not in known
            and taken.add(window.kind, window.starts_at, window.ends_at, window.cutoff_at)
        ]
        models.DeliveryWindow.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def _row(store_id: int, window: PlannedWindow) -> models.DeliveryWindow:
    return models.DeliveryWindow(
        store_id=store_id,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        kind=window.kind,
        capacity_minutes=window.capacity_minutes,
        cutoff_at=window.cutoff_at,
        fee_cents=window.fee_cents,
    )


@sharding.repeatable
def follow_hours(*, store_id: int, now: datetime) -> tuple[int, int]:
    """Withdraw the windows in which the store is closed by its hours of now, offer others again; how many of each.

    A withdrawn window takes no new orders; the orders in it stay, and ``selectors.stranded`` lists them. Where
    the store opens at new hours, ``open_windows`` has to follow. Repeating it is harmless. Raises ``StoreNotFound``.
    """
    store = stores.store(store_id=store_id)
    first_day = now.date() - timedelta(days=2)  # a night that began yesterday, west of Greenwich
    hours = stores.opening_hours(store_id=store_id)
    special_days = stores.special_days(store_id=store_id, since=first_day)
    with sharding.atomic(sharding.home("store", store_id)):
        coming = models.DeliveryWindow.objects.filter(store_id=store_id, ends_at__gt=now).order_by("pk")
        rows = list(coming)
        last_day = max((row.ends_at for row in rows), default=now).date()
        opened = domain.openings(
            hours=hours,
            special_days=special_days,
            timezone=store.timezone,
            first_day=first_day,
            days=(last_day - first_day).days + 2,
        )
        taken, closed, again = domain.Taken(), [], []
        for row in sorted(rows, key=lambda row: (row.withdrawn_at is not None, row.starts_at, row.pk)):
            if not domain.is_within(opened, row.starts_at, row.ends_at):
                closed += [] if row.withdrawn_at else [row.pk]
            elif taken.add(row.kind, row.starts_at, row.ends_at, row.cutoff_at) and row.withdrawn_at:
                again.append(row.pk)
        withdrawn = coming.filter(pk__in=closed).update(withdrawn_at=now)
        offered = coming.filter(pk__in=again).update(withdrawn_at=None)
    return withdrawn, offered
