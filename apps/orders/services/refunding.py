"""Give a customer back what they paid for, or a part of it: decided here, paid by payments after the commit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import sharding
from apps.common import outbox
from apps.common.api.idempotency import fingerprint
from apps.common.errors import IdempotencyConflict
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.orders import domain, models, selectors, types
from apps.orders.domain import Phase, RefundReason, RefundStatus, Status
from apps.orders.errors import IllegalTransition, LineNotFound, NotPaidYet, NotRefundable, OrderNotFound, RefundInvalid
from apps.orders.events import OrderRefunded
from apps.orders.services import moving
from apps.orders.types import RefundLine
from apps.payments import selectors as payment_selectors
from apps.payments import services as payments
from apps.payments.errors import RefundTooLarge
from apps.payments.types import RefundStatus as PaymentRefundStatus
from apps.pricing.types import DEPOSIT, DISCOUNT, ITEM, REFUND, TAX

GOODWILL = "goodwill"
TIP_LOWERED = "tip_lowered"
GIVEN = [reason for reason in RefundReason if reason is not RefundReason.TIP_LOWERED]
"""Reasons anybody may give."""
_REQUEST = "refund-"
_ROUNDING = 2
"""Cents by which the pieces of a line may exceed it, each rounded by itself."""


class _Part(NamedTuple):
    """One money line of a refund: ``cents`` (more than nothing) by the kind that was paid."""

    line: models.OrderLine | None
    label: str
    cents: Mapping[str, int]


@sharding.repeatable
def refund(
    *,
    order_id: int,
    key: str,
    reason: str,
    actor: str,
    now: datetime,
    lines: Sequence[RefundLine] = (),
    amount: Money | None = None,
) -> types.Refund:
    """Decide that the customer gets money back: for ``lines``, or an ``amount`` for no line in particular, or,

    with neither, everything that is left. The money is sent right after, by the event. Sent again with the same
    ``key`` it answers for the same refund. The tip goes back with everything only, and then the platform pays it.

    Raises:
        OrderNotFound, LineNotFound
        IdempotencyConflict: the key was used for another refund of this order.
        RefundInvalid: no such reason, or an amount or quantity that is none.
        NotRefundable: the order is not paid for, or more is asked for than is left of the line or the order.
    """
    if reason not in GIVEN:
        raise RefundInvalid(f"The reason is one of {', '.join(GIVEN)}.")
    if lines and amount is not None:
        raise RefundInvalid("Give back for lines or an amount, not both at once.")
    asked = fingerprint(reason, sorted(map(str, lines)), str(amount))
    with sharding.atomic(sharding.alias_of_id("customer", order_id)) as alias:
        order = models.Order.objects.filter(pk=order_id).select_for_update(of=("self",), no_key=True).first()
        if order is None:
            raise OrderNotFound(f"There is no order {order_id}.")
        earlier = order.refunds.filter(key=domain.checked_key(key)).first()
        if earlier is not None:
            if earlier.fingerprint != asked:
                raise IdempotencyConflict("This idempotency key was used before for another refund.")
            return selectors.refund_of(earlier, order.currency)
        parts, _ = _payable(order, lines, amount)
        row = _written(order, parts, key=key, asked=asked, reason=reason, actor=actor, now=now)
        outbox.emit(_told(order, row), using=alias)
    return selectors.refund_of(row, order.currency)


def quote_refund(*, order_id: int, lines: Sequence[RefundLine]) -> Money:
    """What ``refund`` would give back for ``lines`` now; raises what it would. 5 queries and 2 for each line."""
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return Money(_payable(order, lines, None)[1], order.currency)


def decide_tip(order: models.Order, less: Money, *, key: str, actor: str, now: datetime) -> int:
    """That the customer gets ``less`` of their tip back; the refund's number. In the transaction that locked the order.

    Raises ``NotRefundable`` where so much was given back already that less than that is left of what was paid.
    """
    returned = order.refunds.values_list("amount_cents", flat=True)
    if less.cents > (order.captured_cents or 0) - sum(returned):
        raise NotRefundable("That is more than is left to give back.")
    reason = RefundReason.TIP_LOWERED
    parts = [_Part(None, "Tip, lowered", {TIP_LOWERED: less.cents})]
    row = _written(order, parts, key=key, asked=fingerprint(reason, less), reason=reason, actor=actor, now=now)
    outbox.emit(_told(order, row), using=sharding.alias_of_id("customer", order.pk))
    return row.number


def _told(order: models.Order, row: models.OrderRefund) -> OrderRefunded:
    return OrderRefunded(
        order_id=order.pk,
        customer_id=order.customer_id,
        store_id=order.store_id,
        number=row.number,
        amount_cents=row.amount_cents,
        currency=order.currency,
        reason=row.reason,
    )


def pay_refund(*, order_id: int, number: int, now: datetime) -> None:
    """Send the money of a decided refund. Repeating is harmless; what the provider does not answer, its sweep asks."""
    row = models.OrderRefund.objects.filter(order_id=order_id, number=number).select_related("order").get()
    try:
        payments.refund(
            customer_id=row.customer_id,
            order_id=order_id,
            request=f"{_REQUEST}{number}",
            amount=Money(row.amount_cents, row.order.currency),
            reason=row.reason,
            newest_first=row.reason == RefundReason.TIP_LOWERED,
            now=now,
        )
    except RefundTooLarge:  # somebody gave it back by hand
        _turn(row, RefundStatus.FAILED, now=now)


def note_refund(*, order_id: int, request: str, now: datetime) -> None:
    """Bring a refund's status up to date with what payments made of it. Repeating is harmless."""
    number = request.removeprefix(_REQUEST)
    if not request.startswith(_REQUEST) or not number.isdigit():
        return  # made by hand at the provider
    row = models.OrderRefund.objects.filter(order_id=order_id, number=int(number)).get()
    made = payment_selectors.refunds(customer_id=row.customer_id, order_id=order_id)
    statuses = {one.status for one in made if one.request == request}
    if PaymentRefundStatus.FAILED in statuses:
        _turn(row, RefundStatus.FAILED, now=now)
    elif statuses == {PaymentRefundStatus.SUCCEEDED}:
        _turn(row, RefundStatus.PAID, now=now)


