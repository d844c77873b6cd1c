from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from django.db.models import Q

from apps.common.geo import Point
from apps.common.money import Money
from apps.dispatch import domain, models
from apps.dispatch.domain import OfferStatus, StopState, reasons
from apps.dispatch.etas import asking
from apps.dispatch.steering.heat import heat_map as heat_map
from apps.dispatch.steering.reading import steered_order as steered_order
from apps.dispatch.steering.reading import zone_overrides as zone_overrides
from apps.dispatch.types import Batch, BatchOrder, CurrentBatch, Eta, Offer, Stop, Why, ZoneBatch, ZonePicture
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment.types import Standing, StoreOrder
from apps.orders import selectors as orders
from apps.shoppers import selectors as shoppers
from apps.stores import selectors as stores
from apps.stores.types import Store

_HANDED_OVER = ("delivered", "canceled")


def offers_of(*, shopper_id: int, now: datetime) -> tuple[Offer, ...]:
    """What the shopper is asked to take at the moment; one at most. 1 query, 6 when there is one."""
    assignment = shoppers.live_assignment(shopper_id=shopper_id)
    if assignment is None or assignment.state == "accepted":
        return ()
    sent = models.Offer.objects.filter(
        batch_id=assignment.batch_id, shopper_id=shopper_id, status=OfferStatus.SENT, expires_at__gt=now
    )
    offer = sent.select_related("batch").first()
    if offer is None:
        return ()
    stops = models.BatchStop.objects.filter(batch_id=offer.batch_id, kind="drop", state=StopState.PENDING)
    in_batch = fulfilment.store_orders(store_order_ids=set(stops.values_list("store_order_id", flat=True)))
    currency = offer.batch.currency
    return (
        Offer(
            id=offer.pk,
            batch_id=offer.batch_id,
            store=stores.store(store_id=offer.store_id),
            order_count=len(in_batch),
            items=sum(order.line_count for order in in_batch.values()),
            units=sum(order.unit_count for order in in_batch.values()),
            distance_m=offer.distance_m,
            pay=Money(offer.batch.pay_cents, currency),
            peak=Money(offer.batch.peak_cents, currency),
            tips=Money.total((order.tip for order in in_batch.values()), currency),
            sent_at=offer.sent_at,
            expires_at=offer.expires_at,
        ),
    )


def current_batch(*, shopper_id: int) -> CurrentBatch | None:
    """The batch the shopper has accepted and not finished, with ETAs.

    1 query, 7 when there is one and 1 more for each order; 1 more a minute for the ETAs.
    """
    assignment = shoppers.live_assignment(shopper_id=shopper_id)
    if assignment is None:
        return None
    batch = models.Batch.objects.filter(
        pk=assignment.batch_id, shopper_id=shopper_id, status__in=domain.UNDER_WAY
    ).first()
    if batch is None:
        return None
    rows = _stop_rows(batch.pk)
    in_batch = fulfilment.store_orders(store_order_ids={row.store_order_id for row in rows})
    store = stores.store(store_id=batch.store_id)
    kept = [in_batch[row.store_order_id] for row in rows if row.kind == "drop" and row.state != StopState.DROPPED]
    return CurrentBatch(
        id=batch.pk,
        status=batch.status,
        store=store,
        pay=Money(batch.pay_cents, batch.currency),
        peak=Money(batch.peak_cents, batch.currency),
        tips=Money.total((order.tip for order in kept), batch.currency),
        distance_m=batch.distance_m,
        stops=_stops(rows, in_batch, store.point, etas=asking.of_batch(batch, kept, store)),
        orders=tuple(_batch_order(order) for order in kept),
    )


def batch_of_order(*, store_id: int, order_id: int) -> Batch | None:
    """The batch an order is, or was delivered, in. 3 or 6 queries."""
    stop = (
        models.BatchStop.objects.filter(store_id=store_id, order_id=order_id, kind="drop")
        .exclude(state=StopState.DROPPED)
        .select_related("batch")
        .first()
    )
    if stop is None:
        return None
    batch = stop.batch
    rows = _stop_rows(batch.pk)
    in_batch = fulfilment.store_orders(store_order_ids={row.store_order_id for row in rows})
    store = stores.store(store_id=store_id)
    return Batch(
        id=batch.pk,
        store_id=batch.store_id,
        zone_id=batch.zone_id,
        status=batch.status,
        shopper_id=batch.shopper_id,
        pay=Money(batch.pay_cents, batch.currency),
        distance_m=batch.distance_m,
        created_at=batch.created_at,
        stops=_stops(rows, in_batch, store.point),
    )


