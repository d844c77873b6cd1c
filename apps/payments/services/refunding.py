"""Give money back: the only place that changes ``Refund.status``, and with it what a payment has given back."""

from datetime import datetime

from django.db.models import F, Max

import sharding
from apps.common import outbox
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.payments import domain, gateway, models, selectors, types
from apps.payments.errors import (
    GatewayRefused,
    ProviderUnavailable,
    RefundConflict,
    RefundTooLarge,
    UnexpectedState,
)
from apps.payments.events import RefundUpdated
from apps.payments.gateway import GivenBack
from apps.payments.services import states
from apps.payments.types import RefundStatus as Status

BY_PROVIDER = "provider:"
"""Begins the ``request`` of a refund that somebody made on the provider's own pages."""
NOTHING_LEFT, REFUSED = "nothing_left", "refused"


def refund(
    *,
    customer_id: int,
    order_id: int,
    request: str,
    amount: Money,
    reason: str,
    now: datetime,
    newest_first: bool = False,
) -> tuple[types.Refund, ...]:
    """Give ``amount`` of what the order has paid back, from its oldest payment on; the refunds of this ``request``.

    With ``newest_first`` from its newest on: what was paid last, a tip, is what goes back.

    Call it again with the same ``request`` as often as you like: it is given back once. The status says how far it
    is: ``requested`` means that the provider has not said yet; the sweep finds out, nobody has to ask again.

    Raises:
        RefundTooLarge: more than was taken and not asked back; nothing is given back.
        RefundConflict: the same request was made before for another amount.
    """
    rows = _opened(
        customer_id=customer_id,
        order_id=order_id,
        request=request,
        amount=amount,
        reason=reason,
        newest_first=newest_first,
        now=now,
    )
    for row in rows:
        if row.status == Status.REQUESTED:
            try:
                resume(row, now=now, is_new=row.refund_id == "" and row.created_at == now)
            except ProviderUnavailable:  # the row is written down, the sweep goes on with it
                break
    return tuple(one for one in selectors.refunds(customer_id=customer_id, order_id=order_id) if one.request == request)


def resume(row: models.Refund, *, now: datetime, is_new: bool = False) -> models.Refund:
    """Go on with a refund: look first whether the provider made it, unless nobody can have asked yet."""
    payment = _payment(row)
    if not is_new:
        found = _found(row, payment)
        if found is not None:
            return _take(row, found, now=now)
    try:
        made = _asked(row, payment, now=now)
    except (UnexpectedState, GatewayRefused) as error:
        code = NOTHING_LEFT if isinstance(error, UnexpectedState) else REFUSED
        row = _move(row, Status.FAILED, now=now, failure_code=code)
        follow(payment, now=now)  # somebody was faster, by hand: take that down too
        return row
    return _take(row, made, now=now)


def follow(payment: models.Payment, *, now: datetime) -> None:
    """Make our refunds of a payment say what the provider says, those included that were made by hand there."""
    if not payment.intent_id:
        return
    ours = {row.number: row for row in models.Refund.objects.filter(customer_id=payment.customer_id, payment=payment)}
    by_id = {row.refund_id: row for row in ours.values() if row.refund_id}
    for found in gateway.current().refunds(payment.intent_id):
        row = by_id.get(found.id) or ours.get(found.number or 0)
        if row is not None:
            _take(row, found, now=now)
        elif found.status != "failed":
            _note_by_hand(payment, found, now=now)


