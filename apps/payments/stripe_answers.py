"""Stripe's answers as ours: what ``stripe_gateway`` reads out of the SDK's objects."""

from datetime import UTC, datetime
from typing import Any, Literal

import stripe

from apps.payments.errors import UnknownObject
from apps.payments.gateway import (
    CardCheck,
    CardPage,
    GivenBack,
    Intent,
    IntentStatus,
    Movement,
    MovementCause,
    PaidOut,
    ProviderAccount,
    Reference,
    SavedCard,
    Sent,
    Summary,
)

_STATUSES: dict[str, IntentStatus] = {
    "requires_payment_method": "declined",
    "requires_confirmation": "processing",
    "requires_action": "requires_action",
    "processing": "processing",
    "requires_capture": "authorised",
    "succeeded": "captured",
    "canceled": "canceled",
}


def at(found: Any, *path: str) -> Any:
    """The value at ``path``, None where the answer ends before it: Stripe leaves out what does not apply."""
    for name in path:
        if not isinstance(found, stripe.StripeObject) or name not in found:
            return None
        found = found[name]
    return found


def reason(error: stripe.CardError) -> str:
    return str(at(error.error, "decline_code") or error.code or "card_declined")


def refused(error: stripe.CardError, reference: Reference) -> Intent:
    return Intent(
        id=str(at(error.error, "payment_intent", "id") or ""),
        status="declined",
        failure_code=reason(error),
        reference=reference,
    )


def account(found: stripe.Account) -> ProviderAccount:
    if at(found, "capabilities", "transfers") == "active" and found.payouts_enabled:
        return ProviderAccount(id=found.id, status="enabled")
    return ProviderAccount(id=found.id, status="restricted" if found.details_submitted else "pending")


def sent(found: stripe.Transfer) -> Sent:
    number = str(at(found, "metadata", "transfer") or "")
    return Sent(
        id=found.id,
        cents=found.amount,
        reversed_cents=found.amount_reversed,
        transfer=int(number) if number.isdigit() else None,
    )


DISPUTES: dict[str, Literal["open", "won", "lost"]] = {"won": "won", "lost": "lost"}
_CHECKS: dict[str, Literal["ready", "requires_action", "declined"]] = {
    "succeeded": "ready",
    "requires_action": "requires_action",
    "processing": "requires_action",
}


def check(found: stripe.SetupIntent) -> CardCheck:
    problem = found.last_setup_error
    return CardCheck(
        id=found.id,
        status=_CHECKS.get(found.status, "declined"),
        action_url=str(at(found, "next_action", "redirect_to_url", "url") or ""),
        failure_code=str(at(problem, "decline_code") or at(problem, "code") or ""),
        reference=reference(found.metadata.to_dict()) if found.metadata else None,
    )


def intent(found: stripe.PaymentIntent) -> Intent:
    problem = found.last_payment_error
    moment = at(found, "latest_charge", "payment_method_details", "card", "capture_before")
    return Intent(
        id=found.id,
        status=_STATUSES[found.status],
        received_cents=found.amount_received or 0,
        action_url=str(at(found, "next_action", "redirect_to_url", "url") or ""),
        failure_code=str(at(problem, "decline_code") or at(problem, "code") or ""),
        capture_before=datetime.fromtimestamp(moment, UTC) if moment else None,
        reference=reference(found.metadata.to_dict()),
    )


def summary(found: stripe.PaymentIntent) -> Summary:
    """What a charge gave back counts what it never took, too: the rest of a hold that was captured in part."""
    charge = found.latest_charge
    returned = 0
    if isinstance(charge, stripe.Charge) and charge.captured:
        returned = charge.amount_refunded - (charge.amount - charge.amount_captured)
    return Summary(intent=intent(found), amount_cents=found.amount, returned_cents=returned)


_PAYOUT_STATUSES: dict[str, Literal["pending", "paid", "failed", "canceled"]] = {
    "pending": "pending",
    "in_transit": "pending",
    "paid": "paid",
    "failed": "failed",
    "canceled": "canceled",
}


def paid_out(found: stripe.Payout) -> PaidOut:
    return PaidOut(
        id=found.id,
        cents=found.amount,
        status=_PAYOUT_STATUSES[found.status],
        created_at=datetime.fromtimestamp(found.created, UTC),
        arrives_at=datetime.fromtimestamp(found.arrival_date, UTC),
        failure_code=found.failure_code or "",
    )


_REFUND_STATUSES: dict[str, Literal["pending", "succeeded", "failed"]] = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}


def number(found: stripe.Refund) -> int | None:
    number = str(at(found, "metadata", "refund") or "")
    return int(number) if number.isdigit() else None


def given_back(found: stripe.Refund) -> GivenBack:
    return GivenBack(
        id=found.id,
        status=_REFUND_STATUSES[found.status or "pending"],
        cents=found.amount,
        number=number(found),
        failure_code=str(at(found, "failure_reason") or ""),
    )


_CAUSES: dict[str, MovementCause] = {
    "charge": "captured",
    "payment": "captured",
    "refund": "refunded",
    "payment_refund": "refunded",
    "refund_failure": "refund_failed",
    "payment_failure_refund": "refund_failed",
    "transfer": "transferred",
    "transfer_refund": "taken_back",
}


def movement(found: stripe.BalanceTransaction) -> Movement:
    cause: MovementCause = _CAUSES.get(found.type, "other")
    if found.type == "adjustment" and at(found, "source", "object") == "dispute":
        cause = "disputed" if found.amount < 0 else "dispute_won"
    name = at(found, "source", {"captured": "payment_intent", "taken_back": "transfer"}.get(cause, "id"))
    metadata = at(found, "source", "metadata")
    return Movement(
        id=found.id,
        cause=cause,
        cents=found.amount,
        at=datetime.fromtimestamp(found.created, UTC),
        source=str(name or ""),
        reference=reference(metadata.to_dict()) if metadata else None,
    )


def page(found: stripe.checkout.Session) -> CardPage:
    setup = found.setup_intent
    saved = setup.payment_method if isinstance(setup, stripe.SetupIntent) and found.status == "complete" else None
    customer = found.customer
    return CardPage(
        id=found.id,
        url=found.url or "",
        customer=customer.id if isinstance(customer, stripe.Customer) else customer or "",
        card=card(saved) if isinstance(saved, stripe.PaymentMethod) else None,
    )


def card(found: stripe.PaymentMethod) -> SavedCard:
    card = found.card
    if card is None:
        raise UnknownObject(f"{found.id} is not a card")
    return SavedCard(
        id=found.id, brand=card.brand, last4=card.last4 or "", exp_month=card.exp_month, exp_year=card.exp_year
    )


def metadata(reference: Reference) -> dict[str, str]:
    return {
        "customer_id": str(reference.customer_id),
        "order_id": str(reference.order_id),
        "step": reference.step,
        "attempt": str(reference.attempt),
    }


def reference(metadata: dict[str, Any]) -> Reference | None:
    """None for an intent that is not one of ours."""
    try:
        return Reference(
            customer_id=int(metadata["customer_id"]),
            order_id=int(metadata["order_id"]),
            step=str(metadata["step"]),
            attempt=int(metadata["attempt"]),
        )
    except (KeyError, ValueError):
        return None
