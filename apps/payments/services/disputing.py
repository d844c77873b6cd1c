"""Take down what customers dispute with their banks. What to answer the bank is said on the provider's own pages."""

import logging
from datetime import datetime

import sharding
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.ledger.types import Cause
from apps.payments import domain, gateway, models
from apps.payments.gateway import Disputed
from apps.payments.types import DisputeStatus as Status

logger = logging.getLogger(__name__)

_CAUSES = {Status.OPEN: Cause.DISPUTED, Status.WON: Cause.DISPUTE_WON, Status.LOST: Cause.DISPUTE_LOST}


def follow(payment: models.Payment, *, now: datetime) -> None:
    """Make our disputes of a payment say what the provider says. Repeating is harmless, old news change nothing."""
    if payment.intent_id:
        for found in gateway.current().disputes(payment.intent_id):
            _take(payment, found, now=now)


def _take(payment: models.Payment, found: Disputed, *, now: datetime) -> None:
    def change() -> None:
        models.Payment.objects.select_for_update(no_key=True).get(customer_id=payment.customer_id, pk=payment.pk)
        mine = models.Dispute.objects.filter(customer_id=payment.customer_id, payment=payment)
        row = mine.filter(dispute_id=found.id).first()
        if row is None:
            row = models.Dispute.objects.create(
                customer_id=payment.customer_id,
                payment=payment,
                order_id=payment.order_id,
                number=mine.count() + 1,
                dispute_id=found.id,
                amount_cents=found.cents,
                reason=found.reason[:40],
                status=Status.OPEN,
                opened_at=now,
            )
            _book(payment, row, Status.OPEN, now=now)
            logger.warning("payments.dispute_opened order %s, %s cents", payment.order_id, found.cents)
        target = Status(found.status)
        if target in domain.DISPUTE_NEXT[Status(row.status)]:
            mine.filter(pk=row.pk).update(status=target, closed_at=now)
            _book(payment, row, target, now=now)

    sharding.run(sharding.home("customer", payment.customer_id), change)


def _book(payment: models.Payment, row: models.Dispute, status: Status, *, now: datetime) -> None:
    ledger.book_dispute(
        customer_id=payment.customer_id,
        order_id=payment.order_id,
        step=payment.step,
        version=row.number,
        cause=_CAUSES[status],
        amount=Money(row.amount_cents, payment.currency),
        now=now,
    )
