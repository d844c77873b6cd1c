from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError
from django.db.models import Subquery

import sharding
from apps.common.money import Money
from apps.payments import domain, gateway, models, selectors, types
from apps.payments.errors import AmountTooSmall, CardNotFound, PaymentConflict, ProviderUnavailable
from apps.payments.gateway import CardCheck, Intent
from apps.payments.services import states
from apps.payments.types import PaymentStatus as Status


class _Card(NamedTuple):
    """A card and whose it is, by the provider's ids."""

    id: str
    customer: str


def authorise(
    *, customer_id: int, order_id: int, step: str, amount: Money, card_id: int, return_url: str, now: datetime
) -> types.Payment:
    """Hold ``amount`` on the card for this step of the order; the answer is in ``status``:

    ``authorised``; ``requires_action`` (send the customer to ``action_url``, then ``refresh``);
    ``declined`` (``failure_code`` says why). Call it again as often as you like, after an error or a
    crash too: a step is held once. A declined step is tried again only with another card.

    Raises:
        CardNotFound: not a card of this customer's.
        AmountTooSmall: less than ``types.SMALLEST_CENTS``.
        PaymentConflict: the step was asked for with another amount or card, or is over.
        ProviderUnavailable: not known whether it worked. Calling again finds out, and goes on.
    """
    return _paid(
        customer_id=customer_id,
        order_id=order_id,
        step=step,
        amount=amount,
        card_id=card_id,
        return_url=return_url,
        is_charge=False,
        now=now,
    )


def _paid(
    *,
    customer_id: int,
    order_id: int,
    step: str,
    amount: Money,
    card_id: int,
    return_url: str,
    is_charge: bool,
    now: datetime,
) -> types.Payment:
    card = _card(customer_id=customer_id, card_id=card_id, amount=amount)
    row, is_new = _opened(
        customer_id=customer_id,
        order_id=order_id,
        step=step,
        amount=amount,
        card_id=card_id,
        return_url=return_url,
        is_charge=is_charge,
        now=now,
    )
    if row.status != Status.AUTHORISING:
        return selectors.payment_of(row)
    intent = _asked(row, card, now=now) if is_new else _resumed(row, card, now=now)
    return selectors.payment_of(states.take(row, intent, now=now))


def prepare(
    *, customer_id: int, order_id: int, step: str, amount: Money, card_id: int, return_url: str, now: datetime
) -> types.Payment:
    """Check with the card's bank that it will pay later; ``authorise`` of the same step then holds ``amount``.

    For what is further away than a hold lasts. The answer is in ``status``: ``checked``; ``requires_action`` (send
    the customer to ``action_url``, then ``refresh``); ``declined``. Repeating is harmless. Raises as ``authorise``.
    """
    card = _card(customer_id=customer_id, card_id=card_id, amount=amount)
    row, _ = _opened(
        customer_id=customer_id,
        order_id=order_id,
        step=step,
        amount=amount,
        card_id=card_id,
        return_url=return_url,
        first=Status.CHECKING,
        now=now,
    )
    if row.status == Status.CHECKING:
        row = states.take_check(row, _checked(row, card, now=now), now=now)
    return selectors.payment_of(row)


def renew(*, customer_id: int, order_id: int, step: str, now: datetime) -> types.Payment:
    """Hold the amount of an expired authorisation anew, the customer not being there; ``status`` is the answer.

    Nothing happens to a payment that has not expired. Raises ``PaymentNotFound``, ``CardNotFound`` and
    ``ProviderUnavailable``: calling again goes on.
    """
    row = states.find(customer_id=customer_id, order_id=order_id, step=step)
    card = _card_of(row)
    if row.status == Status.EXPIRED:
        changes = {"intent_id": "", "failure_code": "", "return_url": "", "capture_before": None}
        begun = states.begin(row, Status.AUTHORISING, now=now, attempt=row.attempt + 1, **changes)
        if begun is None:
            raise ProviderUnavailable("This payment is being worked on; try again.")
        return selectors.payment_of(states.take(begun, _asked(begun, card, now=now), now=now))
    if row.status == Status.AUTHORISING:
        row = states.take(row, _resumed(row, card, now=now), now=now)
    return selectors.payment_of(row)


def charge(*, customer_id: int, order_id: int, step: str, amount: Money, card_id: int, now: datetime) -> types.Payment:
    """Take ``amount`` from the card at once, the customer not being there; the answer is in ``status``:

    ``captured``; ``declined``, and then ``failure_code`` says why: ``authentication_required`` where the bank wants to
    see its customer (they have to pay with a card of their choice, themselves), else the bank's reason. Call it again
    as often as you like: a step is charged once. A declined step is tried again only with another card.

    Raises as ``authorise`` does; ``PaymentConflict`` also where the step was begun as a hold.
    """
    return _paid(
        customer_id=customer_id,
        order_id=order_id,
        step=step,
        amount=amount,
        card_id=card_id,
        return_url="",
        is_charge=True,
        now=now,
    )


def refresh(*, customer_id: int, order_id: int, step: str, now: datetime) -> types.Payment:
    """Ask the provider where the payment stands: after the customer came back from their bank, or on suspicion.

    Raises ``PaymentNotFound`` and ``ProviderUnavailable``.
    """
    row = states.find(customer_id=customer_id, order_id=order_id, step=step)
    return selectors.payment_of(refreshed(row, now=now))


