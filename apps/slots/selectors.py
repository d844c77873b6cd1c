from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from django.db.models import F, Q, QuerySet

import sharding
from apps.common.geo import Point
from apps.common.money import Money
from apps.slots import domain, models
from apps.slots.errors import WindowNotFound
from apps.slots.types import Plan, Stranded, Window
from apps.stores import selectors as stores
from apps.stores.types import Store


def open_windows(*, store_id: int, now: datetime, minutes: int) -> tuple[Window, ...]:
    """Windows that take an order of ``minutes`` at ``now``, soonest first. 2 queries."""
    return open_windows_of(store_ids=[store_id], now=now, minutes=minutes).get(store_id, ())


def open_windows_of(*, store_ids: Collection[int], now: datetime, minutes: int) -> Mapping[int, tuple[Window, ...]]:
    """``open_windows`` of many stores by store id. 1 query per shard that holds one of them, and 1."""
    by_alias: dict[str, list[int]] = {}
    for store_id in sorted(set(store_ids)):
        by_alias.setdefault(sharding.alias_for("store", store_id), []).append(store_id)
    rows: list[models.DeliveryWindow] = []
    for alias, ids in by_alias.items():
        taking = taking_orders(models.DeliveryWindow.objects.using(alias), now=now)
        free = taking.filter(store_id__in=ids, held_minutes__lte=F("capacity_minutes") - minutes)
        rows += free.order_by("store_id", "starts_at", "kind")
    found: dict[int, list[Window]] = {}
    for window in _windows(rows, store_ids):
        found.setdefault(window.store_id, []).append(window)
    return {store_id: tuple(windows) for store_id, windows in found.items()}


def window(*, store_id: int, window_id: int) -> Window:
    """Open or not; raises ``WindowNotFound``, for another store's too. 2 queries."""
    # Pinned: the id of a window elsewhere must not lead there.
    alias = sharding.alias_for("store", store_id)
    rows = models.DeliveryWindow.objects.using(alias).filter(store_id=store_id, pk=window_id)
    found = list(_windows(rows, [store_id]))
    if not found:
        raise WindowNotFound("This store has no such window.")
    return found[0]


def taking_orders(rows: QuerySet[models.DeliveryWindow], *, now: datetime) -> QuerySet[models.DeliveryWindow]:
    """Before their cut-off and not withdrawn; immediate and priority windows take orders only while they run."""
    return rows.filter(Q(kind=domain.SCHEDULED) | Q(starts_at__lte=now), cutoff_at__gt=now, withdrawn_at=None)


def _windows(rows: Iterable[models.DeliveryWindow], store_ids: Collection[int]) -> Iterable[Window]:
    known = stores.stores(store_ids=store_ids)
    for row in rows:
        currency = known[row.store_id].currency if row.store_id in known else "USD"
        yield Window(
            id=row.pk,
            store_id=row.store_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            kind=row.kind,
            fee=Money(row.fee_cents, currency),
            cutoff_at=row.cutoff_at,
            free_minutes=row.capacity_minutes - row.held_minutes,
            is_withdrawn=row.withdrawn_at is not None,
        )


def stranded(*, now: datetime, store_ids: Collection[int] | None = None) -> tuple[Stranded, ...]:
    """Orders in withdrawn windows that are not over, the earliest first: of these stores, or of all.

    1 query for each shard of theirs.
    """
    if store_ids is None:
        aliases = set(sharding.aliases("store"))
    else:
        aliases = {sharding.alias_for("store", store_id) for store_id in store_ids}
    found: list[models.WindowHold] = []
    for alias in sorted(aliases):
        rows = sharding.owned(models.WindowHold.objects, alias).exclude(state=domain.RELEASED)
        rows = rows.filter(window__withdrawn_at__isnull=False, window__ends_at__gt=now).select_related("window")
        found += rows if store_ids is None else rows.filter(store_id__in=store_ids)
    return tuple(
        Stranded(
            order_id=row.order_id, store_id=row.store_id, starts_at=row.window.starts_at, ends_at=row.window.ends_at
        )
        for row in sorted(found, key=lambda row: (row.window.starts_at, row.order_id))
    )


def minutes_needed(*, lines: int, units: Decimal | int, store: Store, door: Point | None) -> int:
    """Shopper-minutes that an order of that many lines and units takes out of its window, the drive included.

    Where no door is known the drive is that to the edge of where the store delivers. No query.
    """
    drive_m = float(store.delivery_radius_m) if door is None else stores.distance_m(store=store, point=door)
    return domain.minutes_needed(lines, units, drive_m=drive_m)


def plan(*, store_id: int) -> Plan:
    """How the store's days are cut; the usual plan for a store that has none of its own. 2 queries, 1 without."""
    row = models.WindowPlan.objects.filter(store_id=store_id).first()
    return Plan() if row is None else row.plan()
