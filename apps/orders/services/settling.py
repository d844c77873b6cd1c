"""Take the money for what was delivered, from all that is held for it."""

from datetime import datetime

import sharding
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.orders import domain, models, selectors
from apps.orders.domain import Status
from apps.orders.errors import IllegalTransition, OrderNotFound
from apps.orders.services import moving
from apps.payments import selectors as payment_selectors
from apps.payments import services as payments
from apps.payments.errors import NotCapturable
from apps.payments.types import SMALLEST_CENTS, Payment
from apps.pricing.types import FORGIVEN

STEP = "estimate"
"""Name of the payment made when ordering; one for a larger total or a later tip gets a name of its own."""
ADDED = "added-"
"""What the names of the payments begin with that hold the money for what was added to the order; they are numbered."""
_HELD = ("authorised", "capturing", "captured", "expired")


@sharding.repeatable
def settle(*, order_id: int, now: datetime) -> Money:
    """Capture the final total of a delivered order from its holds, once, and say how much that was.

    Repeating it is harmless: payments keeps one capture per order and step. Nothing found in the
    store means nothing to pay, and the authorisation is given back. One that has expired is held anew
    first. Raises ``ProviderUnavailable`` while the provider is silent (the sweeper tries again), and
    ``NotCapturable`` where the bank will not pay any more.
    """
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    if order.captured_cents is not None:
        return Money(order.captured_cents, order.currency)
    if order.status != Status.DELIVERED:
        raise IllegalTransition(f"An order that is {order.status} is not paid for yet.")

    total = selectors.total(order_id=order_id, phase=domain.Phase.FINAL)
    take(order, total, now=now)
    for payment in payment_selectors.payments(customer_id=order.customer_id, order_id=order_id):
        if not payment.is_charge:  # holds that somebody began for an addition, and never came back to
            payments.give_up(customer_id=order.customer_id, order_id=order_id, step=payment.step, now=now)

    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        unsettled = models.Order.objects.filter(pk=order_id, captured_cents__isnull=True, sequence=order.sequence)
        columns = {"captured_cents": total.cents, "settled_at": now, "due_at": None, "sequence": order.sequence + 1}
        if unsettled.update(**columns):
            order.sequence += 1
            data = {"captured_cents": total.cents}
            moving.note(order, before=Status.DELIVERED, actor="system", now=now, name="settled", data=data)
            ledger.pass_tip_on(customer_id=order.customer_id, order_id=order_id, now=now)
    return total


def close(order: models.Order, *, now: datetime) -> None:
    """Take the fee of an order that ended without a delivery from its holds, and release the rest; all, without a fee.

    Repeating is harmless. A fee that the bank will not pay any more is written off. Raises ``ProviderUnavailable``.
    """
    fee = selectors.total(order_id=order.pk, phase=domain.Phase.FINAL)
    if order.captured_cents is None and fee:
        try:
            take(order, fee, now=now)
        except NotCapturable:
            _write_off(order.pk, fee, now=now)
            fee = Money(0, order.currency)
        else:
            _note_fee(order.pk, fee, now=now)
    if not fee:
        return payments.void(customer_id=order.customer_id, order_id=order.pk, now=now)
    for payment in payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk):
        payments.give_up(customer_id=order.customer_id, order_id=order.pk, step=payment.step, now=now)


@sharding.repeatable
def _note_fee(order_id: int, fee: Money, *, now: datetime) -> None:
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = models.Order.objects.select_for_update(of=("self",), no_key=True).get(pk=order_id)
        if order.captured_cents is None:
            order.sequence += 1
            columns = {"captured_cents": fee.cents, "settled_at": now, "sequence": order.sequence}
            models.Order.objects.filter(pk=order_id).update(**columns)
            data = {"captured_cents": fee.cents}
            moving.note(order, before=Status(order.status), actor="system", now=now, name="fee_charged", data=data)


@sharding.repeatable
def _write_off(order_id: int, fee: Money, *, now: datetime) -> None:
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = models.Order.objects.select_for_update(of=("self",), no_key=True).get(pk=order_id)
        if not ledger.write_off(customer_id=order.customer_id, order_id=order_id, amount=fee, now=now):
            return
        models.OrderAdjustment.objects.create(
            order=order,
            customer_id=order.customer_id,
            kind=FORGIVEN,
            code=FORGIVEN,
            label="Fee waived",
            amount_cents=-fee.cents,
            phase=domain.Phase.FINAL,
            reason="the bank would not pay it",
            actor="system",
        )


def holds(order: models.Order) -> list[Payment]:
    """The payments that hold money for the order, or did until the provider ended them, in the order of their making.

    The first one counts in any case, further ones once they hold. What is charged at once is none of them. 1 query.
    """
    made = payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk)
    return [
        payment
        for payment in made
        if not payment.is_charge and (payment.step == STEP or payment.status in _HELD or _is_renewing(payment))
    ]


def held(order: models.Order) -> Money:
    """What all of them come to. 1 query."""
    return Money.total((payment.amount for payment in holds(order)), order.currency)


def _is_renewing(payment: Payment) -> bool:
    return payment.status == "authorising" and payment.attempt > 1


def take(order: models.Order, total: Money, *, now: datetime) -> None:
    """Capture ``total`` from the order's holds in the order of their making, and release what is left of them.

    The shares follow from the amounts held, so whoever is interrupted goes on with the same. Raises as ``settle``.
    """
    held_by = holds(order)
    shares = domain.shares(total.cents, [hold.amount.cents for hold in held_by], smallest=SMALLEST_CENTS)
    for hold, cents in zip(held_by, shares, strict=True):
        if cents or hold.status != "expired":
            _take(order, hold.step, Money(cents, order.currency), now)


def _take(order: models.Order, step: str, amount: Money, now: datetime) -> None:
    try:
        payments.capture(customer_id=order.customer_id, order_id=order.pk, step=step, amount=amount, now=now)
    except NotCapturable:
        renewed = payments.renew(customer_id=order.customer_id, order_id=order.pk, step=step, now=now)
        if renewed.status != "authorised":
            raise  # the bank says no: a person has to find another way
        payments.capture(customer_id=order.customer_id, order_id=order.pk, step=step, amount=amount, now=now)