def refreshed(row: models.Payment, *, now: datetime) -> models.Payment:
    if states.is_check(row):
        if row.check_id:
            return states.take_check(row, gateway.current().retrieve_check(row.check_id), now=now)
        return states.take_check(row, _checked(row, _card_of(row), now=now), now=now)
    if row.intent_id:
        intent: Intent | None = gateway.current().retrieve(row.intent_id)
    elif row.status in domain.UNDECIDED:
        intent = gateway.current().find(customer=states.stripe_customer(row), reference=states.reference(row))
    else:
        intent = None
    return row if intent is None else states.take(row, intent, now=now)


def _opened(
    *,
    customer_id: int,
    order_id: int,
    step: str,
    amount: Money,
    card_id: int,
    return_url: str,
    is_charge: bool = False,
    first: Status = Status.AUTHORISING,
    now: datetime,
) -> tuple[models.Payment, bool]:
    """The payment with its key, committed before anybody is called; and whether this call made them."""
    asked = {
        "amount_cents": amount.cents,
        "currency": amount.currency,
        "card_id": card_id,
        "is_charge": is_charge,
    }

    def open_it() -> models.Payment:
        return models.Payment.objects.create(
            customer_id=customer_id,
            order_id=order_id,
            step=step,
            **asked,
            status=first,
            return_url=return_url,
            idempotency_key=domain.idempotency_key(order_id=order_id, step=step, version=1),
            key_made_at=now,
            created_at=now,
            changed_at=now,
            checked_at=now,
        )

    try:
        return sharding.run(sharding.home("customer", customer_id), open_it), True
    except IntegrityError:
        row = states.find(customer_id=customer_id, order_id=order_id, step=step)
    if row.status == Status.DECLINED and row.card_id != card_id:
        blank = {"intent_id": "", "check_id": "", "failure_code": "", "action_url": ""}
        changes = {**asked, **blank, "return_url": return_url, "attempt": row.attempt + 1}
        renewed = states.begin(row, first, now=now, **changes)
        if renewed is None:
            raise PaymentConflict("This payment is being made with another card.")
        return renewed, True
    if any(getattr(row, name) != value for name, value in asked.items()):
        raise PaymentConflict("This payment was begun with another amount or card.")
    if row.status in (Status.VOIDING, Status.VOIDED, Status.EXPIRED):
        raise PaymentConflict("This payment is over.")
    if row.status == Status.CHECKED and first is Status.AUTHORISING:
        begun = states.begin(row, first, now=now, return_url=return_url)
        return (row, False) if begun is None else (begun, True)
    return row, False


def _card(*, customer_id: int, card_id: int, amount: Money) -> _Card:
    if amount.cents < types.SMALLEST_CENTS:
        raise AmountTooSmall(f"A card is charged with {Money(types.SMALLEST_CENTS, amount.currency)} or more.")
    owner = models.Wallet.objects.filter(pk=customer_id).values("stripe_customer_id")
    # Pinned: the id of somebody else's card must not lead there.
    alias = sharding.alias_for("customer", customer_id)
    cards = models.PaymentMethod.objects.using(alias).filter(customer_id=customer_id, pk=card_id)
    found = cards.values_list("stripe_id", Subquery(owner)).first()
    if found is None:
        raise CardNotFound("There is no such card.")
    return _Card(*found)


def _card_of(row: models.Payment) -> _Card:
    return _card(customer_id=row.customer_id, card_id=row.card_id, amount=Money(row.amount_cents, row.currency))


def _checked(row: models.Payment, card: _Card, *, now: datetime) -> CardCheck:
    """What the bank says. A check that was interrupted is made again, as it holds nothing."""

    def ask(key: str) -> CardCheck:
        return gateway.current().check(
            customer=card.customer,
            card=card.id,
            reference=states.reference(row),
            return_url=row.return_url,
            key=key,
        )

    return states.keyed(row, ask, now=now)


def _asked(row: models.Payment, card: _Card, *, now: datetime) -> Intent:
    if row.is_charge:
        return gateway.current().charge(
            customer=card.customer,
            card=card.id,
            amount=Money(row.amount_cents, row.currency),
            reference=states.reference(row),
            key=row.idempotency_key,
        )
    return gateway.current().authorise(
        customer=card.customer,
        card=card.id,
        amount=Money(row.amount_cents, row.currency),
        reference=states.reference(row),
        return_url=row.return_url,
        key=row.idempotency_key,
    )


def _resumed(row: models.Payment, card: _Card, *, now: datetime) -> Intent:
    """Go on where somebody was interrupted. An intent that exists is never made a second time."""
    found = _found(row)
    if found is not None:
        return found
    if states.is_key_old(row, now=now):
        row = states.rekey(row, now=now)
    try:
        return _asked(row, card, now=now)
    except ProviderUnavailable as error:
        if not error.is_replay:
            raise
    # The provider has stored a failure for this key. The work may still have been done, a moment after we looked.
    found = _found(row)
    return found if found is not None else _asked(states.rekey(row, now=now), card, now=now)


def _found(row: models.Payment) -> Intent | None:
    return gateway.current().find(customer=states.stripe_customer(row), reference=states.reference(row))
