from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.db.models import Q

import sharding
from apps.catalog.types import Item
from apps.common.geo import Point
from apps.common.money import Money
from apps.common.photos import Photo
from apps.fulfilment import domain, models
from apps.fulfilment.domain import ReceiptState, Status
from apps.fulfilment.errors import LineNotFound, StoreOrderNotFound
from apps.fulfilment.types import (
    FinishedOrder,
    InHand,
    PickLine,
    Proposal,
    Quiet,
    Receipt,
    Standing,
    StoreOrder,
    WaitingOrder,
)
from apps.inventory import selectors as inventory

_MOST_FLAGGED = 100


def store_order(*, store_order_id: int, shopper_id: int) -> StoreOrder:
    """The shopper's order with its pick list; raises ``StoreOrderNotFound`` for anyone else's. 3 queries.

    1 more once it is checked out.
    """
    row = models.StoreOrder.objects.filter(pk=store_order_id, shopper_id=shopper_id).first()
    if row is None:
        raise StoreOrderNotFound("There is no such order among yours.")
    order = _whole([row])[0]
    if row.picked_at is None:
        return order
    is_wanted = row.checks_receipt and any(line.status in domain.IN_THE_BAG for line in order.lines)
    return replace(order, is_receipt_wanted=is_wanted, receipt=receipt(store_id=row.store_id, order_id=row.order_id))


def suggestions(*, store_order_id: int, line_id: int, shopper_id: int) -> tuple[Item, ...]:
    """What the shopper may propose instead of a line of theirs: the customer's own choice first. 7 to 9 queries.

    Raises ``StoreOrderNotFound``, ``LineNotFound``.
    """
    row = models.StoreOrder.objects.filter(pk=store_order_id, shopper_id=shopper_id).first()
    if row is None:
        raise StoreOrderNotFound("There is no such order among yours.")
    line = row.lines.filter(line_id=line_id).first()
    if line is None:
        raise LineNotFound("There is no such line on this order.")
    found = inventory.alternatives(
        store_id=row.store_id, item_id=line.item_id, quantity=line.quantity, chosen_id=line.replacement_item_id
    )
    return tuple(item for item in found if row.has_alcohol or not item.alcoholic)


def store_orders(*, store_order_ids: Collection[int]) -> dict[int, StoreOrder]:
    """Those of the orders that exist, by id; all of one store. 3 queries."""
    rows = list(models.StoreOrder.objects.filter(pk__in=store_order_ids)) if store_order_ids else []
    return {order.id: order for order in _whole(rows)}


def of_order(*, store_id: int, order_id: int) -> StoreOrder | None:
    """How an order stands in its store; None when the store has not heard of it. 3 queries."""
    row = models.StoreOrder.objects.filter(store_id=store_id, order_id=order_id).first()
    return _whole([row])[0] if row else None


def receipt(*, store_id: int, order_id: int) -> Receipt | None:
    """How the till's receipt of an order stands; None where there is none. 1 query."""
    rows = models.Receipt.objects.filter(store_id=store_id, store_order__order_id=order_id)
    row = rows.select_related("store_order").first()
    return _receipt(row) if row else None


def receipt_photo(*, store_id: int, order_id: int) -> Photo | None:
    """The picture of the till's receipt, if the shopper sent one. 1 query."""
    rows = models.Receipt.objects.filter(store_id=store_id, store_order__order_id=order_id)
    name = rows.values_list("photo", flat=True).first()
    if not name:
        return None
    with default_storage.open(name) as file:
        return Photo(content=file.read(), extension=name.rpartition(".")[2])


def flagged_receipts() -> tuple[Receipt, ...]:
    """Receipts that differ and that no operator has looked at, the oldest first, 100 at most of each shard.

    1 query for each store shard.
    """
    found = [
        _receipt(row)
        for alias in sharding.aliases("store")
        for row in sharding.owned(models.Receipt.objects, alias)
        .filter(state=ReceiptState.FLAGGED, seen_at__isnull=True)
        .select_related("store_order")
        .order_by("at")[:_MOST_FLAGGED]
    ]
    return tuple(sorted(found, key=lambda receipt: receipt.at))


def last_progress(*, store_order_ids: Collection[int]) -> datetime | None:
    """When the orders' shopper last did something about any of them. 1 query."""
    rows = models.StoreOrder.objects.filter(pk__in=store_order_ids)
    return max((at for at in rows.values_list("progress_at", flat=True) if at is not None), default=None)


def open_orders(*, store_ids: Collection[int]) -> tuple[StoreOrder, ...]:
    """What these stores still have to hand over, the earliest window first. 1 query a shard and 2 a store of theirs."""
    by_store: dict[int, list[models.StoreOrder]] = {}
    for row in models.StoreOrder.objects.filter(store_id__in=store_ids, status__in=domain.OPEN):
        by_store.setdefault(row.store_id, []).append(row)
    found = [order for of_store in by_store.values() for order in _whole(of_store)]
    return tuple(sorted(found, key=lambda order: (order.window_starts_at, order.id)))


