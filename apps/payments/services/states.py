"""Reading and moving payments: the only place that changes ``Payment.status``."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sharding
from apps.common import outbox
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.payments import domain, gateway, models
from apps.payments.errors import PaymentNotFound, ProviderUnavailable, UnexpectedState
from apps.payments.events import PaymentUpdated
from apps.payments.gateway import CardCheck, Intent, Reference
from apps.payments.types import PaymentStatus as Status

Answer = TypeVar("Answer")

KEY_LIFETIME = timedelta(hours=23)
"""The provider remembers a key for 24 hours; later it would do the work again."""


def find(*, customer_id: int, order_id: int, step: str) -> models.Payment:
    """Raises ``PaymentNotFound``."""
    row = models.Payment.objects.filter(customer_id=customer_id, order_id=order_id, step=step).first()
    if row is None:
        raise PaymentNotFound("There is no such payment.")
    return row


def again(row: models.Payment) -> models.Payment:
    return models.Payment.objects.get(customer_id=row.customer_id, pk=row.pk)


def reference(row: models.Payment) -> Reference:
    return Reference(customer_id=row.customer_id, order_id=row.order_id, step=row.step, attempt=row.attempt)


def stripe_customer(row: models.Payment) -> str:
    return models.Wallet.objects.get(pk=row.customer_id).stripe_customer_id


def begin(row: models.Payment, target: Status, *, now: datetime, **changes: Any) -> models.Payment | None:
    """Move ``row`` to a status in which the provider is asked, with a fresh key; None if it has moved elsewhere."""
    version = row.version + 1
    key = domain.idempotency_key(order_id=row.order_id, step=row.step, version=version)
    moved = _move(
        row,
        target,
        now=now,
        version=version,
        idempotency_key=key,
        key_made_at=now,
        only={"version": row.version},
        **changes,
    )
    return again(row) if moved else None


@sharding.repeatable
def rekey(row: models.Payment, *, now: datetime) -> models.Payment:
    """A fresh key for the same call; raises ``ProviderUnavailable`` if somebody else is at it."""
    version = row.version + 1
    changed = models.Payment.objects.filter(
        customer_id=row.customer_id, pk=row.pk, status=row.status, version=row.version
    ).update(
        version=version,
        idempotency_key=domain.idempotency_key(order_id=row.order_id, step=row.step, version=version),
        key_made_at=now,
    )
    if not changed:
        raise ProviderUnavailable("This payment is being worked on; try again.")
    return again(row)


def is_key_old(row: models.Payment, *, now: datetime) -> bool:
    return now - row.key_made_at > KEY_LIFETIME


def keyed(row: models.Payment, call: Callable[[str], Answer], *, now: datetime) -> Answer:
    """``call(key)`` with the row's key, and once more with a fresh one if the provider only repeats a stored failure.

    For calls that the intent's own state keeps from being done twice.
    """
    if is_key_old(row, now=now):
        row = rekey(row, now=now)
    try:
        return call(row.idempotency_key)
    except ProviderUnavailable as error:
        if not error.is_replay:
            raise
    return call(rekey(row, now=now).idempotency_key)


def never_made(row: models.Payment, *, now: datetime) -> models.Payment:
    """The provider knows of nothing to release. Should an answer still come in late, ``take`` releases it."""
    _move(row, Status.VOIDED, now=now, only={"version": row.version, "intent_id": ""})
    return again(row)


def take(row: models.Payment, intent: Intent, *, now: datetime) -> models.Payment:
    """Make ``row`` say what the provider says of ``intent``, as far as it may; returns it as it now is.

    Old news changes nothing: statuses only move forward. What an intent holds that nobody wants any
    more (the payment was voided while it was being authorised, or another intent has taken its
    place) is released at once.
    """
    row = _follow(row, intent, now=now)
    if not intent.is_open or not _is_stray(row, intent):
        return row
    try:
        # Releasing twice is harmless, so each try may have a key of its own.
        released = gateway.current().cancel(intent.id, key=f"release-{intent.id}:{now:%Y%m%d%H%M%S%f}")
    except UnexpectedState:
        released = gateway.current().retrieve(intent.id)
    return _follow(row, released, now=now)


def is_check(row: models.Payment) -> bool:
    """Whether the provider is asked, or was last asked, about the card alone: nothing is held."""
    is_asked_back = row.status == Status.REQUIRES_ACTION and not row.intent_id
    return row.status in (Status.CHECKING, Status.CHECKED) or is_asked_back


def take_check(row: models.Payment, check: CardCheck, *, now: datetime) -> models.Payment:
    """Make ``row`` say what the provider says of ``check``; old news, and news of another try, change nothing."""
    if check.reference in (None, reference(row)):
        changes = {"check_id": check.id, "action_url": check.action_url, "failure_code": check.failure_code}
        only = {"attempt": row.attempt, "check_id__in": ["", check.id], "intent_id": ""}
        _move(row, domain.CHECKS[check.status], now=now, only=only, **changes)
    return again(row)


def forget_check(row: models.Payment, *, now: datetime) -> models.Payment:
    """Nobody wants the payment any more, and nothing is held for it."""
    _move(row, Status.VOIDED, now=now, only={"version": row.version, "intent_id": ""})
    return again(row)


def _is_stray(row: models.Payment, intent: Intent) -> bool:
    return row.status in domain.ENDED or row.intent_id not in ("", intent.id)


def _follow(row: models.Payment, intent: Intent, *, now: datetime) -> models.Payment:
    if intent.reference is not None and intent.reference != reference(row):
        return again(row)
    for target in domain.OUTCOMES[intent.status]:
        changes: dict[str, Any] = {"intent_id": intent.id, "action_url": intent.action_url}
        if intent.capture_before is not None:
            changes["capture_before"] = intent.capture_before
        if target is Status.DECLINED:
            changes["failure_code"] = intent.failure_code
        if target is Status.CAPTURED:
            changes["captured_cents"] = intent.received_cents
        if _move(row, target, now=now, only={"attempt": row.attempt, "intent_id__in": ["", intent.id]}, **changes):
            return row
    return again(row)


def _move(row: models.Payment, target: Status, *, now: datetime, only: dict[str, Any], **changes: Any) -> bool:
    """One guarded UPDATE, its event and its booking: ``row`` has moved then. False if it could not move from there."""
    rows = models.Payment.objects.filter(
        customer_id=row.customer_id, pk=row.pk, status__in=domain.sources(target), **only
    )

    def change() -> bool:
        if not rows.update(status=target, changed_at=now, checked_at=now, **changes):
            return False
        if target is Status.CAPTURED:
            _book_capture(row, changes["captured_cents"], now=now)
        outbox.emit(
            PaymentUpdated(customer_id=row.customer_id, order_id=row.order_id, step=row.step, status=target),
            using=home.alias,
        )
        return True

    home = sharding.home("customer", row.customer_id)
    is_moved = sharding.run(home, change)
    if is_moved:
        for column, value in {"status": target, "changed_at": now, "checked_at": now, **changes}.items():
            setattr(row, column, value)
    return is_moved


def _book_capture(row: models.Payment, cents: int, *, now: datetime) -> None:
    ledger.book_capture(
        customer_id=row.customer_id,
        order_id=row.order_id,
        step=row.step,
        version=row.attempt,
        amount=Money(cents, row.currency),
        now=now,
    )
