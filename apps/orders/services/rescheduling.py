"""Another delivery window for an order that no shopper has taken yet.

Three steps, each a transaction of its own: the new window is held on the store's shard (for two minutes);
the order is changed on the customer's; then the new window is confirmed and the old one given back. Killed
before the second, the new window's hold runs out and nothing has happened. Killed after it, the event
``orders.rescheduled`` takes the third.
"""

from datetime import datetime

import sharding
from apps.common.errors import Conflict
from apps.common.money import Money
from apps.orders import domain, models, selectors
from apps.orders.domain import Phase, Status
from apps.orders.errors import (
    OrderNotFound,
    RescheduleNotCovered,
    RescheduleTooFar,
    RescheduleUnderWay,
    TooLateToReschedule,
)
from apps.orders.events import OrderRescheduled
from apps.orders.services import amounts, completing, moving, settling
from apps.payments import selectors as payments
from apps.slots import selectors as slot_selectors
from apps.slots import services as slots
from apps.slots.errors import HoldDiffers
from apps.slots.types import Window

REASON = "another delivery window"


def reschedule(*, order_id: int, customer_id: int, window_id: int, now: datetime) -> None:
    """Move the customer's order to another window of its store; repeating it changes nothing.

    The estimate changes by the difference of the two windows' fees (and the tax on it). The card is not
    asked again: what was authorised has to cover the new estimate with its 15 % for weights.

    Raises:
        OrderNotFound: no such order, or not this customer's.
        TooLateToReschedule: a shopper has taken it, its window is past its cut-off, or it has ended.
        WindowNotFound, WindowClosed, WindowFull: the new window is not to be had.
        RescheduleNotCovered, RescheduleTooFar: the authorisation is too small for it, or runs out before.
        RescheduleUnderWay: it is being moved to a third window at this moment.
    """
    if selectors.owner(order_id=order_id) != customer_id:
        raise OrderNotFound(f"There is no order {order_id}.")
    _reschedule(order_id, window_id, actor=f"customer:{customer_id}", now=now)


def reschedule_by_staff(*, order_id: int, window_id: int, user_id: int, now: datetime) -> None:
    """``reschedule`` by support, on any order; whoever asks has been checked."""
    _reschedule(order_id, window_id, actor=f"staff:{user_id}", now=now)


def _reschedule(order_id: int, window_id: int, *, actor: str, now: datetime) -> None:
    order = _order(order_id)
    if order.window_id == window_id and order.status == Status.BRAND_NEW:
        completing.secure(order_id=order_id, now=now)
        return
    _check_time(order, now)
    window = slot_selectors.window(store_id=order.store_id, window_id=window_id)
    _check_authorisation(order, window)
    version = order.window_version + 1
    try:
        slots.hold(
            store_id=order.store_id,
            window_id=window_id,
            order_id=order_id,
            minutes=order.window_minutes,
            version=version,
            expires_at=now + domain.MOVING,
            now=now,
        )
    except HoldDiffers as other:
        raise RescheduleUnderWay(
            "This order is being moved to another window at this moment; look at it again in two minutes."
        ) from other
    try:
        _change(order_id, window, version=version, actor=actor, now=now)
    except Conflict:
        slots.give_up(store_id=order.store_id, order_id=order_id, window_id=window_id, version=version)
        raise
    completing.secure(order_id=order_id, now=now)


def _check_time(order: models.Order, now: datetime) -> None:
    _check_status(order)
    present = slot_selectors.window(store_id=order.store_id, window_id=order.window_id)
    if present.cutoff_at <= now:
        raise TooLateToReschedule("The shopping for this order is about to begin; its time cannot be changed any more.")


def _check_status(order: models.Order) -> None:
    if order.status != Status.BRAND_NEW:
        raise TooLateToReschedule("The time of this order can no longer be changed.")


def _check_authorisation(order: models.Order, window: Window) -> None:
    """That the card's hold is large enough, and lasts long enough."""
    _, differences = amounts.moved(order, list(order.lines.order_by("position")), window_fee=window.fee)
    difference = Money.total((charge.amount for charge in differences), order.currency)
    estimate = selectors.total(order_id=order.pk, phase=Phase.ESTIMATE)
    if domain.amount_to_authorise(estimate + difference).cents > order.authorise_cents:
        raise RescheduleNotCovered(
            f"That window costs {difference} more than your card was authorised for; cancel this order and order anew."
        )
    made = payments.payments(customer_id=order.customer_id, order_id=order.pk)
    ends = [payment.capture_before for payment in made if payment.step == settling.STEP and payment.capture_before]
    if ends and max(ends) <= window.ends_at:
        raise RescheduleTooFar("Your bank does not keep the money for so long; choose an earlier window.")


@sharding.repeatable
def _change(order_id: int, window: Window, *, version: int, actor: str, now: datetime) -> None:
    """Write the new window and its price into the order, guarded by status and version; once, of many at once."""
    alias = sharding.alias_of_id("customer", order_id)
    with sharding.atomic(alias):
        order = models.Order.objects.select_for_update().get(pk=order_id)
        if order.window_version == version and order.window_id == window.id:
            return
        _check_status(order)
        if order.window_version != version - 1:
            raise RescheduleUnderWay("This order was moved to another window a moment ago; look at it again.")
        lines = list(order.lines.order_by("position"))
        fees, differences = amounts.moved(order, lines, window_fee=window.fee)
        before = order.window_starts_at
        columns = {
            "window_id": window.id,
            "window_starts_at": window.starts_at,
            "window_ends_at": window.ends_at,
            "window_version": version,
            "fees": fees,
            "sequence": order.sequence + 1,
        }
        models.Order.objects.filter(pk=order_id).update(**columns)
        for column, value in columns.items():
            setattr(order, column, value)
        adjustments = amounts.adjustments(order, lines, differences, phase=Phase.ESTIMATE)
        for adjustment in adjustments:
            adjustment.reason, adjustment.actor = REASON, actor
        models.OrderAdjustment.objects.bulk_create(adjustments)
        moving.note(
            order,
            before=Status.BRAND_NEW,
            actor=actor,
            now=now,
            name=domain.RESCHEDULED,
            data={
                "from": before.isoformat(),
                "to": window.starts_at.isoformat(),
                "difference_cents": sum(charge.amount.cents for charge in differences),
            },
            also=[
                OrderRescheduled(
                    order_id=order_id,
                    customer_id=order.customer_id,
                    store_id=order.store_id,
                    window_id=window.id,
                    window_version=version,
                    window_starts_at=window.starts_at.isoformat(),
                    window_ends_at=window.ends_at.isoformat(),
                )
            ],
        )


def _order(order_id: int) -> models.Order:
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order
