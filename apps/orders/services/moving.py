"""The one way from status to status."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sharding
from apps.common import outbox
from apps.common.events import Event
from apps.ledger import services as ledger
from apps.orders import domain, models, selectors
from apps.orders.domain import OverageStatus, Status
from apps.orders.errors import IllegalTransition, OrderNotFound
from apps.orders.events import (
    OrderCanceled,
    OrderConfirmed,
    OrderDelivered,
    OrderRejected,
    OrderReturned,
    OrderStatusChanged,
)
from apps.orders.services import answers
from apps.pricing import services as pricing
from apps.pricing.types import TIP


def transition(*, order_id: int, to: str, actor: str, now: datetime, data: Mapping[str, Any] | None = None) -> bool:
    """Move the order to status ``to``; ``actor`` is who does it, such as ``shopper:7`` or ``system``.

    False, and nothing happens, when the order is there already, or was there and has gone on: a
    message that is delivered twice or late does no harm. Raises ``IllegalTransition`` for a step the
    state table does not have, and for the steps that belong to ``place`` and ``finalise``, which
    make sure of something first (an authorisation, the final price, a fee).
    Nobody leaves the check-out before ``cover``.
    """
    return move(order_id=order_id, to=Status(to), actor=actor, now=now, data=data, refused=domain.EARNED)


@sharding.repeatable
def move(
    *,
    order_id: int,
    to: Status,
    actor: str,
    now: datetime,
    data: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    only_from: Collection[Status] = tuple(Status),
    refused: Collection[tuple[Status, Status]] = (),
    known: models.Order | None = None,
    lines: Sequence[models.OrderLine] | None = None,
) -> bool:
    """``transition`` for this app's own services, with ``changes`` to more of the order's columns.

    The update is guarded by the status and sequence just read: of two that move an order at once
    one wins, and the other decides again by what it then finds. Who has the row at hand gives it as
    ``known``, and finds it moved afterwards; who has its lines too, gives them.
    """
    alias = sharding.alias_of_id("customer", order_id)
    with sharding.atomic(alias):
        order = known or _read(order_id)
        is_old = known is not None
        while True:
            before = Status(order.status)
            if before is to:
                return False
            step_exists = domain.may_follow(before, to) and before in only_from and (before, to) not in refused
            step_exists = step_exists and not (before is Status.CHECKOUT and order.overage == OverageStatus.ASKED)
            if not step_exists and is_old:
                order.refresh_from_db()
                is_old = False
                continue
            if not step_exists:
                if order.events.filter(to_status=to).exists():
                    return False
                raise IllegalTransition(f"An order that is {before} cannot become {to}.")
            columns = {**_effects(before, to, now), **(changes or {}), "status": to, "sequence": order.sequence + 1}
            guarded = models.Order.objects.filter(pk=order_id, status=before, sequence=order.sequence)
            if guarded.update(**columns):
                break
            order.refresh_from_db()
            is_old = False
        for column, value in columns.items():
            setattr(order, column, value)
        if to is Status.DELIVERED:
            ledger.book_sale(
                customer_id=order.customer_id,
                order_id=order_id,
                store_id=order.store_id,
                cents_by_kind=selectors.cents_by_kind(order_id=order_id, phase=domain.Phase.FINAL),
                currency=order.currency,
                now=now,
            )
        if to in domain.UNDONE and order.fees.get("discounts"):
            pricing.give_back(customer_id=order.customer_id, order_id=order_id)
        closed = (
            answers.withdraw_all(order, by=actor, now=now)
            if before in domain.BEING_PICKED and to not in domain.BEING_PICKED
            else []
        )
        also = [*_announcements(order, before, lines), *closed]
        note(order, before=before, actor=actor, now=now, data=data, also=also)
    return True


def _read(order_id: int) -> models.Order:
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order


def note(
    order: models.Order,
    *,
    before: Status | None,
    actor: str,
    now: datetime,
    name: str = "",
    data: Mapping[str, Any] | None = None,
    also: Sequence[Event] = (),
) -> None:
    """Write the step ``order.sequence`` into the order's history, and tell it with what ``also`` there is to tell.

    Inside the caller's transaction. 2 queries.
    """
    models.OrderEvent.objects.create(
        order=order,
        customer_id=order.customer_id,
        sequence=order.sequence,
        name=name or order.status,
        from_status=before or "",
        to_status=order.status,
        actor=actor,
        at=now,
        data=dict(data or {}),
    )
    outbox.emit(
        OrderStatusChanged(
            order_id=order.pk,
            customer_id=order.customer_id,
            store_id=order.store_id,
            status=order.status,
            sequence=order.sequence,
        ),
        *also,
        using=sharding.alias_of_id("customer", order.pk),
    )


def _effects(before: Status, to: Status, now: datetime) -> dict[str, Any]:
    """Columns that go with a step, whoever takes it."""
    match to:
        case Status.BRAND_NEW if before in domain.UNPLACED:
            return {"confirmed_at": now, "due_at": None}
        case Status.PAYMENT_PENDING:
            return {"due_at": now + domain.PATIENCE}
        case Status.DELIVERED:
            return {"delivered_at": now, "due_at": now + domain.PATIENCE}
        case Status.REJECTED | Status.CANCELED | Status.RETURNED:
            return {"ended_at": now, "due_at": now + domain.LAST_LOOK}
        case _:
            return {}


def _announcements(order: models.Order, before: Status, lines: Sequence[models.OrderLine] | None) -> Sequence[Event]:
    names = {"order_id": order.pk, "customer_id": order.customer_id, "store_id": order.store_id}
    match order.status:
        case Status.BRAND_NEW if before in domain.UNPLACED:
            return [_confirmed(order, lines or order.lines.order_by("position"))]
        case Status.REJECTED:
            return [OrderRejected(**names, code=order.rejected_code)]
        case Status.CANCELED:
            return [OrderCanceled(**names)]
        case Status.RETURNED:
            return [OrderReturned(**names)]
        case Status.DELIVERED:
            total = selectors.total(order_id=order.pk, phase=domain.Phase.FINAL)
            tip = selectors.total(order_id=order.pk, phase=domain.Phase.FINAL, kind=TIP)
            return [OrderDelivered(**names, total_cents=total.cents, tip_cents=tip.cents, currency=tip.currency)]
        case _:
            return []


def _confirmed(order: models.Order, lines: Iterable[models.OrderLine]) -> OrderConfirmed:
    drop_off = order.drop_off
    if drop_off is None:
        raise OrderNotFound(f"There is no address for order {order.pk} any more.")
    point = drop_off.point
    return OrderConfirmed(
        order_id=order.pk,
        customer_id=order.customer_id,
        store_id=order.store_id,
        window_id=order.window_id,
        window_starts_at=order.window_starts_at.isoformat(),
        window_ends_at=order.window_ends_at.isoformat(),
        lat=point.lat,
        lng=point.lng,
        tip_cents=order.tip_cents,
        lines=[
            {
                "line_id": line.pk,
                "item_id": line.item_id,
                "name": line.name,
                "department": line.department,
                "aisle": line.aisle,
                "rank": line.rank,
                "quantity": str(line.quantity),
                "cost_unit": line.cost_unit,
                "sold_by": line.sold_by,
                "unit_price_cents": line.unit_price_cents,
                "note": line.note,
                "replacement_policy": line.replacement_policy,
                "replacement_item_id": line.replacement_item_id,
            }
            for line in lines
        ],
    )