@sharding.repeatable
def _opened(
    *,
    customer_id: int,
    order_id: int,
    request: str,
    amount: Money,
    reason: str,
    newest_first: bool,
    now: datetime,
) -> list[models.Refund]:
    """The refunds of this request with their keys, committed before anybody is called."""
    with sharding.atomic(sharding.home("customer", customer_id)):
        payments = models.Payment.objects.filter(customer_id=customer_id, order_id=order_id)
        locked = list(payments.order_by("id").select_for_update(no_key=True))
        mine = models.Refund.objects.filter(customer_id=customer_id, order_id=order_id, request=request)
        rows = list(mine.order_by("id"))
        if rows:
            if sum(row.amount_cents for row in rows) != amount.cents:
                raise RefundConflict("This refund was asked for before with another amount.")
            return rows
        if amount.cents <= 0 or any(payment.currency != amount.currency for payment in locked):
            raise RefundTooLarge("There is nothing to give back in this amount or currency.")
        left = amount.cents
        for payment in reversed(locked) if newest_first else locked:
            part = min(left, payment.captured_cents - payment.refunded_cents - payment.refunding_cents)
            if part > 0:
                rows.append(_open(payment, request=request, cents=part, reason=reason, now=now))
                left -= part
        if left:
            raise RefundTooLarge(f"{Money(left, amount.currency)} more than was paid and not given back.")
        return rows


def _open(payment: models.Payment, *, request: str, cents: int, reason: str, now: datetime) -> models.Refund:
    """Inside the caller's transaction: set ``cents`` of the payment aside for a refund of its own."""
    room = models.Payment.objects.filter(
        customer_id=payment.customer_id,
        pk=payment.pk,
        captured_cents__gte=F("refunded_cents") + F("refunding_cents") + cents,
    )
    if not room.update(refunding_cents=F("refunding_cents") + cents):
        raise RefundTooLarge("This was given back meanwhile.")
    mine = models.Refund.objects.filter(customer_id=payment.customer_id, payment=payment)
    number = (mine.aggregate(last=Max("number"))["last"] or 0) + 1
    row = models.Refund.objects.create(
        customer_id=payment.customer_id,
        payment=payment,
        order_id=payment.order_id,
        number=number,
        request=request,
        amount_cents=cents,
        reason=reason,
        status=Status.REQUESTED,
        idempotency_key=domain.idempotency_key(
            order_id=payment.order_id, step=domain.refund_step(payment.step, number), version=1
        ),
        key_made_at=now,
        created_at=now,
        changed_at=now,
        checked_at=now,
    )
    _note(row, "", Status.REQUESTED, now=now)
    return row


def _payment(row: models.Refund) -> models.Payment:
    return models.Payment.objects.get(customer_id=row.customer_id, pk=row.payment_id)


def _again(row: models.Refund) -> models.Refund:
    return models.Refund.objects.get(customer_id=row.customer_id, pk=row.pk)


def _found(row: models.Refund, payment: models.Payment) -> GivenBack | None:
    return next((one for one in gateway.current().refunds(payment.intent_id) if one.number == row.number), None)


def _asked(row: models.Refund, payment: models.Payment, *, now: datetime) -> GivenBack:
    """The provider's answer under the stored key. A key that is old, or spoilt by a stored failure, is replaced

    only after the provider was asked whether the refund is there.
    """

    def ask(row: models.Refund) -> GivenBack:
        return gateway.current().refund(
            payment.intent_id,
            amount=Money(row.amount_cents, payment.currency),
            reference=states.reference(payment),
            number=row.number,
            key=row.idempotency_key,
        )

    if now - row.key_made_at > states.KEY_LIFETIME:
        row = _rekey(row, payment, now=now)
    try:
        return ask(row)
    except ProviderUnavailable as error:
        if not error.is_replay:
            raise
    found = _found(row, payment)
    return found if found is not None else ask(_rekey(row, payment, now=now))


@sharding.repeatable
def _rekey(row: models.Refund, payment: models.Payment, *, now: datetime) -> models.Refund:
    version = row.version + 1
    key = domain.idempotency_key(
        order_id=row.order_id, step=domain.refund_step(payment.step, row.number), version=version
    )
    mine = models.Refund.objects.filter(
        customer_id=row.customer_id, pk=row.pk, status=Status.REQUESTED, version=row.version
    )
    if not mine.update(version=version, idempotency_key=key, key_made_at=now):
        raise ProviderUnavailable("This refund is being worked on; try again.")
    return _again(row)


