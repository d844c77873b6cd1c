"""Offers and batches for any test, made by the planner itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.common.geo import Point
from apps.dispatch import models, services
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
