"""Whose order it is. Called by dispatch inside its own transaction on the store's shard."""

from collections.abc import Collection
from datetime import datetime

import sharding
from apps.common import outbox
from apps.fulfilment import models
from apps.fulfilment.domain import Status
from apps.fulfilment.events import OrderAssigned, OrderUnassigned


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
        rows.update(status=Status.ASSIGNED, shopper_id=shopper_id, assigned_at=now)
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
        assigned = models.StoreOrder.objects.filter(
            store_id=store_id, pk__in=store_order_ids, shopper_id=shopper_id, status=Status.ASSIGNED
        ).order_by("pk")
        rows = list(assigned.select_for_update(no_key=True))
        taken_back = models.StoreOrder.objects.filter(store_id=store_id, pk__in=[row.pk for row in rows])
        taken_back.update(status=Status.WAITING, shopper_id=None, assigned_at=None)
        for row in rows:
            event = OrderUnassigned(
                store_order_id=row.pk, order_id=row.order_id, store_id=store_id, shopper_id=shopper_id
            )
            outbox.emit(event, using=target.alias)
    return frozenset(row.pk for row in rows)
