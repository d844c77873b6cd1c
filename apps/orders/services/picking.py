"""What the shopper found, and what it costs."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sharding
from apps.common import outbox
from apps.common.money import Money
from apps.orders import domain, models, replacements
from apps.orders.domain import LineStatus, OverageStatus, Status
from apps.orders.errors import IllegalTransition, LineNotFound, LinesOpen, LineStatusInvalid, OrderNotFound
from apps.orders.events import OrderLineRecorded
from apps.orders.services import amounts, moving, overrunning, settling
from apps.orders.types import PickedLine, ReplacementStatus
from apps.payments.types import SMALLEST_CENTS


@sharding.repeatable
def record_line(
    *, order_id: int, line_id: int, status: str, found_quantity: Decimal, actor: str, now: datetime, reason: str = ""
) -> bool:
    """Note what became of a line: ``found`` with the quantity taken, or ``to_refund`` and why; the last note stands.

    False, and nothing changes, once picking is over: what the check-out said counts, and notes may
    arrive late. So too while a question about the line is open: it was asked after that note.

    Raises:
        OrderNotFound, LineNotFound: there is no such order or line.
        IllegalTransition: picking has not begun.
        LineStatusInvalid, FoundQuantityInvalid: see ``domain.checked_found``.
    """
    with sharding.atomic(sharding.alias_of_id("customer", order_id)) as alias:
        order = locked(order_id)
        if order.status not in domain.BEING_PICKED:
            _refuse_unless_over(order)
            return False
        if line_id in asked_about(order):
            return False
        _record(order, [PickedLine(line_id=line_id, status=status, found_quantity=found_quantity, reason=reason)])
        follow_questions(order, actor=actor, now=now)
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
        LinesOpen: lines have no outcome yet, or a question about them is open.
        LineNotFound, LineStatusInvalid, FoundQuantityInvalid: as ``record_line``.
    """
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = locked(order_id)
        if order.status not in domain.BEING_PICKED:
            _refuse_unless_over(order)
            return False
        _record(order, lines)
        picked = list(order.lines.order_by("position"))
        asked = asked_about(order)
        still_open = [line.name for line in picked if line.status == LineStatus.NOT_PICKED or line.pk in asked]
        if still_open:
            raise LinesOpen(f"Neither found, replaced nor refunded yet: {', '.join(still_open)}.")
        adjustments = amounts.final(order, picked)
        held = settling.held(order)
        over = domain.overrun([Money(line.amount_cents, order.currency) for line in adjustments], held)
        changes: dict[str, Any] = {"held_cents": held.cents}
        if over.cents >= SMALLEST_CENTS:
            changes |= {"overage": OverageStatus.ASKED, "overage_cents": over.cents}
        elif over:
            adjustments.append(overrunning.forgiven(order, over.cents, reason="cents above what was held"))
        models.OrderAdjustment.objects.bulk_create(adjustments)
        moving.move(
            order_id=order_id, to=Status.CHECKOUT, actor=actor, now=now, only_from=domain.BEING_PICKED, changes=changes
        )
    return True


def asked_about(order: models.Order) -> frozenset[int]:
    """Ids of the lines that the customer is being asked about."""
    asked = order.replacements.filter(status=ReplacementStatus.PROPOSED)
    return frozenset(asked.values_list("line_id", flat=True))


def follow_questions(order: models.Order, *, actor: str, now: datetime) -> None:
    """Let a locked order wait for its customer when nothing but their answers is missing, and wait no longer else."""
    asked = asked_about(order)
    unpicked = set(order.lines.filter(status=LineStatus.NOT_PICKED).values_list("pk", flat=True)) if asked else set()
    to = Status.VERIFYING_REPLACEMENTS if asked and unpicked <= asked else Status.PICKING
    if order.status != to:
        moving.move(order_id=order.pk, to=to, actor=actor, now=now, only_from=domain.BEING_PICKED, known=order)


def locked(order_id: int) -> models.Order:
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
    named = any(entry.proposal_id for entry in picked)
    accepted = order.replacements.filter(status__in=replacements.ACCEPTED) if named else ()
    by_proposal = {one.proposal_id: one for one in accepted}
    for entry in picked:
        if entry.line_id not in lines:
            raise LineNotFound(f"Order {order.pk} has no line {entry.line_id}.")
        line = lines[entry.line_id]
        if entry.status == LineStatus.REPLACED:
            replaced_by(line, by_proposal.get(entry.proposal_id or 0))
            continue
        found = domain.checked_found(
            entry.found_quantity, status=entry.status, ordered=line.quantity, sold_by=line.sold_by
        )
        become(line, LineStatus(entry.status), found=found, reason=entry.reason)
    noted = {entry.line_id: lines[entry.line_id] for entry in picked}
    models.OrderLine.objects.bulk_update(noted.values(), ["status", "found_quantity", "reason", "replacement_id"])


def replaced_by(line: models.OrderLine, replacement: models.Replacement | None) -> None:
    """Let ``line``, not saved yet, be delivered as what was accepted for it. Raises ``LineStatusInvalid``."""
    if replacement is None or replacement.line_id != line.pk:
        raise LineStatusInvalid(f"Nobody accepted a replacement of {line.name}; propose one first.")
    become(line, LineStatus.REPLACED, found=replacement.quantity, replacement_id=replacement.pk)


def become(
    line: models.OrderLine,
    status: LineStatus,
    *,
    found: Decimal | None = None,
    reason: str = "",
    replacement_id: int | None = None,
) -> None:
    """Give ``line``, not saved yet, its outcome: the customer's copy of what the store's shard says, or will."""
    line.status = status
    line.found_quantity = found
    line.reason = reason
    line.replacement_id = replacement_id