def waiting(*, store_ids: Collection[int], now: datetime) -> tuple[WaitingOrder, ...]:
    """Orders of these stores that no shopper has, whose window ends first leading. 1 query for each shard of theirs."""
    rows = models.StoreOrder.objects.filter(store_id__in=store_ids, status=Status.WAITING)
    return tuple(
        WaitingOrder(
            id=row.pk,
            store_id=row.store_id,
            order_id=row.order_id,
            drop=_place(row.drop_lat, row.drop_lng),
            line_count=row.line_count,
            unit_count=row.unit_count,
            window_starts_at=row.window_starts_at,
            window_ends_at=row.window_ends_at,
            tip=Money(row.tip_cents, row.currency),
            projected_at=row.projected_at,
            lines_done=row.lines_done,
            units_done=row.units_done,
            kilograms=row.grams / 1000,
            needs=domain.needs(has_alcohol=row.has_alcohol),
            is_cold=row.is_cold,
        )
        for row in sorted(rows, key=lambda row: (row.window_ends_at, row.pk))
    )


_STAGES = (
    ("delivery_started_at", Status.DELIVERING),
    ("picked_at", Status.CHECKOUT),
    ("picking_started_at", Status.PICKING),
    ("assigned_at", Status.ASSIGNED),
)


def needs(*, store_order_ids: Collection[int]) -> frozenset[str]:
    """Kinds of certificates that whoever takes all these orders of one store must have. 1 query."""
    rows = models.StoreOrder.objects.filter(pk__in=store_order_ids)
    return domain.needs(has_alcohol=any(rows.values_list("has_alcohol", flat=True)))


def in_hand(*, store_order_ids: Collection[int]) -> dict[int, InHand]:
    """Those of the orders that a shopper has and has not handed over, by id. 1 query for each shard of theirs."""
    rows = models.StoreOrder.objects.filter(pk__in=store_order_ids) if store_order_ids else ()
    return {row.pk: _in_hand(row) for row in rows if row.status in _IN_HAND}


_SINCE = {status: column for column, status in _STAGES}
_IN_HAND = frozenset(_SINCE)


def _in_hand(row: models.StoreOrder) -> InHand:
    return InHand(
        id=row.pk,
        stage=row.status,
        since=getattr(row, _SINCE[Status(row.status)]) or row.projected_at,
        drop=_place(row.drop_lat, row.drop_lng),
        line_count=row.line_count - row.lines_done,
        unit_count=row.unit_count - row.units_done,
    )


def quiet(*, using: str, since: datetime) -> tuple[Quiet, ...]:
    """Orders of one shard that a shopper has to pick and has done nothing about ``since`` then. 1 query."""
    rows = sharding.owned(models.StoreOrder.objects, using).filter(
        status__in=domain.TO_BE_PICKED, progress_at__lte=since
    )
    found = rows.order_by("progress_at").values_list("store_id", "pk", "shopper_id")
    return tuple(
        Quiet(store_id=store_id, store_order_id=store_order_id, shopper_id=shopper_id)
        for store_id, store_order_id, shopper_id in found
        if shopper_id is not None
    )


def _place(lat: float, lng: float) -> Point | None:
    """One bad row must not keep a zone from being planned, or a page from being shown."""
    try:
        return Point(lat, lng)
    except ValueError:
        return None


_LOOKED_BACK = timedelta(days=8)
"""Orders are placed at most a week ahead: what came to its store earlier than this is over."""


def standing(*, store_ids: Collection[int], at: datetime) -> tuple[Standing, ...]:
    """Orders that these stores had to hand over at ``at``, and how far each had come, by id. 1 query for each shard.

    A shopper who gave an order back, or was relieved of it, is forgotten: it counts as having waited all the time.
    """
    there = models.StoreOrder.objects.filter(
        Q(delivered_at__isnull=True) | Q(delivered_at__gt=at),
        Q(canceled_at__isnull=True) | Q(canceled_at__gt=at),
        store_id__in=store_ids,
        projected_at__range=(at - _LOOKED_BACK, at),
    )
    found = (_standing(row, at) for row in there if _place(row.drop_lat, row.drop_lng) is not None)
    return tuple(sorted(found, key=lambda order: order.id))


def _standing(row: models.StoreOrder, at: datetime) -> Standing:
    reached = (stage for column, stage in _STAGES if (since := getattr(row, column)) is not None and since <= at)
    stage = next(reached, Status.WAITING)
    return Standing(
        id=row.pk,
        store_id=row.store_id,
        order_id=row.order_id,
        shopper_id=None if stage == Status.WAITING else row.shopper_id,
        stage=stage,
        drop=_place(row.drop_lat, row.drop_lng),
        line_count=row.line_count,
        window_starts_at=row.window_starts_at,
        window_ends_at=row.window_ends_at,
    )