def eta(*, store: Store, order_id: int) -> Eta | None:
    """When the order will be at its door; None while no shopper has it, and once it is handed over.

    1 query, 5 while a shopper has it, and 1 more a minute.
    """
    with_shopper = models.BatchStop.objects.filter(
        store_id=store.id, order_id=order_id, kind="drop", state=StopState.PENDING, batch__status__in=domain.UNDER_WAY
    )
    stop = with_shopper.select_related("batch").first()
    if stop is None:
        return None
    drops = [row for row in _stop_rows(stop.batch_id) if row.kind == "drop" and row.state != StopState.DROPPED]
    in_batch = fulfilment.store_orders(store_order_ids={row.store_order_id for row in drops})
    kept = [in_batch[row.store_order_id] for row in drops]
    return asking.of_batch(stop.batch, kept, store).get(stop.store_order_id)


def why(*, batch_id: int) -> Why | None:
    """How the planner chose the batch; None for one it left no word of, or that does not exist. 1 query."""
    kept = models.Batch.objects.filter(pk=batch_id).values_list("why", flat=True).first()
    return reasons.from_json(kept) if kept else None


_LOOKED_BACK = timedelta(days=1)
"""A batch that was made earlier than this is over."""


def zone_picture(*, zone_id: int, at: datetime, now: datetime) -> ZonePicture | None:
    """The zone as it stood at ``at``; None when there is no such zone. 2 queries, and 4 for each shard of its stores.

    The state now costs those of ``shoppers.available`` more.
    """
    zone = next((zone for zone in stores.zones() if zone.id == zone_id), None)
    if zone is None:
        return None
    zone_stores = stores.stores_of_zone(zone_id=zone_id)
    store_ids = {store.id for store in zone_stores}
    orders = {order.id: order for order in fulfilment.standing(store_ids=store_ids, at=at)} if store_ids else {}
    batches = _batches_at(store_ids, orders, at) if store_ids else ()
    in_batch = {order.id for batch in batches for order in batch.orders}
    return ZonePicture(
        zone=zone,
        at=at,
        stores=zone_stores,
        batches=batches,
        loose=tuple(order for order in orders.values() if order.id not in in_batch),
        idle=shoppers.available(zone_id=zone_id, now=now) if at >= now else None,
    )


def _batches_at(store_ids: set[int], orders: Mapping[int, Standing], at: datetime) -> tuple[ZoneBatch, ...]:
    rows = models.Batch.objects.filter(
        Q(ended_at__isnull=True) | Q(ended_at__gt=at),
        store_id__in=store_ids,
        created_at__range=(at - _LOOKED_BACK, at),
    )
    batches = {row.pk: row for row in rows}
    if not batches:
        return ()
    drops: dict[int, list[Standing]] = {}
    stops = models.BatchStop.objects.filter(batch_id__in=batches, kind="drop").exclude(state=StopState.DROPPED)
    for stop in sorted(stops, key=lambda stop: stop.sequence):
        if stop.store_order_id in orders:
            drops.setdefault(stop.batch_id, []).append(orders[stop.store_order_id])
    asked = models.Offer.objects.filter(
        Q(ended_at__isnull=True) | Q(ended_at__gt=at), batch_id__in=batches, sent_at__lte=at
    )
    offered = dict(asked.values_list("batch_id", "shopper_id"))
    return tuple(
        _batch_at(batch, tuple(drops.get(batch.pk, ())), offered.get(batch.pk), at)
        for batch in sorted(batches.values(), key=lambda batch: batch.pk)
    )


def _batch_at(batch: models.Batch, orders: tuple[Standing, ...], asked: int | None, at: datetime) -> ZoneBatch:
    is_taken = batch.acknowledged_at is not None and batch.acknowledged_at <= at
    return ZoneBatch(
        id=batch.pk,
        store_id=batch.store_id,
        state="taken" if is_taken else "open" if asked is None else "offered",
        shopper_id=batch.shopper_id if is_taken else asked,
        pay=Money(batch.pay_cents, batch.currency),
        peak=Money(batch.peak_cents, batch.currency),
        created_at=batch.created_at,
        orders=orders,
        why=reasons.from_json(batch.why) if batch.why else None,
    )


def _stop_rows(batch_id: int) -> list[models.BatchStop]:
    return list(models.BatchStop.objects.filter(batch_id=batch_id).order_by("sequence"))


def _stops(
    rows: list[models.BatchStop],
    in_batch: dict[int, StoreOrder],
    store: Point,
    etas: Mapping[int, Eta] = MappingProxyType({}),
) -> tuple[Stop, ...]:
    return tuple(
        Stop(
            sequence=row.sequence,
            kind=row.kind,
            store_order_id=row.store_order_id,
            order_id=row.order_id,
            point=store if row.kind == "pick" else in_batch[row.store_order_id].drop,
            state=row.state,
            eta=etas.get(row.store_order_id) if row.kind == "drop" and row.state == StopState.PENDING else None,
        )
        for row in rows
    )


def _batch_order(order: StoreOrder) -> BatchOrder:
    is_over = order.status in _HANDED_OVER
    return BatchOrder(order=order, drop_off=None if is_over else orders.drop_off(order_id=order.order_id))
