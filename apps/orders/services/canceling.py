"""Ends without a delivery: who may end an order, and what it costs the customer."""

from collections.abc import Collection, Mapping
from datetime import datetime

import sharding
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.orders import domain, models, selectors
from apps.orders.domain import CancelReason, Phase, Status
from apps.orders.errors import CancelingCosts, CancelReasonInvalid, IllegalTransition, OrderNotFound, TooLateToCancel
from apps.orders.services import moving
from apps.pricing.types import ACKNOWLEDGED, FEE, RETURNED

CANCELLATION = "cancellation"
RESTOCKING = "restocking"


def cancel(*, order_id: int, customer_id: int, reason: str, now: datetime, agreed: Money | None = None) -> None:
    """Cancel the customer's order; repeating changes nothing. Free until a shopper has it, then for the zone's fee.

    ``agreed`` is the fee the customer was shown (``selectors.cancellation``); none is none. Stock and window are
    released right after, by the event, the fee is taken from what is held, and the rest of that is released.

    Raises:
        OrderNotFound: no such order, or not this customer's.
        CancelingCosts: more than ``agreed``; nothing is canceled.
        TooLateToCancel: the shopping has begun, or it has ended otherwise.
    """
    order = _order(order_id)
    if order.customer_id != customer_id:
        raise OrderNotFound(f"There is no order {order_id}.")
    fee = Money(0, order.currency)
    if order.status == Status.ACKNOWLEDGED:
        fee = selectors.ending_fee(order, ACKNOWLEDGED)
        if fee.cents > (agreed.cents if agreed else 0):
            raise CancelingCosts(fee=fee)
    try:
        _end(
            order_id,
            Status.CANCELED,
            actor=f"customer:{customer_id}",
            now=now,
            data={"reason": domain.plain(reason, domain.MAX_REASON_LENGTH)},
            only_from=[Status.ACKNOWLEDGED] if order.status == Status.ACKNOWLEDGED else domain.FREELY_CANCELABLE,
            fee=fee,
            label="Cancellation fee",
            code=CANCELLATION,
        )
    except IllegalTransition as refusal:
        if _order(order_id).status in domain.CANCELABLE:  # a shopper took it, or gave it back, at this moment
            return cancel(order_id=order_id, customer_id=customer_id, reason=reason, now=now, agreed=agreed)
        raise TooLateToCancel("This order can no longer be canceled.") from refusal


def cancel_for_customer(*, order_id: int, actor: str, reason: str, now: datetime, note: str = "") -> None:
    """Cancel an order by its store or by support (``actor``, who was checked), free of charge, up to the check-out.

    Repeating changes nothing. Raises ``OrderNotFound``, ``CancelReasonInvalid`` for a reason that is no
    ``CancelReason``, and ``TooLateToCancel``.
    """
    if reason not in list(CancelReason):
        raise CancelReasonInvalid(f"The reason is one of {', '.join(CancelReason)}.")
    order = _order(order_id)
    try:
        _end(
            order_id,
            Status.CANCELED,
            actor=actor,
            now=now,
            data={"reason": reason, "note": domain.plain(note, domain.MAX_REASON_LENGTH)},
            only_from=domain.CANCELABLE_FOR_CUSTOMER,
            fee=Money(0, order.currency),
            label="",
            code="",
        )
    except IllegalTransition as refusal:
        raise TooLateToCancel("This order is paid for at the till, or has ended: it cannot be canceled.") from refusal


def return_order(*, order_id: int, actor: str, now: datetime, note: str = "") -> None:
    """Nobody was there, and the goods go back: the order costs the zone's restocking fee instead of its goods.

    Repeating changes nothing. What was picked is put back by hand and counted again. Raises ``OrderNotFound``, and
    ``IllegalTransition`` for an order whose customer was not missed.
    """
    order = _order(order_id)
    _end(
        order_id,
        Status.RETURNED,
        actor=actor,
        now=now,
        data={"note": domain.plain(note, domain.MAX_REASON_LENGTH)},
        only_from=[Status.CUSTOMER_MISSING],
        fee=selectors.ending_fee(order, RETURNED),
        label="Restocking fee",
        code=RESTOCKING,
    )


@sharding.repeatable
def _end(
    order_id: int,
    to: Status,
    *,
    actor: str,
    now: datetime,
    data: Mapping[str, str],
    only_from: Collection[Status],
    fee: Money,
    label: str,
    code: str,
) -> None:
    """Move the order to its end and let it cost ``fee`` instead of anything else, in one transaction."""
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        data = {**data, "fee": str(fee)} if fee else data
        if not moving.move(order_id=order_id, to=to, actor=actor, now=now, data=data, only_from=only_from):
            return
        order = _order(order_id)
        order.adjustments.filter(phase=Phase.FINAL).delete()  # nothing of it is booked: that comes with a delivery
        if not fee:
            return
        models.OrderAdjustment.objects.create(
            order=order,
            customer_id=order.customer_id,
            kind=FEE,
            code=code,
            label=label,
            amount_cents=fee.cents,
            phase=Phase.FINAL,
            reason=data.get("reason", ""),
            actor=actor,
        )
        ledger.book_sale(
            customer_id=order.customer_id,
            order_id=order_id,
            store_id=order.store_id,
            cents_by_kind={FEE: fee.cents},
            currency=order.currency,
            now=now,
        )


def _order(order_id: int) -> models.Order:
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order
