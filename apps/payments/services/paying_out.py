"""Send stores and shoppers what they are owed, once a day, and take it back: the only place that moves a transfer."""

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db.models import F, Q, Sum

import sharding
from apps.common.money import Money
from apps.ledger import selectors as ledger_selectors
from apps.ledger import services as ledger
from apps.ledger.types import Cause
from apps.payments import gateway, models, selectors, types
from apps.payments.errors import (
    GatewayRefused,
    PaymentConflict,
    ProviderUnavailable,
    ReversalTooLarge,
    TransferNotFound,
    TransferRefused,
    UnexpectedState,
    UnknownObject,
)
from apps.payments.gateway import Sent
from apps.payments.services.states import KEY_LIFETIME
from apps.payments.types import AccountStatus, TransferStatus
from apps.shoppers import selectors as shoppers
from apps.shoppers.types import TIPS

logger = logging.getLogger(__name__)

ACCOUNTS = 200
"""Accounts of one run; the next goes on with the others."""
CURRENCY = "USD"
_PATIENCE = 3
_CHECK_EVERY = timedelta(minutes=2)
_PAID = (TransferStatus.REQUESTED, TransferStatus.SENT, TransferStatus.REVERSED)


class Owed(NamedTuple):
    """What a party is owed in all, transfers not counted, in cents; ``pay`` is a shopper's pay, the rest orders owe."""

    whole: int
    pay: int


def pay_out(*, day: date, now: datetime) -> int:
    """Send what is owed to up to 200 parties that were not looked at for ``day``; return how many transfers were made.

    A party gets one transfer a day at most. What is owed less than nothing (goods were refunded after the transfer)
    is set against the days to come. After a few unanswered calls the rest is left for the next run.
    """
    due = models.PayoutAccount.objects.filter(status=AccountStatus.ENABLED)
    accounts = list(due.filter(Q(paid_day__lt=day) | Q(paid_day__isnull=True)).order_by("paid_day", "pk")[:ACCOUNTS])
    owed = {**_owed_to_stores(accounts, now), **_owed_to_shoppers(accounts, now)}
    made = unanswered = 0
    for account in accounts:
        if unanswered == _PATIENCE:
            break
        row = _opened(account, owed.get(account.pk, Owed(0, 0)), day=day, now=now)
        if row is None:
            continue
        made += 1
        try:
            resume(row, now=now, is_new=True)
        except ProviderUnavailable:  # the row is written down, the sweep goes on with it
            unanswered += 1
            logger.warning("payments.provider_unavailable transfer %s", row.pk)
    return made


def sweep_transfers(*, now: datetime) -> int:
    """Ask about transfers, and what is taken back of them, that were not looked at for 2 minutes; return how many."""
    waiting = Q(status=TransferStatus.REQUESTED) | Q(status=TransferStatus.SENT, back_cents__gt=F("reversed_cents"))
    due = models.Transfer.objects.filter(waiting, checked_at__lt=now - _CHECK_EVERY)
    unanswered = done = 0
    for row in due.select_related("account").order_by("checked_at")[:ACCOUNTS]:
        if unanswered == _PATIENCE:
            break
        done += 1
        models.Transfer.objects.filter(pk=row.pk).update(checked_at=now)
        try:
            resume(row, now=now) if row.status == TransferStatus.REQUESTED else _go_on_taking_back(row, now=now)
        except ProviderUnavailable:
            unanswered += 1
            logger.warning("payments.provider_unavailable transfer %s", row.pk)
    return done


def resume(row: models.Transfer, *, now: datetime, is_new: bool = False) -> models.Transfer:
    """Go on with a transfer: look first whether the provider made it, unless nobody can have asked yet."""
    sent = None if is_new else _found(row)
    if sent is None:
        try:
            sent = _asked(row, now=now)
        except (TransferRefused, GatewayRefused) as error:
            code = error.code if isinstance(error, TransferRefused) else "refused"
            logger.warning("payments.transfer_failed %s %s", row.pk, code)
            models.Transfer.objects.filter(pk=row.pk, status=TransferStatus.REQUESTED).update(
                status=TransferStatus.FAILED, failure_code=code, changed_at=now, checked_at=now
            )
            return _again(row)
    return _take(row, sent, now=now)