def with_shoppers(*, store_id: int, at: datetime) -> int:
    """How many orders of the store a shopper had taken and not yet handed over at ``at``. 1 query."""
    taken = models.StoreOrder.objects.filter(
        Q(delivered_at__isnull=True) | Q(delivered_at__gte=at),
        store_id=store_id,
        projected_at__gte=at - _LOOKED_BACK,
        assigned_at__lte=at,
        canceled_at__isnull=True,
    )
    return taken.count()


def finished(*, store_order_ids: Collection[int]) -> dict[int, FinishedOrder]:
    """Those of the orders that are delivered to some place, by id. 1 query for each shard of theirs."""
    rows = models.StoreOrder.objects.filter(pk__in=store_order_ids, status=Status.DELIVERED) if store_order_ids else ()
    return {
        row.pk: FinishedOrder(
            id=row.pk,
            drop=drop,
            line_count=row.line_count - row.lines_done,
            unit_count=row.unit_count - row.units_done,
            window_starts_at=row.window_starts_at,
            window_ends_at=row.window_ends_at,
            assigned_at=row.assigned_at,
            picking_started_at=row.picking_started_at,
            picked_at=row.picked_at,
            delivery_started_at=row.delivery_started_at,
            delivered_at=row.delivered_at,
        )
        for row in rows
        if row.delivered_at is not None and (drop := _place(row.drop_lat, row.drop_lng)) is not None
    }


def _whole(rows: list[models.StoreOrder]) -> list[StoreOrder]:
    lines: dict[int, list[models.PickLine]] = {row.pk: [] for row in rows}
    proposals: dict[int, models.Proposal] = {}
    if rows:
        asked = models.Proposal.objects.filter(store_order_id__in=lines).order_by("pk")
        proposals = {proposal.line_id: proposal for proposal in asked}
        picked = models.PickLine.objects.filter(store_order_id__in=lines)
        for line in sorted(picked, key=lambda line: (*domain.aisle_key(line.aisle, line.rank), line.pk)):
            lines[line.store_order_id].append(line)
    return [
        StoreOrder(
            id=row.pk,
            store_id=row.store_id,
            order_id=row.order_id,
            customer_id=row.customer_id,
            zone_id=row.zone_id,
            status=row.status,
            shopper_id=row.shopper_id,
            window_starts_at=row.window_starts_at,
            window_ends_at=row.window_ends_at,
            drop=_place(row.drop_lat, row.drop_lng),
            tip=Money(row.tip_cents, row.currency),
            line_count=row.line_count,
            unit_count=row.unit_count,
            lines_done=row.lines_done,
            units_done=row.units_done,
            projected_at=row.projected_at,
            picking_started_at=row.picking_started_at,
            picked_at=row.picked_at,
            delivery_started_at=row.delivery_started_at,
            delivered_at=row.delivered_at,
            edits=row.edits,
            bag_count=row.bag_count,
            lines=tuple(_line(line, proposals.get(line.line_id), row.currency) for line in lines[row.pk]),
        )
        for row in rows
    ]


def _receipt(row: models.Receipt) -> Receipt:
    currency = row.store_order.currency
    return Receipt(
        order_id=row.store_order.order_id,
        store_id=row.store_id,
        attempt=row.attempt,
        entered=Money(row.entered_cents, currency),
        expected=Money(row.expected_cents, currency),
        state=row.state,
        at=row.at,
        has_photo=bool(row.photo),
        seen_at=row.seen_at,
    )


def _line(row: models.PickLine, proposal: models.Proposal | None, currency: str) -> PickLine:
    return PickLine(
        id=row.line_id,
        item_id=row.item_id,
        name=row.name,
        department=row.department,
        aisle=row.aisle,
        rank=row.rank,
        quantity=row.quantity,
        cost_unit=row.cost_unit,
        sold_by=row.sold_by,
        unit_price=Money(row.unit_price_cents, currency),
        note=row.note,
        replacement_policy=row.replacement_policy,
        replacement_item_id=row.replacement_item_id,
        status=row.status,
        found_quantity=row.found_quantity,
        reason=row.refund_reason,
        proposal=None if proposal is None else _proposal(proposal, currency),
    )


def _proposal(row: models.Proposal, currency: str) -> Proposal:
    return Proposal(
        id=row.pk,
        status=row.status,
        is_withdrawn=row.is_withdrawn,
        item_id=row.item_id,
        name=row.name,
        code=row.code,
        quantity=row.quantity,
        cost_unit=row.cost_unit,
        sold_by=row.sold_by,
        unit_price=Money(row.unit_price_cents, currency),
    )
