"""What the shopper found, and what it costs."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sharding
from apps.common import outbox
from apps.common.money import Money
from apps.orders import domain, models
from apps.orders.domain import LineStatus, OverageStatus, Status
from apps.orders.errors import IllegalTransition, LineNotFound, LinesOpen, OrderNotFound
from apps.orders.events import OrderLineRecorded
from apps.orders.services import amounts, moving, overrunning, settling
from apps.orders.types import PickedLine
from apps.payments.types import SMALLEST_CENTS

OPEN = (Status.PICKING, Status.VERIFYING_REPLACEMENTS)


@sharding.repeatable
def record_line(
    *, order_id: int, line_id: int, status: str, found_quantity: Decimal, actor: str, now: datetime, reason: str = ""
) -> bool:
    """Note what became of a line: ``found`` with the quantity taken, or ``to_refund`` and why; the last note stands.

    False, and nothing changes, once picking is over: what the check-out said counts, and notes may
    arrive late.

    Raises:
        OrderNotFound, LineNotFound: there is no such order or line.
        IllegalTransition: picking has not begun.
        LineStatusInvalid, FoundQuantityInvalid: see ``domain.checked_found``.
    """
    with sharding.atomic(sharding.alias_of_id("customer", order_id)) as alias:
        order = _locked(order_id)
        if order.status not in OPEN:
            _refuse_unless_over(order)
            return False
        _record(order, [PickedLine(line_id=line_id, status=status, found_quantity=found_quantity, reason=reason)])
        outbox.emit(
            OrderLineRecorded(
                order_id=order_id,
                line_id=line_id,
                line_status=status,
                order_status=order.status,
                sequence=order.sequence,
            ),
            using=alias,
        )
    return True


@sharding.repeatable
def finalise(*, order_id: int, now: datetime, lines: Sequence[PickedLine] = (), actor: str = "system") -> bool:
    """Price what was found and move the order to ``checkout``; False when that was done before.

    ``lines`` are recorded first, in the same transaction: the check-out's own word on every line.
    Prices, fees and taxes are those of the estimate; a refunded line stays on the receipt at 0. With
    nothing found nothing is charged. What the total is above all that is held waits for ``cover``, and the order stays
    at the check-out so long; less than a card can be charged with is forgiven at once.

    Raises:
        OrderNotFound: there is no such order.
        IllegalTransition: picking has not begun.
        LinesOpen: lines are neither found nor refunded yet.
        LineNotFound, LineStatusInvalid, FoundQuantityInvalid: as ``record_line``.
    """
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = _locked(order_id)
        if order.status not in OPEN:
            _refuse_unless_over(order)
            return False
        _record(order, lines)
        picked = list(order.lines.order_by("position"))
        still_open = [line.name for line in picked if line.status == LineStatus.NOT_PICKED]
        if still_open:
            raise LinesOpen(f"Neither found nor refunded yet: {', '.join(still_open)}.")
        adjustments = amounts.final(order, picked)
        held = settling.held(order)
        over = domain.overrun([Money(line.amount_cents, order.currency) for line in adjustments], held)
        changes: dict[str, Any] = {"held_cents": held.cents}
        if over.cents >= SMALLEST_CENTS:
            changes |= {"overage": OverageStatus.ASKED, "overage_cents": over.cents}
        elif over:
            adjustments.append(overrunning.forgiven(order, over.cents, reason="cents above what was held"))
        models.OrderAdjustment.objects.bulk_create(adjustments)
        moving.move(order_id=order_id, to=Status.CHECKOUT, actor=actor, now=now, only_from=OPEN, changes=changes)
    return True


def _locked(order_id: int) -> models.Order:
    order = models.Order.objects.filter(pk=order_id).select_for_update(of=("self",), no_key=True).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order


def _refuse_unless_over(order: models.Order) -> None:
    if not order.events.filter(to_status=Status.CHECKOUT).exists():
        raise IllegalTransition(f"An order that is {order.status} is not being picked.")


def _record(order: models.Order, picked: Sequence[PickedLine]) -> None:
    """Write ``picked`` into the order's lines, in key order."""
    if not picked:
        return
    lines = {line.pk: line for line in order.lines.all()}  # not by the ids given: those may name another shard
    for entry in picked:
        if entry.line_id not in lines:
            raise LineNotFound(f"Order {order.pk} has no line {entry.line_id}.")
        line = lines[entry.line_id]
        line.status = entry.status
        line.found_quantity = domain.checked_found(
            entry.found_quantity, status=entry.status, ordered=line.quantity, sold_by=line.sold_by
        )
        line.reason = entry.reason
    noted = {entry.line_id: lines[entry.line_id] for entry in picked}
    models.OrderLine.objects.bulk_update(noted.values(), ["status", "found_quantity", "reason"])
