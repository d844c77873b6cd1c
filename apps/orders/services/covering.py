"""Money for what is added to an order: the card is authorised for the difference, as a payment of its own."""

from datetime import datetime

from django.conf import settings

from apps.common.money import Money
from apps.orders import domain, models
from apps.orders.errors import EditNeedsBank, EditNotCovered
from apps.orders.services import settling
from apps.payments import selectors as payment_selectors
from apps.payments import services as payments
from apps.payments.types import Payment

_OPEN = frozenset({"authorising", "requires_action"})


def covered(order: models.Order, estimate: Money, *, present: Money, now: datetime) -> int:
    """Cents that the order's card is authorised for, which is enough for ``estimate``; the difference is held first.

    ``present`` is what the estimate is until then. Holds add up: what an interrupted call has held is found again and
    used. What the order does not need in the end is given back when it is settled, or canceled.

    Raises ``EditNotCovered`` where the bank says no, ``EditNeedsBank`` where it wants to see its customer, and
    ``PaymentConflict`` and ``ProviderUnavailable`` as ``payments.authorise`` does: asking again goes on.
    """
    needed = domain.amount_to_authorise(estimate)
    made = payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk)
    added = [payment for payment in made if payment.step.startswith(settling.ADDED)]
    held = sum(payment.amount.cents for payment in made if payment.step == settling.STEP)
    held += sum(payment.amount.cents for payment in added if payment.status == "authorised")
    to_be_decided = [payment for payment in added if payment.status in _OPEN]
    while held < needed.cents:
        if to_be_decided:
            payment = _decided(order, to_be_decided.pop(0), now)
        else:
            amount = Money(needed.cents - held, order.currency)
            payment = _asked(order, f"{settling.ADDED}{len(added) + 1}", amount, now)
        if payment.status == "requires_action" and payment.action_url:
            raise EditNeedsBank(payment.action_url)
        if payment.status != "authorised":
            left = domain.most_to_estimate(Money(held, order.currency)).cents - present.cents
            raise EditNotCovered(Money(max(0, left), order.currency))
        held += payment.amount.cents
    return held


def _decided(order: models.Order, payment: Payment, now: datetime) -> Payment:
    """A payment that was interrupted, or at its customer's bank, as it is by now."""
    if payment.status == "authorising":
        return _asked(order, payment.step, payment.amount, now)
    return payments.refresh(customer_id=order.customer_id, order_id=order.pk, step=payment.step, now=now)


def _asked(order: models.Order, step: str, amount: Money, now: datetime) -> Payment:
    return payments.authorise(
        customer_id=order.customer_id,
        order_id=order.pk,
        step=step,
        amount=amount,
        card_id=order.card_id,
        return_url=f"{settings.PUBLIC_URL}/orders/{order.pk}/",
        now=now,
    )
