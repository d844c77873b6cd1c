"""Carry an order from its first row to ``brand_new`` or to nothing, from wherever it stopped.

No step remembers that it ran: each can be repeated, and what is left to do follows from the rows.
Three databases and a payment provider take part and none waits for another inside a transaction:
the customer's shard decides, the store's shard reserves (for ten minutes, so that a forgotten
reservation ends by itself), the provider authorises under a key stored before the call.

``due_at`` says when somebody has to look after an order that nobody may be looking after any more.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

import sharding
from apps.common.money import Money
from apps.inventory import services as inventory
from apps.inventory.errors import OutOfStock, ReservationConsumed, ReservationGone, ReservationNotFound
from apps.orders import domain, models, selectors
from apps.orders.domain import Status
from apps.orders.errors import IllegalTransition, OrderNotFound
from apps.orders.services import holding, moving, settling, tipping
from apps.orders.types import LineReason, Placed, SweepReport
from apps.payments import selectors as payment_selectors
from apps.payments import services as payments
from apps.payments.errors import CardDeclined, CardNotFound, PaymentConflict, ProviderUnavailable
from apps.payments.types import Payment
from apps.slots import services as slots
from apps.slots.errors import HoldGone, WindowClosed, WindowFull, WindowNotFound

logger = logging.getLogger(__name__)

NOT_TO_BE_HAD = (OutOfStock, WindowFull, WindowClosed, WindowNotFound)
SWEEP_LIMIT = 100
MAX_FAILURES = 3
"""Orders of one sweep that may fail before it stops: each may have cost a time-out."""


def resume(*, order_id: int, now: datetime) -> Placed:
    """Do what is left to do for the order and say where it then stands; nothing when nothing is left.

    Pending: reserve, authorise (or check the card, where the window is far away), confirm or reject. Under way: hold
    what was only checked, or has expired. Rejected, canceled, returned: release and void.
    Delivered: capture, and charge a tip that was added. Raises ``ProviderUnavailable`` or a database error when that
    fails in a way that time may heal; the sweeper comes back to it.
    """
    order = _order(order_id)
    status = Status(order.status)
    if status in domain.UNPLACED:
        _complete(order, now)
    elif status in domain.UNDONE:
        undo(order_id=order_id, now=now)
    elif status is Status.DELIVERED:
        settling.settle(order_id=order_id, now=now)
        tipping.charge_tip(order_id=order_id, now=now)
    else:
        holding.hold(order, now=now)
    return standing(_order(order_id))


def complete(order: models.Order, lines: Sequence[models.OrderLine], *, now: datetime) -> Placed:
    """``resume`` for an order that was made a moment ago, of which nothing more can be there yet."""
    payment = _complete(order, now, lines)
    return Placed(
        order_id=order.pk,
        status=order.status,
        action_url=payment.action_url if payment and order.status in domain.UNPLACED else None,
        rejected_code=order.rejected_code,
    )


def standing(order: models.Order) -> Placed:
    """Where the order's placement stands."""
    action_url = None
    if order.status in domain.UNPLACED:
        made = payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk)
        action_url = next((payment.action_url for payment in made if payment.status == "requires_action"), None)
    return Placed(order_id=order.pk, status=order.status, action_url=action_url, rejected_code=order.rejected_code)


@sharding.repeatable
def secure(*, order_id: int, now: datetime) -> None:
    """Make a confirmed order's stock and window its own, without expiry, and give back a window it has left.

    Repeating is harmless. What ran out before this was called is taken again; where it is gone by then, the order is
    canceled for the customer unless a shopper has taken it.
    """
    order = _order(order_id)
    if order.status in domain.UNDONE:
        return
    quantities = _quantities(order)
    try:
        with sharding.atomic(sharding.home("store", order.store_id)):
            _keep(order, quantities, now)
            slots.confirm(store_id=order.store_id, order_id=order_id, version=order.window_version)
    except HoldGone:  # the order moved to another window since it was read; whoever moved it sees to that
        return
    except NOT_TO_BE_HAD as refusal:
        logger.warning("orders.reservation_lost %s %s", order_id, refusal.code)
        reason = {"reason": refusal.code}
        moving.move(
            order_id=order_id,
            to=Status.CANCELED,
            actor="system",
            now=now,
            data=reason,
            only_from=[Status.BRAND_NEW],
        )


@sharding.repeatable
def undo(*, order_id: int, now: datetime) -> None:
    """Release stock and window of an ended order and what is held for it, but for a fee. Repeating is harmless.

    It is done again some minutes after the end, for the sake of a call that was under way when the
    order ended and reserved or authorised afterwards; only then the order is off the sweeper's list.
    """
    order = _order(order_id)
    if order.status not in domain.UNDONE:
        raise IllegalTransition(f"An order that is {order.status} is not undone.")
    with sharding.atomic(sharding.home("store", order.store_id)):
        with suppress(ReservationConsumed):  # what was picked is put back by hand and counted again
            inventory.release(store_id=order.store_id, order_id=order_id, now=now)
        slots.release(store_id=order.store_id, order_id=order_id)
    settling.close(order, now=now)
    models.Order.objects.filter(pk=order_id, ended_at__lte=now - domain.LAST_LOOK).update(due_at=None)


