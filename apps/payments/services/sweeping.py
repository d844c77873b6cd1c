"""Finding out what nobody told us: a lost webhook, a worker killed in the middle, a customer who never came back."""

import logging
from datetime import datetime, timedelta

from django.db.models import Q

import sharding
from apps.common.errors import DomainError
from apps.payments import domain, models
from apps.payments.errors import GatewayRefused, ProviderUnavailable, UnexpectedState, UnknownObject
from apps.payments.services import authorising, refunding, settling, states
from apps.payments.types import PaymentStatus as Status
from apps.payments.types import RefundStatus

logger = logging.getLogger(__name__)

CHECK_EVERY = timedelta(minutes=2)
_BATCH = 100
_PATIENCE = 3


def sweep(*, using: str, now: datetime) -> int:
    """Ask about open payments and refunds in database ``using`` that were not looked at for 2 minutes; return how many.

    Interrupted captures, releases and refunds are brought to their end. An interrupted authorisation is only
    looked up: whether it is still wanted is for the order to say. Authorisations past their date are
    looked up too, and found expired. After a few unanswered calls the rest is left for the next time.
    """
    due = sharding.owned(models.Payment.objects, using).filter(
        Q(status__in=domain.UNDECIDED) | Q(status=Status.AUTHORISED, capture_before__lt=now),
        checked_at__lt=now - CHECK_EVERY,
    )
    asked_back = sharding.owned(models.Refund.objects, using).filter(
        status=RefundStatus.REQUESTED, checked_at__lt=now - CHECK_EVERY
    )
    unanswered = done = 0
    for row in list(due.order_by("checked_at")[:_BATCH]):
        if unanswered == _PATIENCE:
            break
        done += 1
        models.Payment.objects.filter(customer_id=row.customer_id, pk=row.pk).update(checked_at=now)
        try:
            _settle(row, now=now)
        except ProviderUnavailable:
            unanswered += 1
            logger.warning("payments.provider_unavailable %s", row.pk)
        except (DomainError, GatewayRefused, UnexpectedState, UnknownObject):
            logger.warning("payments.still_open %s", row.pk, exc_info=True)
    for refund in list(asked_back.order_by("checked_at")[:_BATCH]):
        if unanswered == _PATIENCE:
            break
        done += 1
        models.Refund.objects.filter(customer_id=refund.customer_id, pk=refund.pk).update(checked_at=now)
        try:
            refunding.resume(refund, now=now)
        except ProviderUnavailable:
            unanswered += 1
            logger.warning("payments.provider_unavailable refund %s", refund.pk)
    return done


def _settle(row: models.Payment, *, now: datetime) -> None:
    row = states.again(row)
    if row.status == Status.CAPTURING:
        settling.resume_capture(row, now=now)
    elif row.status == Status.VOIDING:
        settling.release(row, now=now)
    else:
        authorising.refreshed(row, now=now)