@sharding.repeatable
def _turn(row: models.OrderRefund, to: RefundStatus, *, now: datetime) -> None:
    sources = [status for status, following in domain.REFUND_TRANSITIONS.items() if to in following]
    with sharding.atomic(sharding.alias_of_id("customer", row.order_id)):
        order = models.Order.objects.select_for_update(of=("self",), no_key=True).get(pk=row.order_id)
        mine = models.OrderRefund.objects.filter(order_id=row.order_id, pk=row.pk, status__in=sources)
        if mine.update(status=to, changed_at=now):
            _noted(order, f"refund_{to}", "system", {"number": row.number}, now)


def _payable(order: models.Order, lines: Sequence[RefundLine], amount: Money | None) -> tuple[list[_Part], int]:
    """The parts of a refund and their cents; raises ``NotRefundable`` for more than was paid and not given back."""
    if order.captured_cents is None:
        raise NotPaidYet(f"An order that is {order.status} is not paid for yet.")
    parts = _parts(order, lines, amount)
    cents = sum(sum(part.cents.values()) for part in parts)
    returned = order.refunds.values_list("amount_cents", flat=True)
    if cents <= 0 or cents > order.captured_cents - sum(returned):
        raise NotRefundable("That is more than is left to give back.")
    return parts, cents


def _parts(order: models.Order, lines: Sequence[RefundLine], amount: Money | None) -> list[_Part]:
    if amount is not None:
        if amount.currency != order.currency or amount.cents <= 0:
            raise RefundInvalid(f"An amount is more than nothing, and in {order.currency}.")
        return [_Part(None, "Refund", {GOODWILL: amount.cents})]
    if not lines:
        return _everything_left(order)
    if len({line.line_id for line in lines}) != len(lines):
        raise RefundInvalid("Name each line once.")
    known = {row.pk: row for row in order.lines.all()}  # not by the ids given: those may name another shard
    for line in lines:
        if line.line_id not in known:
            raise LineNotFound(f"Order {order.pk} has no line {line.line_id}.")
    return [_of_line(order, known[line.line_id], line) for line in lines]


