from contextlib import suppress
from datetime import datetime

from apps.common.money import Money
from apps.payments import domain, gateway, models, selectors, types
from apps.payments.errors import (
    AlreadyCaptured,
    CaptureTooLarge,
    NotCapturable,
    PaymentConflict,
    ProviderUnavailable,
    UnexpectedState,
)
from apps.payments.gateway import Intent
from apps.payments.services import authorising, states
from apps.payments.types import PaymentStatus as Status


def capture(*, customer_id: int, order_id: int, step: str, amount: Money, now: datetime) -> types.Payment:
    """Take ``amount`` of what was authorised and release the rest; an amount of zero only releases.

    Call it again as often as you like: the money is taken once.

    Raises:
        PaymentNotFound
        CaptureTooLarge: more than was authorised; nothing is taken.
        NotCapturable: not authorised, or not any more (declined, voided, expired).
        PaymentConflict: another amount was captured, or is being captured.
        ProviderUnavailable: not known whether it worked. Calling again finds out, and goes on.
    """
    row = states.find(customer_id=customer_id, order_id=order_id, step=step)
    if not 0 <= amount.cents <= row.amount_cents or amount.currency != row.currency:
        raise CaptureTooLarge(f"At most {Money(row.amount_cents, row.currency)} was authorised.")
    if not amount:
        return selectors.payment_of(_nothing_captured(row, now=now))
    if row.status in domain.TAKEN:
        if amount.cents != (row.capture_cents or row.captured_cents):
            raise PaymentConflict("Another amount was captured already.")
        return selectors.payment_of(row if row.status == Status.CAPTURED else resume_capture(row, now=now))
    begun = states.begin(row, Status.CAPTURING, now=now, capture_cents=amount.cents)
    if begun is not None:
        return selectors.payment_of(_capture(begun, now=now))
    if states.again(row).status in domain.TAKEN:  # somebody began the same a moment ago
        return capture(customer_id=customer_id, order_id=order_id, step=step, amount=amount, now=now)
    raise NotCapturable("There is no authorisation to capture.")


def void(*, customer_id: int, order_id: int, now: datetime) -> None:
    """Release whatever is held, or might be held, for any step of the order. Repeating is harmless.

    Raises ``AlreadyCaptured``, and then releases nothing, when money was taken; ``ProviderUnavailable``
    when a release is not certain yet: calling again goes on.
    """
    rows = list(models.Payment.objects.filter(customer_id=customer_id, order_id=order_id).order_by("id"))
    if any(row.status in domain.TAKEN for row in rows):
        raise AlreadyCaptured("This was paid already; it can only be refunded.")
    for row in rows:
        if row.status in domain.VOIDABLE:
            release(row, now=now)


def give_up(*, customer_id: int, order_id: int, step: str, now: datetime) -> None:
    """Nobody wants this step any more: whatever is held for it, or turns out to be held later, is released.

    Repeating is harmless, and nothing happens to a step that was never begun, was refused, or was taken. It is over
    from here on, also where the provider does not answer: the sweep releases it then. Raises ``ProviderUnavailable``
    where somebody else is at it at this moment, and nothing is decided.
    """
    row = models.Payment.objects.filter(customer_id=customer_id, order_id=order_id, step=step).first()
    if row is None or row.status not in domain.VOIDABLE:
        return
    with suppress(AlreadyCaptured):
        try:
            release(row, now=now)
        except ProviderUnavailable:
            if states.again(row).status != Status.VOIDING:
                raise


def resume_capture(row: models.Payment, *, now: datetime) -> models.Payment:
    """Go on with a capture that was interrupted: look first, it may have worked."""
    row = authorising.refreshed(row, now=now)
    return _capture(row, now=now) if row.status == Status.CAPTURING else _captured(row)


def release(row: models.Payment, *, now: datetime) -> models.Payment:
    if row.status in (Status.CHECKING, Status.CHECKED):
        row = states.forget_check(row, now=now)
        if row.status == Status.VOIDED:
            return row
    if row.status != Status.VOIDING:
        begun = states.begin(row, Status.VOIDING, now=now)
        if begun is None:
            raise ProviderUnavailable("This payment is being worked on; try again.")
        row = begun
    intent = _to_release(row)
    if intent is None:
        return states.never_made(row, now=now)
    if intent.is_open:
        intent = _canceled(row, intent.id, now=now)
    row = states.take(row, intent, now=now)
    if row.status == Status.CAPTURED:
        raise AlreadyCaptured("This was paid already; it can only be refunded.")
    return row


def _nothing_captured(row: models.Payment, *, now: datetime) -> models.Payment:
    if row.status == Status.VOIDED:
        return row
    if row.status not in domain.VOIDABLE:
        raise NotCapturable("There is no authorisation to release.")
    return release(row, now=now)


def _capture(row: models.Payment, *, now: datetime) -> models.Payment:
    amount = Money(row.capture_cents or 0, row.currency)
    try:
        intent = states.keyed(
            row, lambda key: gateway.current().capture(row.intent_id, amount=amount, key=key), now=now
        )
    except UnexpectedState:
        intent = gateway.current().retrieve(row.intent_id)
    return _captured(states.take(row, intent, now=now))


def _captured(row: models.Payment) -> models.Payment:
    if row.status == Status.CAPTURING:
        raise ProviderUnavailable("The payment provider is not done yet.")
    if row.status != Status.CAPTURED:
        raise NotCapturable("The authorisation has ended.")
    return row


def _to_release(row: models.Payment) -> Intent | None:
    if row.intent_id:
        return gateway.current().retrieve(row.intent_id)
    return gateway.current().find(customer=states.stripe_customer(row), reference=states.reference(row))


def _canceled(row: models.Payment, intent_id: str, *, now: datetime) -> Intent:
    try:
        return states.keyed(row, lambda key: gateway.current().cancel(intent_id, key=key), now=now)
    except UnexpectedState:
        return gateway.current().retrieve(intent_id)
