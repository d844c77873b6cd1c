"""Confirmed orders arrive at their store, and canceled ones leave it."""

from collections.abc import Sequence
from datetime import datetime

import sharding
from apps.catalog import selectors as catalog
from apps.common import inbox, outbox
from apps.common.geo import Point
from apps.fulfilment import domain, models
from apps.fulfilment.domain import Status
from apps.fulfilment.errors import StoreOrderNotFound
from apps.fulfilment.events import StoreOrderCanceled
from apps.fulfilment.services import stages
from apps.fulfilment.types import NewLine
from apps.stores import selectors as stores
from apps.stores.types import Store


@sharding.repeatable
def project(
    *,
    store_id: int,
    order_id: int,
    customer_id: int,
    window_starts_at: datetime,
    window_ends_at: datetime,
    drop: Point,
    tip_cents: int,
    lines: Sequence[NewLine],
    now: datetime,
    message_id: str | None = None,
) -> int | None:
    """Put a confirmed order before its store; the store order's id.

    None, and nothing happens, when that was done before, or when word of its cancelation came first.
    """
    store = stores.store(store_id=store_id)
    handling = catalog.handling(store_id=store_id, quantities=[(line.item_id, line.quantity) for line in lines])
    target = sharding.home("store", store_id)
    with sharding.atomic(target):
        if message_id and not inbox.first_time(message_id, consumer="fulfilment.project", using=target.alias):
            return None
        row, is_new = models.StoreOrder.objects.get_or_create(
            store_id=store_id,
            order_id=order_id,
            defaults={
                "customer_id": customer_id,
                "zone_id": store.zone_id,
                "window_starts_at": window_starts_at,
                "window_ends_at": window_ends_at,
                "drop_lat": drop.lat,
                "drop_lng": drop.lng,
                "line_count": len(lines),
                "unit_count": domain.unit_count((line.sold_by, line.quantity) for line in lines),
                "grams": int(handling.kilograms * 1000),
                "has_alcohol": handling.has_alcohol,
                "is_cold": handling.is_cold,
                "tip_cents": tip_cents,
                "currency": store.currency,
                "checks_receipt": store.checks_receipts,
                "projected_at": now,
            },
        )
        if not is_new:
            return None
        models.PickLine.objects.bulk_create(
            models.PickLine(
                store_order=row,
                store_id=store_id,
                line_id=line.line_id,
                item_id=line.item_id,
                name=line.name,
                department=line.department,
                aisle=line.aisle,
                rank=line.rank,
                quantity=line.quantity,
                cost_unit=line.cost_unit,
                sold_by=line.sold_by,
                unit_price_cents=line.unit_price_cents,
                note=line.note,
                replacement_policy=line.replacement_policy,
                replacement_item_id=line.replacement_item_id,
            )
            for line in lines
        )
        store_order_id: int = row.pk
    return store_order_id


@sharding.repeatable
def reschedule(*, store_id: int, order_id: int, version: int, starts_at: datetime, ends_at: datetime) -> bool:
    """Give an order that is not being picked another window. False for news that is old, or comes too late.

    Raises ``StoreOrderNotFound`` while the store has not heard of the order; the message is delivered again then.
    """
    with sharding.atomic(sharding.home("store", store_id)):
        mine = models.StoreOrder.objects.filter(store_id=store_id, order_id=order_id)
        waiting = mine.filter(status__in=(Status.WAITING, Status.ASSIGNED), window_version__lt=version)
        if waiting.update(window_version=version, window_starts_at=starts_at, window_ends_at=ends_at):
            return True
        if not mine.exists():
            raise StoreOrderNotFound(f"Store {store_id} has not heard of order {order_id} yet.")
    return False


@sharding.repeatable
def cancel(*, store_id: int, order_id: int, customer_id: int, now: datetime, is_coming_back: bool = False) -> bool:
    """Stop all work on an order. False when there is none to stop: it was stopped before, or is on the road.

    One that ``is_coming_back`` is stopped on the road too.

    An order the store has not heard of yet is remembered as canceled, so that it never starts.
    """
    store = stores.store(store_id=store_id)
    target = sharding.home("store", store_id)
    with sharding.atomic(target):
        mine = models.StoreOrder.objects.filter(store_id=store_id, order_id=order_id)
        row = mine.select_for_update().first()
        if row is None:
            _, is_new = models.StoreOrder.objects.get_or_create(
                store_id=store_id, order_id=order_id, defaults=_tombstone(customer_id, store, now)
            )
            return is_new
        stoppable = mine if is_coming_back else mine.filter(status__in=domain.OPEN)
        if not stages.move(stoppable, Status.CANCELED, canceled_at=now):
            return False
        outbox.emit(
            StoreOrderCanceled(store_order_id=row.pk, order_id=order_id, store_id=store_id, shopper_id=row.shopper_id),
            using=target.alias,
        )
    return True


def _tombstone(customer_id: int, store: Store, now: datetime) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "zone_id": store.zone_id,
        "window_starts_at": now,
        "window_ends_at": now,
        "drop_lat": store.point.lat,
        "drop_lng": store.point.lng,
        "line_count": 0,
        "unit_count": 0,
        "tip_cents": 0,
        "currency": store.currency,
        "status": Status.CANCELED,
        "projected_at": now,
        "canceled_at": now,
    }
