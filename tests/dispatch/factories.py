"""Offers and batches for any test, made by the planner itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.common.geo import Point
from apps.dispatch import models, services
from apps.fulfilment import models as fulfilment_models
from apps.stores.types import Store
from tests.fulfilment.factories import make_waiting_store_order
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """One offer of one batch, sent to one shopper."""

    offer_id: int
    batch_id: int
    shopper_id: int
    store: Store
    store_order_ids: Sequence[int]


def make_offer(
    *, store: Store | None = None, orders: int = 1, shopper_id: int | None = None, now: datetime = NOW
) -> Offered:
    """An offer that was just sent to a new shopper at the door of a new store, in a zone of their own."""
    store = store or make_store(zone=f"Zone of {make_store().id}")
    shopper = shopper_id or make_shopper(store.zone_id, point=store.point, now=now)
    drop = Point(store.point.lat + 0.01, store.point.lng)
    store_order_ids = [make_waiting_store_order(store=store, drop=drop, now=now) for _ in range(orders)]
    services.plan(zone_id=store.zone_id, now=now)
    offer = models.Offer.objects.get(store_id=store.id, shopper_id=shopper, status="sent")
    return Offered(
        offer_id=offer.pk,
        batch_id=offer.batch_id,
        shopper_id=shopper,
        store=store,
        store_order_ids=store_order_ids,
    )


def make_accepted(*, orders: int = 1, now: datetime = NOW) -> Offered:
    """As ``make_offer``, and the shopper has accepted."""
    offered = make_offer(orders=orders, now=now)
    services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=now)
    return offered


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """An order of a batch that is over: four lines, twelve units, at its door at ``at``."""

    door: Point
    at: datetime
    window_ends_at: datetime
    picking_started_at: datetime | None = None
    delivery_started_at: datetime
    sequence: int | None = None
    """Among the drops; None: in the order given."""


def make_completed_batch(store: Store, drops: Sequence[Dropped], *, accepted_at: datetime) -> list[int]:
    """A batch that is delivered, as history has it, not as it was lived; the ids of its store orders."""
    batch = models.Batch.objects.create(
        store_id=store.id,
        zone_id=store.zone_id,
        status="completed",
        shopper_id=31,
        pay_cents=900,
        currency="USD",
        distance_m=1000,
        acknowledged_at=accepted_at,
        ended_at=max(drop.at for drop in drops),
    )
    ids = []
    for place, drop in enumerate(drops):
        row = fulfilment_models.StoreOrder.objects.create(
            store_id=store.id,
            order_id=batch.pk * 10 + place,
            customer_id=12,
            zone_id=store.zone_id,
            window_starts_at=accepted_at,
            window_ends_at=drop.window_ends_at,
            drop_lat=drop.door.lat,
            drop_lng=drop.door.lng,
            line_count=4,
            unit_count=12,
            tip_cents=0,
            currency="USD",
            status="delivered",
            shopper_id=31,
            projected_at=accepted_at,
            assigned_at=accepted_at,
            picking_started_at=drop.picking_started_at,
            delivery_started_at=drop.delivery_started_at,
            delivered_at=drop.at,
        )
        models.BatchStop.objects.create(
            batch=batch,
            store_id=store.id,
            sequence=len(drops) + (place if drop.sequence is None else drop.sequence),
            kind="drop",
            store_order_id=row.pk,
            order_id=row.order_id,
            state="done",
        )
        ids.append(row.pk)
    return ids
