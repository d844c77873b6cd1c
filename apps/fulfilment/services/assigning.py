"""Whose order it is. Called by dispatch inside its own transaction on the store's shard."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

import sharding
from apps.common import outbox
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus, Status
from apps.fulfilment.events import OrderAssigned, OrderUnassigned
from apps.fulfilment.services import replacing, stages
from apps.orders.types import LineReason


def lock_waiting(*, store_id: int, store_order_ids: Collection[int]) -> frozenset[int]:
    """Those of the orders that wait for a shopper, kept from changing until the caller's transaction ends."""
    waiting = models.StoreOrder.objects.filter(
        store_id=store_id, pk__in=store_order_ids, status=Status.WAITING
    ).order_by("pk")
    return frozenset(row.pk for row in waiting.select_for_update(no_key=True))


@sharding.repeatable
def assign(*, store_id: int, store_order_ids: Collection[int], shopper_id: int, now: datetime) -> frozenset[int]:
    """Give the waiting ones among the orders to the shopper; which they were. Canceled and taken ones are not."""
    target = sharding.home("store", store_id)
    with sharding.atomic(target):
        mine = lock_waiting(store_id=store_id, store_order_ids=store_order_ids)
        rows = models.StoreOrder.objects.filter(store_id=store_id, pk__in=mine)
        stages.move(rows, Status.ASSIGNED, shopper_id=shopper_id, assigned_at=now, progress_at=now)
        for row in rows.order_by("pk"):
            event = OrderAssigned(
                store_order_id=row.pk, order_id=row.order_id, store_id=store_id, shopper_id=shopper_id
            )
            outbox.emit(event, using=target.alias)
    return mine


@sharding.repeatable
def unassign(*, store_id: int, store_order_ids: Collection[int], shopper_id: int) -> frozenset[int]:
    """Let those of the shopper's orders wait again on which no picking has begun; which they were."""
    target = sharding.home("store", store_id)
    with sharding.atomic(target):
        rows = _locked(store_id, store_order_ids, shopper_id)
        return _let_wait([row for row in rows if row.status == Status.ASSIGNED], target.alias)


@sharding.repeatable
def take_back(
    *, store_id: int, store_order_ids: Collection[int], shopper_id: int, quiet_since: datetime
) -> frozenset[int]:
    """Let those of the shopper's orders wait again that are not paid for yet; which they were. Picks stay picked.

    None of them when the shopper has done something about any of ``store_order_ids`` after ``quiet_since``.
    """
    target = sharding.home("store", store_id)
    with sharding.atomic(target):
        rows = _locked(store_id, store_order_ids, shopper_id)
        if any(row.progress_at is None or row.progress_at > quiet_since for row in rows):
            return frozenset()
        return _let_wait([row for row in rows if row.status in domain.TO_BE_PICKED], target.alias)


def _locked(store_id: int, store_order_ids: Collection[int], shopper_id: int) -> list[models.StoreOrder]:
    mine = models.StoreOrder.objects.filter(store_id=store_id, pk__in=store_order_ids, shopper_id=shopper_id)
    return list(mine.order_by("pk").select_for_update(no_key=True))


def _let_wait(rows: Collection[models.StoreOrder], alias: str) -> frozenset[int]:
    done = _done([row.pk for row in rows if row.status == Status.PICKING])
    for row in rows:
        lines = done.get(row.pk, ())
        stages.move(
            models.StoreOrder.objects.filter(pk=row.pk),
            Status.WAITING,
            shopper_id=None,
            assigned_at=None,
            picking_started_at=None,
            progress_at=None,
            lines_done=len(lines),
            units_done=domain.unit_count(lines),
        )
        replacing.withdraw_all(row)
        event = OrderUnassigned(
            store_order_id=row.pk, order_id=row.order_id, store_id=row.store_id, shopper_id=row.shopper_id or 0
        )
        outbox.emit(event, using=alias)
    return frozenset(row.pk for row in rows)


def _done(store_order_ids: Collection[int]) -> dict[int, list[tuple[str, Decimal]]]:
    """What is found or refunded of the orders: ``(sold_by, quantity)`` of each line."""
    if not store_order_ids:
        return {}
    lines = models.PickLine.objects.filter(store_order_id__in=store_order_ids).exclude(status=LineStatus.NOT_PICKED)
    lines = lines.exclude(refund_reason=LineReason.TAKEN_OUT)
    done: dict[int, list[tuple[str, Decimal]]] = {}
    for store_order_id, sold_by, quantity in lines.values_list("store_order_id", "sold_by", "quantity"):
        done.setdefault(store_order_id, []).append((sold_by, quantity))
    return done
