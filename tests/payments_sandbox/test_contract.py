"""Our answers against the SDK's own description of Stripe's."""

import typing
from types import NoneType
from typing import Any

import httpx
import pytest
import stripe

from deploy.payments_sandbox import routes, schema
from deploy.payments_sandbox.server import Server
from tests.payments_sandbox.conftest import hold, pay

CLASSES = {
    "account": stripe.Account,
    "dispute": stripe.Dispute,
    "transfer": stripe.Transfer,
    "transfer_reversal": stripe.TransferReversal,
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "event": stripe.Event,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "payout": stripe.Payout,
    "refund": stripe.Refund,
    "setup_intent": stripe.SetupIntent,
    "webhook_endpoint": stripe.WebhookEndpoint,
}


def is_plain(annotation: Any, value: Any) -> bool:
    """Whether a number, flag or word is of the annotated kind; what is nested is not looked into."""
    kinds = typing.get_args(annotation) or (annotation,)
    if value is None:
        return NoneType in kinds
    return not isinstance(value, bool | int) or type(value) in kinds or typing.Literal in map(typing.get_origin, kinds)


def test_every_object_has_the_fields_the_sdk_knows(client: stripe.StripeClient, control: Any) -> None:
    customer = client.v1.customers.create({"email": "ada@example.org"})
    client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": "http://shop.example/"}
    )
    client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["charge.expired"]})
    client.v1.payment_intents.cancel(hold(client).id)
    client.v1.refunds.create({"payment_intent": pay(client, customer=customer.id).id})
    with pytest.raises(stripe.CardError):
        pay(client, "pm_card_chargeDeclined")
    pay(client, "pm_card_createDispute")
    account = client.v1.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}})
    control("accounts", account=account.id, enabled=True)
    pay(client, customer=customer.id)
    control("clock", advance=3 * 86_400)
    sent = client.v1.transfers.create({"amount": 500, "currency": "usd", "destination": account.id})
    client.v1.transfers.reversals.create(sent.id, {"amount": 100})
    client.v1.payouts.create({"amount": 300, "currency": "usd"})
    control("clock", advance=86_400)
    objects = control("dump")["objects"]
    assert objects.keys() == CLASSES.keys()
    for kind, expected in CLASSES.items():
        annotations = {name: one for name, one in expected.__annotations__.items() if name.islower()}
        always = {name for name, annotation in annotations.items() if NoneType not in typing.get_args(annotation)}
        for one in objects[kind]:
            assert one.keys() <= annotations.keys(), kind
            assert always <= one.keys(), kind
            wrong = {name: value for name, value in one.items() if not is_plain(annotations.get(name, Any), value)}
            assert wrong == {}, kind


ASKED_FOR = """
    POST customers, GET customers/{id}, GET customers, POST payment_methods, POST payment_methods/{id}/attach,
    POST payment_methods/{id}/detach, GET payment_methods, POST setup_intents, POST setup_intents/{id}/confirm,
    POST setup_intents/{id}/cancel, POST payment_intents, POST payment_intents/{id}, POST payment_intents/{id}/confirm,
    POST payment_intents/{id}/capture, POST payment_intents/{id}/cancel, GET payment_intents, POST refunds, GET refunds,
    GET payment_intents/search, POST payment_intents/{id}/increment_authorization, GET charges/{id}, GET charges,
    POST accounts, POST transfers, POST transfers/{id}/reversals, POST payouts, GET payouts, GET payouts/{id},
    GET balance, GET balance_transactions, GET events, POST webhook_endpoints, GET webhook_endpoints, GET disputes,
    GET disputes/{id}
"""


def test_what_was_asked_for_is_served() -> None:
    asked = {one.strip().replace(" ", " /v1/") for one in ASKED_FOR.split(",")}
    assert asked - routes.ENDPOINTS == set()


def test_only_this_machine_is_served(sandbox: Server) -> None:
    assert sandbox.server_address[0] == "127.0.0.1"


def test_every_endpoint_has_a_request_type_in_the_sdk() -> None:
    for route in routes.ROUTES:
        fields, required = schema.fields_of(schema.request_type(route.request))
        assert required <= fields.keys()


@pytest.mark.parametrize(
    "body", ["amount", "amount[=1", "a[b]=1&a=2&a[c]=3", "metadata[a][b][c]=1", "amount[0]=1", "expand=x", "\udcff"]
)
def test_mangled_requests_are_the_callers_fault(sandbox: Server, body: str) -> None:
    content = body.encode("utf-8", "surrogateescape")
    answer = httpx.post(f"{sandbox.url}/v1/payment_intents", content=content, auth=("sk_test_x", ""))
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_an_address_cannot_smuggle_headers(client: stripe.StripeClient) -> None:
    for url in ("http://shop.example/\r\nSet-Cookie: a=b", "not an address"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            client.v1.checkout.sessions.create({"mode": "setup", "currency": "usd", "success_url": url})
        assert refused.value.code == "url_invalid"
    assert client.v1.checkout.sessions.list().data == []