def _take(row: models.Refund, found: GivenBack, *, now: datetime) -> models.Refund:
    match found.status:
        case "succeeded":
            return _move(row, Status.SUCCEEDED, now=now, refund_id=found.id)
        case "failed":
            return _move(row, Status.FAILED, now=now, refund_id=found.id, failure_code=found.failure_code or "failed")
        case _:
            return row


def _move(row: models.Refund, target: Status, *, now: datetime, **changes: str) -> models.Refund:
    """One guarded UPDATE with its history, its event, the payment's sums and the ledger; nothing if it cannot move."""

    def change() -> None:
        mine = models.Refund.objects.filter(customer_id=row.customer_id, pk=row.pk)
        before = mine.select_for_update(no_key=True).get().status
        if before not in domain.refund_sources(target):
            return
        mine.update(status=target, changed_at=now, checked_at=now, **changes)
        _settle(row, Status(before), target, now=now)

    sharding.run(sharding.home("customer", row.customer_id), change)
    return _again(row)


def _settle(row: models.Refund, before: Status | None, target: Status, *, now: datetime) -> None:
    """What a step does to the payment's sums and the ledger. Inside the caller's transaction."""
    payment = models.Payment.objects.get(customer_id=row.customer_id, pk=row.payment_id)
    cents, sums = row.amount_cents, {}
    if before is Status.REQUESTED:
        sums["refunding_cents"] = F("refunding_cents") - cents
    if target is Status.SUCCEEDED:
        sums["refunded_cents"] = F("refunded_cents") + cents
    elif before is Status.SUCCEEDED:
        sums["refunded_cents"] = F("refunded_cents") - cents
    models.Payment.objects.filter(customer_id=row.customer_id, pk=row.payment_id).update(**sums)
    if target is Status.SUCCEEDED or before is Status.SUCCEEDED:
        ledger.book_refund(
            customer_id=row.customer_id,
            order_id=row.order_id,
            step=payment.step,
            version=row.number,
            amount=Money(cents, payment.currency),
            failed=target is Status.FAILED,
            now=now,
        )
    _note(row, before or "", target, now=now)
    outbox.emit(
        RefundUpdated(
            customer_id=row.customer_id,
            order_id=row.order_id,
            step=payment.step,
            number=row.number,
            request=row.request,
            status=target,
        ),
        using=sharding.alias_for("customer", row.customer_id),
    )


def _note(row: models.Refund, before: str, target: Status, *, now: datetime) -> None:
    models.RefundChange.objects.create(
        customer_id=row.customer_id, refund=row, from_status=before, to_status=target, at=now
    )


def _note_by_hand(payment: models.Payment, found: GivenBack, *, now: datetime) -> None:
    """Somebody gave money back on the provider's pages: take it down. The platform pays for it, until a person says

    otherwise. Left for the next look while a refund of ours still claims the same money.
    """

    def note() -> None:
        mine = models.Payment.objects.filter(customer_id=payment.customer_id, pk=payment.pk)
        locked = mine.select_for_update(no_key=True).get()
        there = models.Refund.objects.filter(customer_id=payment.customer_id, refund_id=found.id)
        if there.exists() or locked.captured_cents < locked.refunded_cents + locked.refunding_cents + found.cents:
            return
        row = _open(locked, request=f"{BY_PROVIDER}{found.id}", cents=found.cents, reason="by_hand", now=now)
        models.Refund.objects.filter(customer_id=row.customer_id, pk=row.pk).update(
            status=Status.SUCCEEDED, refund_id=found.id
        )
        ledger.credit_by_hand(
            customer_id=row.customer_id,
            order_id=row.order_id,
            step=payment.step,
            version=row.number,
            amount=Money(found.cents, payment.currency),
            now=now,
        )
        _settle(row, Status.REQUESTED, Status.SUCCEEDED, now=now)

    sharding.run(sharding.home("customer", payment.customer_id), note)
