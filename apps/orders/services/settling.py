"""Take the money for what was delivered."""

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

STEP = "estimate"
"""Name of the payment made when ordering; one for a larger total or a later tip gets a name of its own."""
ADDED = "added-"
"""What the names of the payments begin with that hold the money for what was added to the order; they are numbered."""


@sharding.repeatable
def settle(*, order_id: int, now: datetime) -> Money:
    """Capture the final total of a delivered order, once, and say how much that was.

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
    for step, amount in _parts(order, total):
        try:
            _capture(order, step, amount, now)
        except NotCapturable:
            held = payments.renew(customer_id=order.customer_id, order_id=order_id, step=step, now=now)
            if held.status != "authorised":
                raise  # the bank says no: a person has to find another way
            _capture(order, step, amount, now)

    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        unsettled = models.Order.objects.filter(pk=order_id, captured_cents__isnull=True, sequence=order.sequence)
        columns = {"captured_cents": total.cents, "settled_at": now, "due_at": None, "sequence": order.sequence + 1}
        if unsettled.update(**columns):
            order.sequence += 1
            data = {"captured_cents": total.cents}
            moving.note(order, before=Status.DELIVERED, actor="system", now=now, name="settled", data=data)
            ledger.pass_tip_on(customer_id=order.customer_id, order_id=order_id, now=now)
    return total


def _parts(order: models.Order, total: Money) -> list[tuple[str, Money]]:
    """What to capture of each hold, by the name of its step: all of the oldest, then of the next. Always the same.

    One that is not needed gives back what it holds (0). Raises ``NotCapturable`` where they do not hold ``total``.
    """
    made = payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk)
    holds = [p for p in made if p.step == STEP or (p.step.startswith(ADDED) and p.status not in ("declined", "voided"))]
    parts, left = [], total
    for hold in holds:
        part = min(left, hold.amount)
        left -= part
        if part or hold.status != "expired":
            parts.append((hold.step, part))
    if left:
        raise NotCapturable(f"{left} of {total} is not held on any card.")
    return parts


def _capture(order: models.Order, step: str, amount: Money, now: datetime) -> None:
    payments.capture(customer_id=order.customer_id, order_id=order.pk, step=step, amount=amount, now=now)