def take_back(*, transfer_id: int, total: Money, now: datetime) -> types.Transfer:
    """See to it that ``total`` of a transfer has been taken back in all. Repeating is harmless.

    Raises:
        TransferNotFound
        ReversalTooLarge: more than was sent, or nothing was sent.
        PaymentConflict: another amount is being taken back right now; try again.
        ProviderUnavailable: not known whether it worked. Calling again, or the sweep, finds out.
    """
    row = models.Transfer.objects.filter(pk=transfer_id).first()
    if row is None:
        raise TransferNotFound("There is no such transfer.")
    if total.cents > row.amount_cents or total.currency != row.currency or not row.sent_id:
        raise ReversalTooLarge("That is more than was sent.")
    if total.cents > row.reversed_cents:
        mine = models.Transfer.objects.filter(pk=row.pk, status=TransferStatus.SENT)
        idle = Q(back_cents=F("reversed_cents")) | Q(back_cents=total.cents)
        if not mine.filter(idle).update(back_cents=total.cents, checked_at=now):
            raise PaymentConflict("Another amount of this transfer is being taken back.")
        _go_on_taking_back(_again(row), now=now)
    return selectors.transfer_of(_again(row))


def follow(sent_id: str, *, now: datetime) -> None:
    """The provider says that something about a transfer changed: look what it is now. Repeating is harmless."""
    row = models.Transfer.objects.filter(sent_id=sent_id).first()
    if row is None:
        return
    try:
        _take(row, gateway.current().retrieve_transfer(sent_id), now=now)
    except UnknownObject:
        logger.warning("payments.event_of_unknown_transfer %s", sent_id)


def _owed_to_stores(accounts: Sequence[models.PayoutAccount], now: datetime) -> Mapping[int, Owed]:
    ids = {account.party_id: account.pk for account in accounts if account.party_kind == "store"}
    owed = ledger_selectors.owed_to_stores(store_ids=list(ids), before=now) if ids else {}
    return {ids[store_id]: Owed(cents, 0) for store_id, cents in owed.items()}


def _owed_to_shoppers(accounts: Sequence[models.PayoutAccount], now: datetime) -> Mapping[int, Owed]:
    ids = {account.party_id: account.pk for account in accounts if account.party_kind == "shopper"}
    earned = shoppers.earned(shopper_ids=list(ids), before=now) if ids else {}
    return {
        ids[shopper_id]: Owed(sum(kinds.values()), sum(cents for kind, cents in kinds.items() if kind not in TIPS))
        for shopper_id, kinds in earned.items()
    }


def _opened(account: models.PayoutAccount, owed: Owed, *, day: date, now: datetime) -> models.Transfer | None:
    """The day's transfer with its key, committed before anybody is called; None where nothing is owed."""
    with sharding.atomic("default"):
        mine = models.PayoutAccount.objects.filter(pk=account.pk).select_for_update()
        if mine.filter(Q(paid_day__lt=day) | Q(paid_day__isnull=True)).first() is None:
            return None  # another run was here
        mine.update(paid_day=day)
        before = models.Transfer.objects.filter(account=account, status__in=_PAID).aggregate(
            cents=Sum(F("amount_cents") - F("reversed_cents"), default=0), pay=Sum("pay_cents", default=0)
        )
        cents = owed.whole - before["cents"]
        if cents <= 0:
            return None
        row = models.Transfer.objects.create(
            account=account,
            day=day,
            amount_cents=cents,
            pay_cents=max(0, min(cents, owed.pay - before["pay"])),
            currency=CURRENCY,
            status=TransferStatus.REQUESTED,
            idempotency_key="",
            key_made_at=now,
            created_at=now,
            changed_at=now,
            checked_at=now,
        )
        row.idempotency_key = f"transfer-{row.pk}:1"
        row.save(update_fields=["idempotency_key"])
        return row


