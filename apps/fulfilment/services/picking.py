"""In the aisles."""

from datetime import datetime
from decimal import Decimal

import sharding
from apps.common import outbox
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus, Status
from apps.fulfilment.errors import LineNotFound, LineReasonInvalid, LinesOpen, LineTakenOut
from apps.fulfilment.events import CheckedOut, LinePicked, PickingStarted
from apps.fulfilment.services import lines, replacing, stages
from apps.inventory import services as inventory


@sharding.repeatable
def start_picking(*, store_order_id: int, shopper_id: int, now: datetime) -> bool:
    """The shopper is in the store. False when that is known. Raises what ``stages.advance`` does."""
    target = sharding.home_of_id("store", store_order_id)
    with sharding.atomic(target):
        is_new = stages.advance(
            store_order_id=store_order_id, shopper_id=shopper_id, to=Status.PICKING, now=now, picking_started_at=now
        )
        if is_new:
            row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)
            event = PickingStarted(
                store_order_id=row.pk, order_id=row.order_id, store_id=row.store_id, shopper_id=shopper_id
            )
            outbox.emit(event, using=target.alias)
    return is_new


def mark_found(*, store_order_id: int, line_id: int, shopper_id: int, quantity: Decimal, now: datetime) -> bool:
    """``quantity`` of the line is in the bag; a later word replaces an earlier one. False when nothing is new.

    Raises:
        StoreOrderNotFound, LineNotFound: not this shopper's, or not on this order.
        LineTakenOut: the customer does not want it any more.
        OrderWasCanceled, WrongStage: the order is not being picked.
        QuestionOpen: the customer is being asked about the line.
        FoundQuantityInvalid: see ``domain.checked_found``.
    """
    return _set_line(
        store_order_id=store_order_id,
        line_id=line_id,
        shopper_id=shopper_id,
        status=LineStatus.FOUND,
        found=quantity,
        now=now,
    )


def mark_refund(*, store_order_id: int, line_id: int, shopper_id: int, reason: str, now: datetime) -> bool:
    """The line is not to be had, and why (a ``LineReason``); the customer does not pay for it. Else as ``mark_found``.

    Where the shelf is empty, the item's stock falls with it, and the store stops offering it until somebody counts.
    Raises ``LineReasonInvalid`` too.
    """
    if reason not in domain.NOT_BROUGHT:
        raise LineReasonInvalid(f"The reason is one of {', '.join(sorted(domain.NOT_BROUGHT))}.")
    return _set_line(
        store_order_id=store_order_id,
        line_id=line_id,
        shopper_id=shopper_id,
        status=LineStatus.TO_REFUND,
        found=Decimal(0),
        now=now,
        reason=reason,
    )


@sharding.repeatable
def check_out(*, store_order_id: int, shopper_id: int, now: datetime) -> bool:
    """Everything is picked, and what the lines say is final. False when that is known.

    Raises ``LinesOpen`` while a line is neither found, replaced nor refunded, and what ``stages.advance`` does.
    """
    target = sharding.home_of_id("store", store_order_id)
    with sharding.atomic(target):
        row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)
        picked = list(row.lines.order_by("pk"))
        still_open = [line.name for line in picked if line.status == LineStatus.NOT_PICKED]
        if still_open and row.status == Status.PICKING:
            raise LinesOpen(f"Not picked, or the customer has not answered yet: {', '.join(still_open[:5])}.")
        is_new = stages.advance(
            store_order_id=store_order_id, shopper_id=shopper_id, to=Status.CHECKOUT, now=now, picked_at=now
        )
        if is_new:
            event = CheckedOut(
                store_order_id=row.pk,
                order_id=row.order_id,
                store_id=row.store_id,
                shopper_id=shopper_id,
                lines=[
                    {
                        "line_id": line.line_id,
                        "item_id": line.item_id,
                        "status": line.status,
                        "found_quantity": str(line.found_quantity),
                    }
                    for line in picked
                ],
            )
            outbox.emit(event, using=target.alias)
    return is_new


@sharding.repeatable
def _set_line(
    *,
    store_order_id: int,
    line_id: int,
    shopper_id: int,
    status: LineStatus,
    found: Decimal,
    now: datetime,
    reason: str = "",
) -> bool:
    target = sharding.home_of_id("store", store_order_id)
    with sharding.atomic(target):
        row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)  # a check-out waits for us
        if row.status != Status.PICKING:
            stages.refuse(row, f"The order is not being picked: it is {row.status}.")
        line = row.lines.filter(line_id=line_id).first()
        if line is None:
            raise LineNotFound("There is no such line on this order.")
        if line.is_taken_out:
            raise LineTakenOut("The customer took this out of the order; leave it on the shelf.")
        if status == LineStatus.FOUND:
            domain.checked_found(found, ordered=line.quantity, sold_by=line.sold_by)
        if (line.status, line.found_quantity, line.refund_reason) == (status, found, reason):
            return False
        replacing.refuse_while_asking(row, line_id)
        replacing.put_back(line)
        lines.move(row.lines.filter(pk=line.pk), status, found_quantity=found, refund_reason=reason)
        models.StoreOrder.objects.filter(pk=row.pk).update(progress_at=now)
        if reason in domain.EMPTY_SHELF:
            inventory.note_missing(store_id=row.store_id, order_id=row.order_id, item_id=line.item_id, now=now)
        event = LinePicked(
            store_order_id=row.pk,
            order_id=row.order_id,
            store_id=row.store_id,
            line_id=line_id,
            status=status,
            found_quantity=str(found),
            shopper_id=shopper_id,
        )
        outbox.emit(event, using=target.alias)
    return True
