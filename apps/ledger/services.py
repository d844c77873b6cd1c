"""The one place that writes into the ledger, always inside the transaction of what it books."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction

import sharding
from apps.common.money import Money
from apps.ledger import domain, models, selectors
from apps.ledger.errors import PostingConflict
from apps.ledger.types import Account, Cause, Entry, Line


def post(
    *,
    customer_id: int,
    order_id: int,
    cause: Cause,
    step: str,
    version: int,
    lines: Sequence[Line],
    currency: str,
    now: datetime,
    store_id: int | None = None,
) -> bool:
    """Book ``lines``; False, and nothing happens, when this step was booked before. 2 queries.

    Raises:
        TransactionManagementError: no transaction is open on the customer's shard; money and the change that moves
            it are written together or not at all.
        PostingConflict: the step was booked before with other amounts.
    """
    alias = sharding.alias_for("customer", customer_id)
    if not transaction.get_connection(alias).in_atomic_block:
        raise transaction.TransactionManagementError(f"{cause} of order {order_id} booked outside a transaction")
    mine = models.LedgerEntry.objects.filter(
        customer_id=customer_id, order_id=order_id, cause=cause, step=step, version=version
    )
    wanted = {(line.kind, str(line.debit), str(line.credit), line.cents) for line in lines}
    there = set(mine.values_list("kind", "debit", "credit", "amount_cents"))
    if there:
        if there != wanted:
            raise PostingConflict(f"{cause} of order {order_id}, step {step} {version}, was booked otherwise before.")
        return False
    models.LedgerEntry.objects.bulk_create(
        models.LedgerEntry(
            customer_id=customer_id,
            order_id=order_id,
            store_id=store_id,
            cause=cause,
            step=step,
            version=version,
            kind=line.kind,
            debit=line.debit,
            credit=line.credit,
            amount_cents=line.cents,
            currency=currency,
            at=now,
        )
        for line in lines
    )
    return bool(lines)


def book_sale(
    *, customer_id: int, order_id: int, store_id: int, cents_by_kind: Mapping[str, int], currency: str, now: datetime
) -> bool:
    """A delivered order's final money lines, by kind, are owed: by the customer, to those ``domain`` says."""
    lines = domain.sale(cents_by_kind, basis_points=settings.STORE_COMMISSION_BASIS_POINTS)
    return post(
        customer_id=customer_id,
        order_id=order_id,
        store_id=store_id,
        cause=Cause.SOLD,
        step="final",
        version=1,
        lines=lines,
        currency=currency,
        now=now,
    )


def write_off(*, customer_id: int, order_id: int, amount: Money, now: datetime) -> bool:
    """The customer does not pay ``amount`` that was owed: the platform's loss. Once for an order."""
    return post(
        customer_id=customer_id,
        order_id=order_id,
        cause=Cause.SOLD,
        step="waived",
        version=1,
        lines=[Line(debit=Account.WRITTEN_OFF, credit=Account.CUSTOMER, cents=amount.cents, kind="forgiven")],
        currency=amount.currency,
        now=now,
    )


def book_capture(*, customer_id: int, order_id: int, step: str, version: int, amount: Money, now: datetime) -> bool:
    """The provider has taken ``amount`` of the customer's money."""
    line = Line(debit=Account.PROVIDER_CASH, credit=Account.CUSTOMER, cents=amount.cents, kind="card")
    return post(
        customer_id=customer_id,
        order_id=order_id,
        cause=Cause.CAPTURED,
        step=step,
        version=version,
        lines=[line] if amount else [],
        currency=amount.currency,
        now=now,
    )


def book_refund(
    *, customer_id: int, order_id: int, step: str, version: int, amount: Money, failed: bool, now: datetime
) -> bool:
    """The provider has given ``amount`` back; or, ``failed``, it came back to us."""
    debit, credit = (Account.PROVIDER_CASH, Account.CUSTOMER) if failed else (Account.CUSTOMER, Account.PROVIDER_CASH)
    return post(
        customer_id=customer_id,
        order_id=order_id,
        cause=Cause.REFUND_FAILED if failed else Cause.REFUNDED,
        step=step,
        version=version,
        lines=[Line(debit=debit, credit=credit, cents=amount.cents, kind="card")],
        currency=amount.currency,
        now=now,
    )


def book_dispute(
    *, customer_id: int, order_id: int, step: str, version: int, cause: Cause, amount: Money, now: datetime
) -> bool:
    """The customer's bank took ``amount`` back, or has decided who gets it (``domain.DISPUTES``)."""
    debit, credit = domain.DISPUTES[cause]
    return post(
        customer_id=customer_id,
        order_id=order_id,
        cause=cause,
        step=step,
        version=version,
        lines=[Line(debit=debit, credit=credit, cents=amount.cents, kind="card")],
        currency=amount.currency,
        now=now,
    )


