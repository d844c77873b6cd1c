"""What the provider tells us: noted once, acted on afterwards, believed only after asking back.

An event says that something happened to an intent, not where the intent is now: events arrive
twice, late and in any order. So each one only makes us fetch the intent.
"""

import json
import logging
from datetime import datetime
from typing import Any

from django.conf import settings

import sharding
from apps.common import outbox
from apps.payments import gateway, models, signatures
from apps.payments.errors import BadSignature, CardNotFound, CardPageUnfinished, UnknownObject
from apps.payments.events import StripeEventReceived
from apps.payments.services import accounts, arriving, cards, disputing, paying_out, refunding, states

logger = logging.getLogger(__name__)

ABOUT_REFUNDS = frozenset(
    {"charge.refunded", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed"}
)


def receive_event(*, payload: bytes, signature: str, now: datetime) -> None:
    """Note what the provider says; what it changes happens right after, in a worker. Repeating is harmless.

    Raises ``BadSignature`` for a body that is not the provider's, or is older or newer than 5 minutes.
    """
    signatures.verify(payload=payload, header=signature, secrets=settings.STRIPE_WEBHOOK_SECRETS, now=now)
    event = _read(payload)
    with sharding.atomic("default"):
        _, is_new = models.StripeEvent.objects.get_or_create(
            id=event["id"], defaults={"type": event["type"], "payload": event["payload"], "received_at": now}
        )
        if is_new:
            outbox.emit(StripeEventReceived(event_id=event["id"]), using="default")


def handle_event(*, event_id: str, now: datetime) -> None:
    """Do what the noted event asks for. Repeating is harmless. Raises ``ProviderUnavailable``."""
    event = models.StripeEvent.objects.get(pk=event_id)
    if event.handled_at is not None:
        return
    if event.type.startswith("payment_intent."):
        _follow_intent(event.payload["object"], now=now)
    elif event.type.startswith("setup_intent."):
        _follow_check(event.payload["object"], now=now)
    elif event.type == "account.updated":
        accounts.follow(event.payload["object"], now=now)
    elif event.type.startswith("payout."):
        arriving.follow(event.payload.get("account", ""), now=now)
    elif event.type.startswith("transfer."):
        paying_out.follow(event.payload["object"], now=now)
    elif event.type in ABOUT_REFUNDS or event.type.startswith("charge.dispute."):
        _follow_intent(event.payload.get("intent", ""), now=now, money_back=True)
    elif event.type == "checkout.session.completed":
        _keep_card(event.payload, now=now)
    models.StripeEvent.objects.filter(pk=event_id).update(handled_at=now)


def _follow_intent(intent_id: str, *, now: datetime, money_back: bool = False) -> None:
    if not intent_id:
        return
    try:
        intent = gateway.current().retrieve(intent_id)
    except UnknownObject:
        logger.warning("payments.event_of_unknown_intent %s", intent_id)
        return
    if intent.reference is None:
        return  # not one of ours: the account may serve other systems too
    row = models.Payment.objects.filter(
        customer_id=intent.reference.customer_id, order_id=intent.reference.order_id, step=intent.reference.step
    ).first()
    if row is None:
        logger.error("payments.intent_without_payment %s", intent_id)
        return
    row = states.take(row, intent, now=now)
    if money_back and row.intent_id == intent_id:
        refunding.follow(row, now=now)
        disputing.follow(row, now=now)


def _follow_check(check_id: str, *, now: datetime) -> None:
    try:
        check = gateway.current().retrieve_check(check_id)
    except UnknownObject:
        logger.warning("payments.event_of_unknown_check %s", check_id)
        return
    if check.reference is None:
        return  # a card page's
    row = models.Payment.objects.filter(
        customer_id=check.reference.customer_id, order_id=check.reference.order_id, step=check.reference.step
    ).first()
    if row is not None and states.is_check(row):
        states.take_check(row, check, now=now)


def _keep_card(payload: dict[str, Any], *, now: datetime) -> None:
    """The customer saved a card; they may have closed the browser before coming back to us."""
    if not payload["owner"].isdigit():
        return
    try:
        cards.finish_card_page(customer_id=int(payload["owner"]), session_id=payload["object"], now=now)
    except (CardNotFound, CardPageUnfinished):
        logger.warning("payments.card_page_not_ours %s", payload["object"])


def _read(payload: bytes) -> dict[str, Any]:
    """Of a genuine event, what we act on. The rest (names, addresses of cards' bills) is not ours to keep."""
    try:
        event = json.loads(payload)
        subject = event["data"]["object"]
        return {
            "id": str(event["id"])[:80],
            "type": str(event["type"])[:80],
            "payload": {
                "object": str(subject.get("id", "")),
                "owner": str(subject.get("client_reference_id") or ""),
                "intent": str(subject.get("payment_intent") or ""),
                "account": str(event.get("account") or ""),
            },
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSignature("This is not an event.") from error
