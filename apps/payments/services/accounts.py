"""Accounts at the provider into which stores and shoppers are paid. What they tell about themselves stays there."""

import logging
from datetime import datetime

from django.db.models import F

from apps.payments import gateway, models, selectors, types
from apps.payments.errors import PayoutAccountNotFound, ProviderUnavailable, UnknownObject
from apps.payments.gateway import Party, ProviderAccount
from apps.payments.types import AccountStatus

logger = logging.getLogger(__name__)


def open_account(*, party_kind: str, party_id: int, now: datetime) -> types.PayoutAccount:
    """Make the account of a ``store`` or a ``shopper``, once; whoever asks has been checked.

    Raises ``ProviderUnavailable``: calling again goes on.
    """
    row, _ = models.PayoutAccount.objects.get_or_create(
        party_kind=party_kind,
        party_id=party_id,
        defaults={"status": AccountStatus.PENDING, "created_at": now, "changed_at": now},
    )
    if not row.account_id:
        try:
            made = gateway.current().create_account(
                party=Party(kind=party_kind, id=party_id), key=f"account-{party_kind}-{party_id}:{row.version}"
            )
        except ProviderUnavailable as error:
            if (
                error.is_replay
            ):  # only a fresh key will ever get another answer; an account nobody completes holds nothing
                models.PayoutAccount.objects.filter(pk=row.pk, version=row.version).update(version=F("version") + 1)
            raise
        models.PayoutAccount.objects.filter(pk=row.pk, account_id="").update(
            account_id=made.id, status=made.status, changed_at=now
        )
        row.refresh_from_db()
    return selectors.account_of(row)


def account_page(*, party_kind: str, party_id: int, return_url: str, refresh_url: str) -> str:
    """Address of the provider's page, good for minutes, on which the owner says who they are and where their bank is.

    ``refresh_url`` is where they come back when it is too old: ask for another there. Raises
    ``PayoutAccountNotFound`` before ``open_account``, and ``ProviderUnavailable``.
    """
    row = _row(party_kind, party_id)
    return gateway.current().account_page(row.account_id, return_url=return_url, refresh_url=refresh_url)


def refresh_account(*, party_kind: str, party_id: int, now: datetime) -> types.PayoutAccount:
    """Ask the provider how the account stands: after its owner came back. Raises as ``account_page``."""
    row = _row(party_kind, party_id)
    take(gateway.current().account(row.account_id), now=now)
    row.refresh_from_db()
    return selectors.account_of(row)


def follow(account_id: str, *, now: datetime) -> None:
    """The provider says that something about an account changed: look what it is now. Repeating is harmless."""
    try:
        take(gateway.current().account(account_id), now=now)
    except UnknownObject:
        logger.warning("payments.event_of_unknown_account %s", account_id)


def take(found: ProviderAccount, *, now: datetime) -> None:
    mine = models.PayoutAccount.objects.filter(account_id=found.id).exclude(status=found.status)
    mine.update(status=found.status, changed_at=now)


def _row(party_kind: str, party_id: int) -> models.PayoutAccount:
    row = models.PayoutAccount.objects.filter(party_kind=party_kind, party_id=party_id).exclude(account_id="").first()
    if row is None:
        raise PayoutAccountNotFound(f"There is no account of this {party_kind} yet; open one first.")
    return row