def credit(
    *,
    customer_id: int,
    order_id: int,
    store_id: int,
    number: int,
    cents_by_kind: Mapping[str, int],
    currency: str,
    now: datetime,
) -> bool:
    """The customer gets back these parts of what they paid; ``number`` counts the order's refunds.

    Who was paid them pays them back, the store's items less the commission on them; the tip stays the shopper's,
    and what is of no kind that was sold (``goodwill``) is the platform's to pay.
    """
    booked = selectors.entries(customer_id=customer_id, order_id=order_id)
    sold: Counter[str] = Counter()
    returned: Counter[str] = Counter()
    for entry in booked:
        if entry.cause == Cause.SOLD:
            sold[entry.kind] += _effect(entry, Account.CUSTOMER)
        elif entry.cause == Cause.CREDITED and entry.version != number:
            returned[entry.kind] -= _effect(entry, Account.CUSTOMER)
    lines = [
        line
        for kind, cents in cents_by_kind.items()
        if cents
        for line in domain.share_back(cents, sold=sold, kind=kind, returned=returned)
    ]
    return post(
        customer_id=customer_id,
        order_id=order_id,
        store_id=store_id,
        cause=Cause.CREDITED,
        step="refund",
        version=number,
        lines=lines,
        currency=currency,
        now=now,
    )


def left_to_return(*, customer_id: int, order_id: int) -> dict[str, int]:
    """What was sold and not given back, in cents by kind. 1 query.

    A discount, and what was given back for nothing in particular, are taken off the items first, then off the rest.
    """
    sums: Counter[str] = Counter()
    for entry in selectors.entries(customer_id=customer_id, order_id=order_id):
        if entry.cause in (Cause.SOLD, Cause.CREDITED):
            sums[entry.kind] += _effect(entry, Account.CUSTOMER)
    return domain.left(sums)


def credit_by_hand(*, customer_id: int, order_id: int, step: str, version: int, amount: Money, now: datetime) -> bool:
    """Somebody gave ``amount`` back at the provider, for a reason only they know: the platform pays."""
    line = Line(debit=Account.PLATFORM_REVENUE, credit=Account.CUSTOMER, cents=amount.cents, kind=domain.GOODWILL)
    return post(
        customer_id=customer_id,
        order_id=order_id,
        cause=Cause.CREDITED,
        step=f"hand:{step}",
        version=version,
        lines=[line],
        currency=amount.currency,
        now=now,
    )


def book_tip(*, customer_id: int, order_id: int, number: int, amount: Money, now: datetime) -> bool:
    """After the delivery the customer has tipped ``amount`` more, and it is the shopper's; ``number`` counts that."""
    is_new = post(
        customer_id=customer_id,
        order_id=order_id,
        cause=Cause.SOLD,
        step=f"tip:{number}",
        version=1,
        lines=[Line(debit=Account.CUSTOMER, credit=Account.TIP, cents=amount.cents, kind="tip")],
        currency=amount.currency,
        now=now,
    )
    pass_tip_on(customer_id=customer_id, order_id=order_id, now=now)
    return is_new


def pass_tip_on(*, customer_id: int, order_id: int, now: datetime) -> bool:
    """What the customer owes as a tip, and nobody has passed on yet, is the shopper's."""
    booked = selectors.entries(customer_id=customer_id, order_id=order_id)
    cents = -sum(_effect(entry, Account.TIP) for entry in booked)
    if cents <= 0:
        return False
    version = 1 + sum(entry.cause == Cause.TIP_PASSED_ON for entry in booked)
    line = Line(debit=Account.TIP, credit=Account.SHOPPER_PAYABLE, cents=cents, kind="tip")
    return post(
        customer_id=customer_id,
        order_id=order_id,
        cause=Cause.TIP_PASSED_ON,
        step="tip",
        version=version,
        lines=[line],
        currency=booked[0].currency,
        now=now,
    )


def book_transfer(
    *,
    party_kind: str,
    party_id: int,
    transfer_id: int,
    cause: Cause,
    version: int,
    amount: Money,
    now: datetime,
    using: str = "default",
) -> bool:
    """Money was sent to a store or shopper, taken back, or earned by a shopper (``domain.party_line``).

    False, and nothing happens, when this step was booked before. Inside the transaction of what it books. 2 queries.
    """
    if not transaction.get_connection(using).in_atomic_block:
        raise transaction.TransactionManagementError(f"{cause} of transfer {transfer_id} booked outside a transaction")
    if not amount or models.PartyEntry.objects.filter(transfer_id=transfer_id, cause=cause, version=version).exists():
        return False
    debit, credit = domain.party_line(cause, party_kind)
    models.PartyEntry.objects.create(
        party_kind=party_kind,
        party_id=party_id,
        transfer_id=transfer_id,
        cause=cause,
        version=version,
        debit=debit,
        credit=credit,
        amount_cents=amount.cents,
        currency=amount.currency,
        at=now,
    )
    return True


def _effect(entry: Entry, account: Account) -> int:
    return entry.cents * ((entry.debit == account) - (entry.credit == account))