def sweep(*, using: str, now: datetime) -> SweepReport:
    """Resume the orders of one customer shard that are due, oldest first, and name those that need a person.

    Each is claimed before it is worked on, so two sweepers do not share one; a sweep that fails with
    ``MAX_FAILURES`` of them leaves the others to the next.
    """
    advanced = failed = 0
    while advanced + failed < SWEEP_LIMIT and failed < MAX_FAILURES:
        order_id = _claim(using=using, now=now)
        if order_id is None:
            break
        try:
            placed = resume(order_id=order_id, now=now)
        except Exception:
            logger.exception("orders.resume_failed %s", order_id)
            failed += 1
        else:
            is_silent = placed.status == Status.PAYMENT_PENDING and not placed.action_url
            failed += is_silent
            advanced += not is_silent
    return SweepReport(advanced=advanced, stuck=selectors.stuck(using=using, now=now))


def _complete(order: models.Order, now: datetime, lines: Sequence[models.OrderLine] | None = None) -> Payment | None:
    """``lines`` for an order that was just made. The payment, unless there is none or nobody knows."""
    if now >= order.pay_by:
        _reject(order, "placement_timed_out", now)
        return None
    try:
        _hold(order, _quantities(order, lines), now)
        payment = _payment(order, now, is_new=lines is not None)
    except (*NOT_TO_BE_HAD, CardDeclined, CardNotFound) as refusal:
        _reject(order, refusal.code, now)
    except PaymentConflict:  # it was voided or ran out
        _reject(order, "payment_expired", now)
    except ProviderUnavailable:
        _move(order, Status.PAYMENT_PENDING, now)
    else:
        _follow(order, payment, now, lines)
        return payment
    return None


def _follow(order: models.Order, payment: Payment, now: datetime, lines: Sequence[models.OrderLine] | None) -> None:
    """Take the step that the payment's status asks for, if any."""
    match payment.status:
        case "authorised":
            _move(order, Status.BRAND_NEW, now, lines)
        case "checked":
            _move(order, Status.BRAND_NEW, now, lines, due_at=holding.hold_at(order))
        case "requires_action":
            patience_ends = order.placed_at + domain.HOLD if order.status == Status.PENDING else order.pay_by
            if now >= patience_ends:
                _reject(order, "payment_not_completed", now)
        case "declined":
            _reject(order, CardDeclined.code, now)
        case _:  # the provider has not said yet
            _move(order, Status.PAYMENT_PENDING, now)


def _quantities(order: models.Order, lines: Sequence[models.OrderLine] | None = None) -> dict[int, Decimal]:
    """By item id."""
    if lines is not None:
        return {line.item_id: line.quantity for line in lines}
    wanted = order.lines.exclude(reason=LineReason.TAKEN_OUT).order_by("item_id")
    return dict(wanted.values_list("item_id", "quantity"))


def _keep(order: models.Order, quantities: Mapping[int, Decimal], now: datetime) -> None:
    """Make the reservation the order's own. A reservation that is may have been changed since ``quantities`` were read,

    so it is not compared with them. In the caller's transaction.
    """
    try:
        inventory.commit(store_id=order.store_id, order_id=order.pk)
    except (ReservationGone, ReservationNotFound):
        _hold(order, quantities, now)
        inventory.commit(store_id=order.store_id, order_id=order.pk)
    else:
        _hold(order, {}, now)


@sharding.repeatable
def _hold(order: models.Order, quantities: Mapping[int, Decimal], now: datetime) -> None:
    """Reserve stock (none where ``quantities`` is empty) and window, in one transaction on the store's shard.

    Stock before window, here and wherever they are released: two orders never wait for each other.
    """
    store_id, expires_at = order.store_id, now + domain.HOLD
    with sharding.atomic(sharding.home("store", store_id)):
        inventory.reserve(store_id=store_id, order_id=order.pk, quantities=quantities, expires_at=expires_at, now=now)
        slots.hold(
            store_id=store_id,
            window_id=order.window_id,
            order_id=order.pk,
            minutes=order.window_minutes,
            version=order.window_version,
            expires_at=expires_at,
            now=now,
        )


def _payment(order: models.Order, now: datetime, *, is_new: bool) -> Payment:
    """The order's payment as it is now; made if nobody has asked for one yet, as nobody has for a new order."""
    made = () if is_new else payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk)
    if any(payment.step == settling.STEP and payment.status == "requires_action" for payment in made):
        return payments.refresh(customer_id=order.customer_id, order_id=order.pk, step=settling.STEP, now=now)
    ask = payments.prepare if now < holding.hold_at(order) else payments.authorise
    return ask(
        customer_id=order.customer_id,
        order_id=order.pk,
        step=settling.STEP,
        amount=Money(order.authorise_cents, order.currency),
        card_id=order.card_id,
        return_url=f"{settings.PUBLIC_URL}/orders/{order.pk}/",
        now=now,
    )


def _reject(order: models.Order, code: str, now: datetime) -> None:
    _move(order, Status.REJECTED, now, rejected_code=code)


def _move(
    order: models.Order, to: Status, now: datetime, lines: Sequence[models.OrderLine] | None = None, **changes: Any
) -> None:
    """Take the step, unless somebody was faster: when the order has ended meanwhile, what we reserved is given back."""
    try:
        moving.move(order_id=order.pk, to=to, actor="system", now=now, changes=changes, known=order, lines=lines)
    except IllegalTransition:
        if order.status in domain.UNDONE:
            undo(order_id=order.pk, now=now)


def _claim(*, using: str, now: datetime) -> int | None:
    """The order that has been due longest, put off for as long as a step may take."""
    with sharding.atomic(using):
        due = sharding.owned(models.Order.objects, using).filter(due_at__lte=now).order_by("due_at")
        order_id = due.select_for_update(skip_locked=True).values_list("pk", flat=True).first()
        if order_id is not None:
            models.Order.objects.using(using).filter(pk=order_id).update(due_at=now + domain.PATIENCE)
    return order_id


def _order(order_id: int) -> models.Order:
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order
