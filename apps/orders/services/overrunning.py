"""The part of a final total that is above what is held: a second payment, or an end to it.

The second payment is a hold like the first, made without the customer, before the order leaves the check-out. Where
the card will not have it, goods that are still in the store are left there until the rest is covered; when the shopper
has left with them, the platform pays (ADR 23). Which of the two it is, the store says: it has the goods.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sharding
from apps.common.money import Money
from apps.orders import domain, models
from apps.orders.domain import LineStatus, OverageStatus, Phase, Status
from apps.orders.errors import OrderNotFound
from apps.orders.services import amounts, moving, settling
from apps.orders.types import LineReason
from apps.payments import services as payments
from apps.payments.errors import CardNotFound, PaymentConflict, ProviderUnavailable
from apps.pricing.types import FORGIVEN

STEP = "overage"
"""Name of the second payment."""
NOT_PAID_FOR = "your card would not pay for it"
_HELD = ("authorised", "capturing", "captured")


def cover(*, order_id: int, can_wait: bool, now: datetime) -> tuple[int, ...]:
    """Have the card hold what the order came to above its holds; the lines to leave behind when it will not.

    Empty when all is covered, or was settled before. Else nothing is held for it, nor will be, and the caller says
    where the goods are: ``leave_behind`` or ``forgive``. Repeating is harmless; a no stays a no.

    Raises ``ProviderUnavailable`` while it is not known and, with ``can_wait``, the order has been at the check-out
    for less than ``domain.OVERAGE_PATIENCE``. After that silence is a no, and what may be held yet is released.
    """
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    if order.overage != OverageStatus.ASKED:
        return ()
    if _is_held(order, can_wait=can_wait, now=now):
        _end(order_id, OverageStatus.HELD, now=now)
        return ()
    payments.give_up(customer_id=order.customer_id, order_id=order_id, step=STEP, now=now)
    return _to_leave(order)


@sharding.repeatable
def leave_behind(*, order_id: int, line_ids: Collection[int], now: datetime) -> bool:
    """Price the order anew without these lines, which stay in the store. False when that is settled."""
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = _asked(order_id)
        if order is None:
            return False
        rows = list(order.lines.order_by("position"))
        left = [row for row in rows if row.pk in line_ids]
        for row in left:
            _take_out(row)
        models.OrderLine.objects.bulk_update(left, ["status", "found_quantity", "reason", "replacement_id"])
        final = amounts.final(order, rows)
        for adjustment in final:
            if adjustment.line is not None and adjustment.line.pk in line_ids:
                adjustment.reason = f"left behind: {NOT_PAID_FOR}"
        order.adjustments.filter(phase=Phase.FINAL).delete()  # nothing is booked before the delivery
        models.OrderAdjustment.objects.bulk_create(final)
        names = [row.name for row in left]
        _note(order, OverageStatus.LEFT_BEHIND, {"lines": names, "total_cents": _cents(final)}, now)
    return True


@sharding.repeatable
def forgive(*, order_id: int, now: datetime) -> bool:
    """The goods have left and the card will not pay: the platform does. False when that is settled."""
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = _asked(order_id)
        if order is None:
            return False
        forgiven(order, order.overage_cents, reason=f"above what was held, and {NOT_PAID_FOR}").save()
        _note(order, OverageStatus.FORGIVEN, {"cents": order.overage_cents}, now)
    return True


def forgiven(order: models.Order, cents: int, *, reason: str) -> models.OrderAdjustment:
    """The money line by which the platform pays ``cents`` of an order, not saved yet."""
    return models.OrderAdjustment(
        order=order,
        customer_id=order.customer_id,
        kind=FORGIVEN,
        code=FORGIVEN,
        label="No more than you authorized",
        amount_cents=-cents,
        phase=Phase.FINAL,
        reason=reason,
        actor="system",
    )


def _is_held(order: models.Order, *, can_wait: bool, now: datetime) -> bool:
    try:
        payment = payments.authorise(
            customer_id=order.customer_id,
            order_id=order.pk,
            step=STEP,
            amount=Money(order.overage_cents, order.currency),
            card_id=order.card_id,
            return_url="",
            now=now,
        )
    except (CardNotFound, PaymentConflict):  # the card is gone, or it was given up before
        return False
    except ProviderUnavailable:
        if can_wait and now < _checked_out_at(order) + domain.OVERAGE_PATIENCE:
            raise
        return False
    return payment.status in _HELD


def _checked_out_at(order: models.Order) -> datetime:
    event: models.OrderEvent = order.events.filter(to_status=Status.CHECKOUT).order_by("sequence")[0]
    return event.at


@sharding.repeatable
def _end(order_id: int, status: OverageStatus, *, now: datetime) -> None:
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = _asked(order_id)
        if order is not None:
            held = (order.held_cents or 0) + order.overage_cents
            _note(order, status, {"cents": order.overage_cents}, now, held_cents=held)


def _asked(order_id: int) -> models.Order | None:
    """The order, locked, if its overage is open."""
    rows = models.Order.objects.filter(pk=order_id, overage=OverageStatus.ASKED)
    return rows.select_for_update(of=("self",), no_key=True).first()


def _note(order: models.Order, status: OverageStatus, data: dict[str, Any], now: datetime, **columns: int) -> None:
    order.sequence += 1
    rows = models.Order.objects.filter(pk=order.pk, overage=order.overage)
    rows.update(overage=status, sequence=order.sequence, **columns)
    name = f"overage_{status}"
    moving.note(order, before=Status(order.status), actor="system", now=now, name=name, data=data)


def _to_leave(order: models.Order) -> tuple[int, ...]:
    """The lines without which the order is covered, whole ones, as few as ``domain.leaving_order`` allows."""
    rows = list(order.lines.order_by("position"))
    estimated = _cents_by_line(order.adjustments.filter(phase=Phase.ESTIMATE).select_related("line"))
    leaving: list[int] = []
    for position in domain.leaving_order(_cents_by_line(amounts.final(order, rows)), estimated):
        row = next(row for row in rows if row.position == position)
        _take_out(row)
        leaving.append(row.pk)
        if _cents(amounts.final(order, rows)) <= settling.held(order).cents:
            break
    return tuple(leaving)


def _take_out(row: models.OrderLine) -> None:
    row.status = LineStatus.TO_REFUND
    row.found_quantity = Decimal(0)
    row.reason = LineReason.NOT_PAID_FOR
    row.replacement_id = None


def _cents_by_line(adjustments: Collection[models.OrderAdjustment]) -> Counter[int]:
    """By position."""
    sums = Counter[int]()
    for adjustment in adjustments:
        if adjustment.line is not None:
            sums[adjustment.line.position] += adjustment.amount_cents
    return sums


def _cents(adjustments: Sequence[models.OrderAdjustment]) -> int:
    return sum(adjustment.amount_cents for adjustment in adjustments)
