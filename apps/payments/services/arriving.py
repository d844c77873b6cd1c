"""Take down what the provider pays from parties' accounts to their banks, by its own schedule. It is theirs already:
the books end with the transfer. One that comes back lies in the party's account until they have mended their bank's
name, and the provider tries again."""

import logging
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

import sharding
from apps.payments import domain, gateway, models
from apps.payments.errors import ProviderUnavailable, UnknownObject
from apps.payments.gateway import PaidOut
from apps.payments.types import PayoutStatus

logger = logging.getLogger(__name__)

ACCOUNTS = 200
"""Accounts of one sweep; the next goes on with the others."""
CURRENCY = "USD"
_PATIENCE = 3
_CHECK_EVERY = timedelta(days=1)
_CHECK_PENDING_EVERY = timedelta(hours=1)


def follow(account_id: str, *, now: datetime) -> None:
    """The provider says that something went from an account to a bank: look what. Repeating is harmless.

    Raises ``ProviderUnavailable``.
    """
    account = models.PayoutAccount.objects.filter(account_id=account_id).first() if account_id else None
    if account is None:
        return  # our own payouts, or another system's account
    try:
        found = gateway.current().payouts(account_id)
    except UnknownObject:
        logger.warning("payments.event_of_unknown_account %s", account_id)
        return
    for one in found:
        _take(account, one, now=now)


def sweep_payouts(*, now: datetime) -> int:
    """Ask about accounts of which no news may have been lost: each once a day, those with money under way every hour.

    Returns how many were asked about. After a few unanswered calls the rest is left for the next time.
    """
    under_way = models.Payout.objects.filter(account=OuterRef("pk"), status=PayoutStatus.PENDING)
    old = Q(payouts_checked_at__isnull=True) | Q(payouts_checked_at__lt=now - _CHECK_EVERY)
    pending = Q(Exists(under_way), payouts_checked_at__lt=now - _CHECK_PENDING_EVERY)
    due = models.PayoutAccount.objects.exclude(account_id="").filter(old | pending).order_by("payouts_checked_at", "pk")
    unanswered = done = 0
    for account in due[:ACCOUNTS]:
        if unanswered == _PATIENCE:
            break
        done += 1
        models.PayoutAccount.objects.filter(pk=account.pk).update(payouts_checked_at=now)
        try:
            follow(account.account_id, now=now)
        except ProviderUnavailable:
            unanswered += 1
            logger.warning("payments.provider_unavailable payouts of %s", account.account_id)
    return done


def _take(account: models.PayoutAccount, found: PaidOut, *, now: datetime) -> None:
    """Make our row say what the provider says, as far as it may; old news change nothing."""
    target = PayoutStatus(found.status)
    with sharding.atomic("default"):
        models.Payout.objects.get_or_create(
            payout_id=found.id,
            defaults={
                "account": account,
                "amount_cents": found.cents,
                "currency": CURRENCY,
                "status": PayoutStatus.PENDING,
                "arrives_on": found.arrives_at.date(),
                "created_at": found.created_at,
                "changed_at": now,
            },
        )
        mine = models.Payout.objects.filter(payout_id=found.id, status__in=domain.payout_sources(target))
        moved = mine.update(status=target, failure_code=found.failure_code[:60], changed_at=now)
    if moved and target == PayoutStatus.FAILED:
        logger.warning("payments.payout_failed %s %s", found.id, found.failure_code)