def _again(row: models.Transfer) -> models.Transfer:
    return models.Transfer.objects.select_related("account").get(pk=row.pk)


def _found(row: models.Transfer) -> Sent | None:
    return gateway.current().find_transfer(row.account.account_id, transfer=row.pk)


def _asked(row: models.Transfer, *, now: datetime) -> Sent:
    """The provider's answer under the stored key; one that is old or spoilt is replaced after looking once more."""

    def ask(row: models.Transfer) -> Sent:
        amount = Money(row.amount_cents, row.currency)
        return gateway.current().transfer(
            row.account.account_id, amount=amount, transfer=row.pk, key=row.idempotency_key
        )

    if now - row.key_made_at > KEY_LIFETIME:
        row = _rekey(row, now=now)
    try:
        return ask(row)
    except ProviderUnavailable as error:
        if not error.is_replay:
            raise
    found = _found(row)
    return found if found is not None else ask(_rekey(row, now=now))


def _rekey(row: models.Transfer, *, now: datetime) -> models.Transfer:
    version = row.version + 1
    mine = models.Transfer.objects.filter(pk=row.pk, status=TransferStatus.REQUESTED, version=row.version)
    if not mine.update(version=version, idempotency_key=f"transfer-{row.pk}:{version}", key_made_at=now):
        raise ProviderUnavailable("This transfer is being worked on; try again.")
    return _again(row)


def _go_on_taking_back(row: models.Transfer, *, now: datetime) -> None:
    sent = gateway.current().retrieve_transfer(row.sent_id)
    missing = row.back_cents - sent.reversed_cents
    if missing > 0:
        key = f"transfer-{row.pk}:back-{row.back_cents}"
        try:
            sent = gateway.current().take_back(row.sent_id, amount=Money(missing, row.currency), key=key)
        except UnexpectedState:  # by hand, meanwhile
            sent = gateway.current().retrieve_transfer(row.sent_id)
    _take(row, sent, now=now)


def _take(row: models.Transfer, sent: Sent, *, now: datetime) -> models.Transfer:
    """Make ``row`` and the books say what the provider says, as far as it may; old news change nothing."""
    with sharding.atomic("default"):
        locked = models.Transfer.objects.select_for_update(of=("self",)).select_related("account").get(pk=row.pk)
        changes: dict[str, object] = {}
        if locked.status == TransferStatus.REQUESTED:
            changes |= {"status": TransferStatus.SENT, "sent_id": sent.id}
            _book(locked, Cause.EARNED, 1, locked.pay_cents, now)
            _book(locked, Cause.TRANSFERRED, 1, locked.amount_cents, now)
        more = sent.reversed_cents - locked.reversed_cents
        if more > 0 and locked.status != TransferStatus.FAILED:
            changes |= {"reversed_cents": sent.reversed_cents}
            changes |= {"back_cents": max(sent.reversed_cents, locked.back_cents)}
            if sent.reversed_cents == locked.amount_cents:
                changes |= {"status": TransferStatus.REVERSED}
            _book(locked, Cause.TAKEN_BACK, sent.reversed_cents, more, now)
        if changes:
            models.Transfer.objects.filter(pk=row.pk).update(**changes, changed_at=now, checked_at=now)
    return _again(row)


def _book(row: models.Transfer, cause: Cause, version: int, cents: int, now: datetime) -> None:
    ledger.book_transfer(
        party_kind=row.account.party_kind,
        party_id=row.account.party_id,
        transfer_id=row.pk,
        cause=cause,
        version=version,
        amount=Money(cents, row.currency),
        now=now,
    )
