"""Hold the money of an order that is confirmed: nearer to its window, or anew where a hold has expired."""

import logging
from datetime import datetime, timedelta

from django.conf import settings

from apps.orders import models
from apps.orders.domain import Status
from apps.orders.errors import IllegalTransition
from apps.orders.services import moving, settling
from apps.payments import selectors as payment_selectors
from apps.payments import services as payments
from apps.payments.errors import CardDeclined
from apps.payments.types import Payment

logger = logging.getLogger(__name__)


def hold_at(order: models.Order) -> datetime:
    """When the money is held: some days before the window ends, as holds of absent customers last no longer."""
    return order.window_ends_at - timedelta(days=settings.PAYMENT_HOLD_DAYS)


def hold(order: models.Order, *, now: datetime) -> None:
    """Hold what was only checked until now, or has expired; nothing where nothing is due. Repeating is harmless.

    Where the bank says no, the order is canceled for the customer, unless a shopper has it: then a person has to find
    another way. Raises ``ProviderUnavailable``: the sweeper tries again, until the window's cut-off at most.
    """
    made = payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk)
    payment = next((one for one in made if one.step == settling.STEP), None)
    if payment is None or (payment.status == "checked" and now < hold_at(order)):
        return
    if now >= order.pay_by and payment.status in ("checked", "authorising"):
        return _give_up(order, "payment_not_completed", now)
    payment = _asked(order, payment, now)
    if payment.status == "declined":
        return _give_up(order, CardDeclined.code, now)
    if payment.status == "authorised":
        models.Order.objects.filter(pk=order.pk, status=order.status, due_at__isnull=False).update(due_at=None)


def _asked(order: models.Order, payment: Payment, now: datetime) -> Payment:
    """The payment as it is once the provider was asked for what is missing."""
    if payment.status == "expired" or (payment.status == "authorising" and payment.attempt > 1):
        return payments.renew(customer_id=order.customer_id, order_id=order.pk, step=settling.STEP, now=now)
    if payment.status in ("checked", "authorising"):
        return payments.authorise(
            customer_id=order.customer_id,
            order_id=order.pk,
            step=settling.STEP,
            amount=payment.amount,  # what was added to the order since has holds of its own
            card_id=order.card_id,
            return_url="",
            now=now,
        )
    return payment


def _give_up(order: models.Order, code: str, now: datetime) -> None:
    try:
        moving.move(
            order_id=order.pk,
            to=Status.CANCELED,
            actor="system",
            now=now,
            data={"reason": code},
            only_from=[Status.BRAND_NEW],
        )
    except IllegalTransition:
        logger.warning("orders.unpaid_under_way %s %s", order.pk, code)
        models.Order.objects.filter(pk=order.pk, status=order.status).update(due_at=None)
