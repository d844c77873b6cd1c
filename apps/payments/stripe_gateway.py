"""Stripe, by its own SDK: https://docs.stripe.com/api (version ``stripe._api_version`` of the pinned package).

The SDK's own retries are off: a retry is ours to decide, under the key that was stored first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import stripe
from django.conf import settings
from stripe.params import PaymentIntentCreateParams

from apps.common.money import Money
from apps.payments import stripe_answers as answers
from apps.payments.errors import (
    CardDeclined,
    GatewayRefused,
    ProviderUnavailable,
    TransferRefused,
    UnexpectedState,
    UnknownObject,
)
from apps.payments.gateway import (
    CardCheck,
    CardPage,
    Disputed,
    GivenBack,
    Intent,
    Movement,
    PaidOut,
    Party,
    ProviderAccount,
    Reference,
    SavedCard,
    Sent,
    Summary,
)

stripe.enable_telemetry = False

_MOVED_ON = frozenset({"payment_intent_unexpected_state", "charge_already_refunded", "charge_already_captured"})
_FIND_AMONG = 100
_NOT_NOW = frozenset({"balance_insufficient", "insufficient_capabilities_for_transfer", "account_invalid"})
_CHARGE = ["latest_charge"]
_CARD = ["setup_intent.payment_method"]


class StripeGateway:
    """``http_client`` is for tests that want to see the requests."""

    def __init__(self, *, timeout: float, http_client: stripe.HTTPClient | None = None) -> None:
        base = settings.STRIPE_API_BASE
        self._api = stripe.StripeClient(
            settings.STRIPE_SECRET_KEY,
            base_addresses={"api": base} if base else {},
            http_client=http_client or stripe.RequestsClient(timeout=timeout),
            max_network_retries=0,
        ).v1

    def create_customer(self, *, customer_id: int, key: str) -> str:
        with _translated():
            made = self._api.customers.create({"metadata": {"customer_id": str(customer_id)}}, {"idempotency_key": key})
        return made.id

    def card_page(self, *, customer: str, customer_id: int, success_url: str, cancel_url: str) -> CardPage:
        with _translated():
            made = self._api.checkout.sessions.create(
                {
                    "mode": "setup",
                    "customer": customer,
                    "client_reference_id": str(customer_id),
                    "allowed_payment_method_types": ["card"],
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                }
            )
        return answers.page(made)

    def retrieve_card_page(self, page: str) -> CardPage:
        with _translated():
            return answers.page(self._api.checkout.sessions.retrieve(page, {"expand": _CARD}))

    def attach(self, *, customer: str, card: str) -> SavedCard:
        try:
            with _translated():
                return answers.card(self._api.payment_methods.attach(card, {"customer": customer}))
        except stripe.CardError as error:
            raise CardDeclined(error.user_message or "The card was declined.", reason=answers.reason(error)) from error
        except GatewayRefused as error:
            # Stripe says "invalid request" to a card of somebody else's; whose it is, is not for the asker to know.
            raise UnknownObject(card) from error

    def authorise(
        self, *, customer: str, card: str, amount: Money, reference: Reference, return_url: str, key: str
    ) -> Intent:
        asked: PaymentIntentCreateParams = {
            "amount": amount.cents,
            "currency": amount.currency.lower(),
            "customer": customer,
            "payment_method": card,
            "allowed_payment_method_types": ["card"],
            "capture_method": "manual",
            "confirm": True,
            "metadata": answers.metadata(reference),
            "expand": _CHARGE,
        }
        if return_url:
            asked["return_url"] = return_url
        else:
            asked["off_session"] = True
        return self._confirmed(asked, reference, key)

    def check(self, *, customer: str, card: str, reference: Reference, return_url: str, key: str) -> CardCheck:
        try:
            with _translated():
                made = self._api.setup_intents.create(
                    {
                        "customer": customer,
                        "payment_method": card,
                        "allowed_payment_method_types": ["card"],
                        "usage": "off_session",
                        "confirm": True,
                        "return_url": return_url,
                        "metadata": answers.metadata(reference),
                    },
                    {"idempotency_key": key},
                )
        except stripe.CardError as error:
            found = str(answers.at(error.error, "setup_intent", "id") or "")
            return CardCheck(id=found, status="declined", failure_code=answers.reason(error), reference=reference)
        return answers.check(made)

    def retrieve_check(self, check: str) -> CardCheck:
        with _translated():
            return answers.check(self._api.setup_intents.retrieve(check))

    def charge(self, *, customer: str, card: str, amount: Money, reference: Reference, key: str) -> Intent:
        asked: PaymentIntentCreateParams = {
            "amount": amount.cents,
            "currency": amount.currency.lower(),
            "customer": customer,
            "payment_method": card,
            "allowed_payment_method_types": ["card"],
            "capture_method": "automatic",
            "confirm": True,
            "off_session": True,
            "metadata": answers.metadata(reference),
            "expand": _CHARGE,
        }
        return self._confirmed(asked, reference, key)

    def _confirmed(self, asked: PaymentIntentCreateParams, reference: Reference, key: str) -> Intent:
        try:
            with _translated():
                return answers.intent(self._api.payment_intents.create(asked, {"idempotency_key": key}))
        except stripe.CardError as error:
            return answers.refused(error, reference)

    def find(self, *, customer: str, reference: Reference) -> Intent | None:
        with _translated():
            recent = self._api.payment_intents.list(
                {"customer": customer, "limit": _FIND_AMONG, "expand": ["data.latest_charge"]}
            )
        return next((intent for intent in map(answers.intent, recent.data) if intent.reference == reference), None)

    def retrieve(self, intent: str) -> Intent:
        with _translated():
            return answers.intent(self._api.payment_intents.retrieve(intent, {"expand": _CHARGE}))

    def capture(self, intent: str, *, amount: Money, key: str) -> Intent:
        with _translated():
            return answers.intent(
                self._api.payment_intents.capture(
                    intent, {"amount_to_capture": amount.cents, "expand": _CHARGE}, {"idempotency_key": key}
                )
            )

    def cancel(self, intent: str, *, key: str) -> Intent:
        with _translated():
            return answers.intent(
                self._api.payment_intents.cancel(intent, {"expand": _CHARGE}, {"idempotency_key": key})
            )

    def refund(self, intent: str, *, amount: Money, reference: Reference, number: int, key: str) -> GivenBack:
        try:
            with _translated():
                made = self._api.refunds.create(
                    {
                        "payment_intent": intent,
                        "amount": amount.cents,
                        "metadata": {**answers.metadata(reference), "refund": str(number)},
                    },
                    {"idempotency_key": key},
                )
        except GatewayRefused as error:
            if isinstance(error.__cause__, stripe.InvalidRequestError) and error.__cause__.param == "amount":
                raise UnexpectedState(str(error)) from error  # more than is left; Stripe has no code for it
            raise
        return answers.given_back(made)

    def refunds(self, intent: str) -> tuple[GivenBack, ...]:
        with _translated():
            found = self._api.refunds.list({"payment_intent": intent, "limit": _FIND_AMONG})
        # A hold that is released is a refund too, but one that moves no money.
        moved = [one for one in found.data if one.balance_transaction or answers.number(one)]
        return tuple(map(answers.given_back, moved))

    def disputes(self, intent: str) -> tuple[Disputed, ...]:
        with _translated():
            found = self._api.disputes.list({"payment_intent": intent, "limit": _FIND_AMONG})
        # An inquiry asks, and takes nothing.
        return tuple(
            Disputed(id=one.id, status=answers.DISPUTES.get(one.status, "open"), cents=one.amount, reason=one.reason)
            for one in found.data
            if not one.status.startswith("warning_")
        )

    def create_account(self, *, party: Party, key: str) -> ProviderAccount:
        with _translated():
            made = self._api.accounts.create(
                {
                    "type": "express",
                    "country": "US",
                    "capabilities": {"transfers": {"requested": True}},
                    "metadata": {"party_kind": party.kind, "party_id": str(party.id)},
                },
                {"idempotency_key": key},
            )
        return answers.account(made)

    def account(self, account: str) -> ProviderAccount:
        with _translated():
            return answers.account(self._api.accounts.retrieve(account))

    def account_page(self, account: str, *, return_url: str, refresh_url: str) -> str:
        with _translated():
            link = self._api.account_links.create(
                {
                    "account": account,
                    "type": "account_onboarding",
                    "return_url": return_url,
                    "refresh_url": refresh_url,
                }
            )
        return link.url

    def transfer(self, account: str, *, amount: Money, transfer: int, key: str) -> Sent:
        try:
            with _translated():
                made = self._api.transfers.create(
                    {
                        "amount": amount.cents,
                        "currency": amount.currency.lower(),
                        "destination": account,
                        "metadata": {"transfer": str(transfer)},
                    },
                    {"idempotency_key": key},
                )
        except GatewayRefused as error:
            if isinstance(error.__cause__, stripe.InvalidRequestError) and error.__cause__.code in _NOT_NOW:
                raise TransferRefused(str(error), code=str(error.__cause__.code)) from error
            raise
        return answers.sent(made)

    def find_transfer(self, account: str, *, transfer: int) -> Sent | None:
        with _translated():
            recent = self._api.transfers.list({"destination": account, "limit": _FIND_AMONG})
        return next((sent for sent in map(answers.sent, recent.data) if sent.transfer == transfer), None)

    def retrieve_transfer(self, sent: str) -> Sent:
        with _translated():
            return answers.sent(self._api.transfers.retrieve(sent))

    def take_back(self, sent: str, *, amount: Money, key: str) -> Sent:
        try:
            with _translated():
                self._api.transfers.reversals.create(sent, {"amount": amount.cents}, {"idempotency_key": key})
        except GatewayRefused as error:
            if isinstance(error.__cause__, stripe.InvalidRequestError) and error.__cause__.param == "amount":
                raise UnexpectedState(str(error)) from error
            raise
        return self.retrieve_transfer(sent)

    def payouts(self, account: str) -> tuple[PaidOut, ...]:
        with _translated():
            found = self._api.payouts.list({"limit": _FIND_AMONG}, {"stripe_account": account})
        return tuple(map(answers.paid_out, found.data))

    def summaries(self, *, after: str = "") -> tuple[Summary, ...]:
        with _translated():
            page = self._api.payment_intents.list(
                {"limit": 100, "expand": ["data.latest_charge"], **({"starting_after": after} if after else {})}
            )
        return tuple(map(answers.summary, page.data))

    def movements(self, *, after: str = "") -> tuple[Movement, ...]:
        with _translated():
            page = self._api.balance_transactions.list(
                {"limit": 100, "expand": ["data.source"], **({"starting_after": after} if after else {})}
            )
        return tuple(answers.movement(one) for one in page.data)


@contextmanager
def _translated() -> Iterator[None]:
    """Stripe's errors as ours. A refused card passes: what it means depends on what was asked."""
    try:
        yield
    except stripe.CardError:
        raise
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise ProviderUnavailable(is_replay=_is_replay(error)) from error
    except stripe.InvalidRequestError as error:
        if error.code in _MOVED_ON:
            raise UnexpectedState(str(error)) from error
        if error.code == "resource_missing":
            raise UnknownObject(str(error)) from error
        raise GatewayRefused(str(error)) from error
    except stripe.StripeError as error:
        # 409: the same key is being worked on. Without a status the answer was cut, or was not Stripe's.
        if isinstance(error, stripe.APIError) or error.http_status in (None, 409) or (error.http_status or 0) >= 500:
            raise ProviderUnavailable(is_replay=_is_replay(error)) from error
        raise GatewayRefused(str(error)) from error


def _is_replay(error: stripe.StripeError) -> bool:
    return (error.headers or {}).get("Idempotent-Replayed") == "true"