def _of_line(order: models.Order, row: models.OrderLine, asked: RefundLine) -> _Part:
    paid = Counter[str]()
    for adjustment in order.adjustments.filter(phase=Phase.FINAL, line=row):
        kind = ITEM if adjustment.kind == DISCOUNT else adjustment.kind  # what a sale or a promotion took off
        paid[kind] += adjustment.amount_cents
    other = order.replacements.get(pk=row.replacement_id) if row.replacement_id else None  # that was sold, and taxed
    name, tax_category = (row.name, row.tax_category) if other is None else (other.name, other.tax_category)
    percent = Decimal(order.fees["tax_percent"].get(tax_category, 0))
    tax = Money(paid[ITEM], order.currency).times(percent / 100).cents
    whole = paid[ITEM] + paid[DEPOSIT] + tax
    before = -sum(order.adjustments.filter(phase=Phase.REFUND, line=row).values_list("amount_cents", flat=True))
    if asked.quantity is not None and asked.amount is None:
        found = row.found_quantity or Decimal(0)
        if not asked.quantity.is_finite() or not 0 < asked.quantity <= found:
            raise RefundInvalid(f"Between 0 and {found.normalize():f} of {name} can be given back.")
        share = asked.quantity / found
        cents = {
            kind: Money(sum_, "").times(share).cents for kind, sum_ in ((ITEM, paid[ITEM]), (DEPOSIT, paid[DEPOSIT]))
        }
        cents[TAX] = Money(cents[ITEM], "").times(percent / 100).cents
        excess = before + sum(cents.values()) - whole
        if 0 < excess <= _ROUNDING < cents[ITEM]:  # piece by piece, each rounded up
            cents[ITEM] -= excess
    elif asked.amount is not None and asked.quantity is None:
        if asked.amount.currency != order.currency or asked.amount.cents <= 0:
            raise RefundInvalid(f"An amount is more than nothing, and in {order.currency}.")
        part = min(asked.amount.cents, whole)
        cents = {DEPOSIT: paid[DEPOSIT] * part // whole if whole else 0, TAX: tax * part // whole if whole else 0}
        cents[ITEM] = asked.amount.cents - sum(cents.values())
    else:
        raise RefundInvalid("Say for each line how much of it, or an amount.")
    if before + sum(cents.values()) > whole:
        raise NotRefundable(f"At most {Money(whole - before, order.currency)} is left to give back for {name}.")
    return _Part(row, f"Refund, {name}", cents)


def _everything_left(order: models.Order) -> list[_Part]:
    """All that was paid and not given back, by kind; what was given for no line in particular is taken off first."""
    left = Counter[str](ledger.left_to_return(customer_id=order.customer_id, order_id=order.pk))
    return [_Part(None, "Refund", {kind: cents for kind, cents in left.items() if cents})]


def _written(
    order: models.Order, parts: Sequence[_Part], *, key: str, asked: str, reason: str, actor: str, now: datetime
) -> models.OrderRefund:
    """The decision, its money lines, the ledger and the history. Inside the caller's transaction."""
    cents: Counter[str] = Counter()
    for part in parts:
        cents.update(part.cents)
    row = models.OrderRefund.objects.create(
        order=order,
        customer_id=order.customer_id,
        number=order.refunds.count() + 1,
        key=key,
        fingerprint=asked,
        amount_cents=sum(cents.values()),
        reason=reason,
        status=RefundStatus.REQUESTED,
        actor=actor,
        requested_at=now,
        changed_at=now,
    )
    models.OrderAdjustment.objects.bulk_create(
        models.OrderAdjustment(
            order=order,
            customer_id=order.customer_id,
            kind=REFUND,
            label=part.label[:240],
            amount_cents=-sum(part.cents.values()),
            line=part.line,
            phase=Phase.REFUND,
            reason=reason,
            actor=actor,
        )
        for part in parts
    )
    ledger.credit(
        customer_id=order.customer_id,
        order_id=order.pk,
        store_id=order.store_id,
        number=row.number,
        cents_by_kind=cents,
        currency=order.currency,
        now=now,
    )
    _noted(order, "refunded", actor, {"number": row.number, "cents": row.amount_cents, "reason": reason}, now)
    return row


def _noted(order: models.Order, name: str, actor: str, data: dict[str, object], now: datetime) -> None:
    """A line of the order's history; the order's row is locked."""
    if not models.Order.objects.filter(pk=order.pk, sequence=order.sequence).update(sequence=order.sequence + 1):
        raise IllegalTransition("This order was changed meanwhile.")
    order.sequence += 1
    moving.note(order, before=Status(order.status), actor=actor, now=now, name=name, data=data)
