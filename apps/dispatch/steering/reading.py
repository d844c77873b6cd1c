"""What somebody has to see before they decide instead of the planner, and what was decided."""

from collections.abc import Collection
from datetime import datetime

from apps.common.money import Money
from apps.dispatch import domain, models
from apps.dispatch.domain import OfferStatus, StopState
from apps.dispatch.steering.domain import NOT_ASKED, OverrideKind
from apps.dispatch.steering.models import Override
from apps.dispatch.steering.standing import standing
from apps.dispatch.steering.types import AskedShopper, OverrideOf, SteeredBatch, SteeredOrder
from apps.fulfilment import selectors as fulfilment
from apps.shoppers import selectors as shoppers
from apps.stores import selectors as stores
from apps.stores.types import Store

LATEST = 50
"""Overrides that the history of an order shows."""


def steered_order(*, store_order_id: int, now: datetime) -> SteeredOrder | None:
    """The order, its batch, what it could go with, who could be asked, and what was decided; None if there is none.

    8 queries and those of ``shoppers.available``, 3 more for an order in a batch.
    """
    order = fulfilment.store_orders(store_order_ids=[store_order_id]).get(store_order_id)
    if order is None:
        return None
    store = stores.store(store_id=order.store_id)
    batch = _batch(order.store_id, store_order_id, now)
    waiting = fulfilment.waiting(store_ids=[order.store_id], now=now)
    in_batches = models.BatchStop.objects.filter(
        store_id=order.store_id, store_order_id__in=[one.id for one in waiting], state=StopState.PENDING
    )
    taken = {store_order_id, *(in_batches.values_list("store_order_id", flat=True) if waiting else ())}
    history = Override.objects.filter(store_id=order.store_id, store_order_id=store_order_id)
    return SteeredOrder(
        order=order,
        store=store,
        batch=batch,
        together=tuple(one for one in waiting if one.id not in taken),
        free=_free(store, store_order_id, now),
        history=tuple(_told(row) for row in history.order_by("-created_at", "-pk")[:LATEST]),
    )


def zone_overrides(*, store_ids: Collection[int], now: datetime) -> tuple[OverrideOf, ...]:
    """What stands for the orders of these stores, the latest first. 1 query for each shard of theirs."""
    rows = standing(now).filter(store_id__in=store_ids) if store_ids else ()
    return tuple(_told(row) for row in sorted(rows, key=lambda row: (row.created_at, row.pk), reverse=True))


def _batch(store_id: int, store_order_id: int, now: datetime) -> SteeredBatch | None:
    stops = models.BatchStop.objects.filter(store_id=store_id, store_order_id=store_order_id, kind="drop")
    stop = stops.exclude(state=StopState.DROPPED).select_related("batch").first()
    if stop is None:
        return None
    batch = stop.batch
    asked = models.Offer.objects.filter(batch_id=batch.pk, status=OfferStatus.SENT)
    others = models.BatchStop.objects.filter(batch_id=batch.pk, kind="drop").exclude(state=StopState.DROPPED)
    pins = standing(now).filter(store_id=store_id, kind=OverrideKind.PIN, batch_id=batch.pk)
    return SteeredBatch(
        id=batch.pk,
        status=batch.status,
        shopper_id=batch.shopper_id or asked.values_list("shopper_id", flat=True).first(),
        pay=Money(batch.pay_cents, batch.currency),
        is_pinned=pins.exists(),
        order_ids=tuple(others.order_by("sequence").values_list("order_id", flat=True)),
    )


def _free(store: Store, store_order_id: int, now: datetime) -> tuple[AskedShopper, ...]:
    against = standing(now).filter(store_id=store.id, store_order_id=store_order_id, kind__in=NOT_ASKED)
    forbidden = set(against.values_list("shopper_id", flat=True))
    found = (
        AskedShopper(
            shopper_id=one.shopper_id,
            vehicle=one.vehicle,
            distance_m=round(domain.distance_m(store.point, one.point)),
            is_forbidden=one.shopper_id in forbidden,
        )
        for one in shoppers.available(zone_id=store.zone_id, now=now)
    )
    return tuple(sorted(found, key=lambda one: (one.distance_m, one.shopper_id)))


def _told(row: Override) -> OverrideOf:
    return OverrideOf(
        id=row.pk,
        kind=row.kind,
        store_order_id=row.store_order_id,
        order_id=row.order_id,
        shopper_id=row.shopper_id,
        batch_id=row.batch_id,
        reason=row.reason,
        operator_id=row.operator_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
    )
