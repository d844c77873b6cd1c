"""Take the money for what was delivered."""

from datetime import datetime

import sharding
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.orders import domain, models, selectors
from apps.orders.domain import Status
from apps.orders.errors import IllegalTransition, OrderNotFound
from apps.orders.services import moving
from apps.payments import services as payments
from apps.payments.errors import NotCapturable

STEP = "estimate"
"""Name of the payment made when ordering; one for a larger total or a later tip gets a name of its own."""


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
    try:
        _capture(order, total, now)
    except NotCapturable:
        held = payments.renew(customer_id=order.customer_id, order_id=order_id, step=STEP, now=now)
        if held.status != "authorised":
            raise  # the bank says no: a person has to find another way
        _capture(order, total, now)

    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        unsettled = models.Order.objects.filter(pk=order_id, captured_cents__isnull=True, sequence=order.sequence)
        columns = {"captured_cents": total.cents, "settled_at": now, "due_at": None, "sequence": order.sequence + 1}
        if unsettled.update(**columns):
            order.sequence += 1
            data = {"captured_cents": total.cents}
            moving.note(order, before=Status.DELIVERED, actor="system", now=now, name="settled", data=data)
            ledger.pass_tip_on(customer_id=order.customer_id, order_id=order_id, now=now)
    return total


def _capture(order: models.Order, total: Money, now: datetime) -> None:
    payments.capture(customer_id=order.customer_id, order_id=order.pk, step=STEP, amount=total, now=now)
