from collections.abc import Collection

from django.db.models import F, Sum

from apps.common.money import Money
from apps.payments import models
from apps.payments.errors import CardNotFound
from apps.payments.types import (
    Card,
    Dispute,
    DisputeStatus,
    Payment,
    Payout,
    PayoutAccount,
    Refund,
    Transfer,
    TransferStatus,
)


def cards(*, customer_id: int) -> tuple[Card, ...]:
    """The customer's cards, last added first. 1 query."""
    rows = models.PaymentMethod.objects.filter(customer_id=customer_id).order_by("-id")
    return tuple(_card(row) for row in rows)


def card(*, customer_id: int, card_id: int) -> Card:
    """Raises ``CardNotFound``, also for somebody else's. 1 query."""
    row = models.PaymentMethod.objects.filter(customer_id=customer_id, pk=card_id).first()
    if row is None:
        raise CardNotFound("There is no such card.")
    return _card(row)


def payments(*, customer_id: int, order_id: int) -> tuple[Payment, ...]:
    """Every step of the order in which money was asked for, oldest first. 1 query."""
    rows = models.Payment.objects.filter(customer_id=customer_id, order_id=order_id).order_by("id")
    return tuple(payment_of(row) for row in rows)


def account(*, party_kind: str, party_id: int) -> PayoutAccount | None:
    """Where a store or shopper is paid; None if nobody opened an account. 1 query."""
    row = models.PayoutAccount.objects.filter(party_kind=party_kind, party_id=party_id).first()
    return None if row is None else account_of(row)


def account_of(row: models.PayoutAccount) -> PayoutAccount:
    return PayoutAccount(party_kind=row.party_kind, party_id=row.party_id, status=row.status, account_id=row.account_id)


def transfers(*, party_kind: str, party_id: int, limit: int = 31) -> tuple[Transfer, ...]:
    """The last days' transfers to a store or shopper, newest first. 1 query."""
    rows = models.Transfer.objects.filter(account__party_kind=party_kind, account__party_id=party_id)
    return tuple(transfer_of(row) for row in rows.select_related("account").order_by("-day")[:limit])


def payouts(*, party_kind: str, party_id: int, limit: int = 31) -> tuple[Payout, ...]:
    """What last went to a store's or shopper's bank, newest first, failed ones included. 1 query."""
    rows = models.Payout.objects.filter(account__party_kind=party_kind, account__party_id=party_id)
    return tuple(
        Payout(
            payout_id=row.payout_id,
            party_kind=party_kind,
            party_id=party_id,
            amount=Money(row.amount_cents, row.currency),
            status=row.status,
            failure_code=row.failure_code,
            arrives_on=row.arrives_on,
        )
        for row in rows.order_by("-created_at", "-id")[:limit]
    )


def transfer_of(row: models.Transfer) -> Transfer:
    return Transfer(
        id=row.pk,
        party_kind=row.account.party_kind,
        party_id=row.account.party_id,
        day=row.day,
        amount=Money(row.amount_cents, row.currency),
        reversed=Money(row.reversed_cents, row.currency),
        status=row.status,
        failure_code=row.failure_code,
        sent_id=row.sent_id,
    )


def transfers_by_id(*, transfer_ids: Collection[int]) -> dict[int, Transfer]:
    """1 query; those that do not exist are missing."""
    rows = models.Transfer.objects.filter(pk__in=transfer_ids).select_related("account")
    return {row.pk: transfer_of(row) for row in rows}


def sent_by_transfers(*, party_kind: str) -> dict[int, int]:
    """What each party of that kind was sent by its transfers, less what was taken back, in cents. 1 query."""
    rows = models.Transfer.objects.filter(
        account__party_kind=party_kind, status__in=[TransferStatus.SENT, TransferStatus.REVERSED]
    )
    sums = rows.values("account__party_id").annotate(cents=Sum(F("amount_cents") - F("reversed_cents"))).order_by()
    return dict(sums.values_list("account__party_id", "cents"))


def refunds(*, customer_id: int, order_id: int) -> tuple[Refund, ...]:
    """Everything that was given back, or is to be, of the order's payments, oldest first. 1 query."""
    rows = models.Refund.objects.filter(customer_id=customer_id, order_id=order_id).select_related("payment")
    return tuple(refund_of(row) for row in rows.order_by("id"))


def refund_of(row: models.Refund) -> Refund:
    return Refund(
        id=row.pk,
        order_id=row.order_id,
        step=row.payment.step,
        number=row.number,
        request=row.request,
        amount=Money(row.amount_cents, row.payment.currency),
        reason=row.reason,
        status=row.status,
        failure_code=row.failure_code,
        refund_id=row.refund_id,
        created_at=row.created_at,
    )


def sums(*, using: str, order_ids: Collection[int]) -> dict[int, int]:
    """What orders of one customer shard have paid, less what went back to them or their bank, in cents. 2 queries."""
    rows = models.Payment.objects.using(using).filter(order_id__in=order_ids).values("order_id")
    found = rows.annotate(cents=Sum(F("captured_cents") - F("refunded_cents"))).order_by()
    left = {row["order_id"]: row["cents"] for row in found}
    gone = models.Dispute.objects.using(using).filter(order_id__in=order_ids).exclude(status=DisputeStatus.WON)
    for order_id, cents in gone.values_list("order_id", "amount_cents"):
        left[order_id] -= cents
    return left


def disputes(*, customer_id: int, order_id: int) -> tuple[Dispute, ...]:
    """What the customer disputed of the order's payments, oldest first. 1 query."""
    rows = models.Dispute.objects.filter(customer_id=customer_id, order_id=order_id).select_related("payment")
    return tuple(
        Dispute(
            id=row.pk,
            order_id=row.order_id,
            step=row.payment.step,
            amount=Money(row.amount_cents, row.payment.currency),
            reason=row.reason,
            status=row.status,
            opened_at=row.opened_at,
        )
        for row in rows.order_by("id")
    )


def payment_of(row: models.Payment) -> Payment:
    return Payment(
        id=row.pk,
        customer_id=row.customer_id,
        order_id=row.order_id,
        step=row.step,
        attempt=row.attempt,
        card_id=row.card_id,
        is_charge=row.is_charge,
        status=row.status,
        amount=Money(row.amount_cents, row.currency),
        captured=Money(row.captured_cents, row.currency),
        refunded=Money(row.refunded_cents, row.currency),
        failure_code=row.failure_code,
        action_url=row.action_url,
        intent_id=row.intent_id,
        capture_before=row.capture_before,
    )


def _card(row: models.PaymentMethod) -> Card:
    return Card(id=row.pk, brand=row.brand, last4=row.last4, exp_month=row.exp_month, exp_year=row.exp_year)
