import json
from collections import Counter
from typing import Any

import pytest
import stripe

from deploy.payments_sandbox import webhooks
from deploy.payments_sandbox.server import Server
from tests.payments_sandbox.conftest import SECRET, Receiver, client_of, controls_of, eventually, hold, pay

PAID = ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]


def quiet(server: Server) -> bool:
    states = {one["state"] for one in controls_of(server)("webhooks")["deliveries"]}
    return eventually(lambda: not {"waiting", "sending"} & states)


def test_a_payment_is_told_with_a_real_signature(told: Server, receiver: Receiver) -> None:
    intent = pay(client_of(told), options={"idempotency_key": "order"})
    assert eventually(lambda: len(receiver.received) == 3)
    assert sorted(receiver.types()) == PAID
    for body, header in receiver.received:
        event = stripe.Webhook.construct_event(body, header, SECRET)
        assert event.data.object["id"] in (intent.id, intent.latest_charge)
        assert event.request is not None
        assert event.request.idempotency_key == "order"
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body + " ", header, SECRET)
    events = client_of(told).v1.events.list({"types": ["payment_intent.succeeded"]}).data
    assert [event.data.object["id"] for event in events] == [intent.id]
    assert eventually(lambda: client_of(told).v1.events.list({"delivery_success": False}).data == [])


def test_what_happens_to_a_hold(told: Server, receiver: Receiver) -> None:
    client = client_of(told)
    intent = hold(client)
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 600})
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    client.v1.payment_intents.cancel(hold(client).id)
    expected = Counter(
        {
            "payment_intent.created": 2,
            "charge.succeeded": 2,
            "payment_intent.amount_capturable_updated": 2,
            "charge.captured": 1,
            "payment_intent.succeeded": 1,
            "refund.created": 1,
            "charge.refunded": 2,
            "payment_intent.canceled": 1,
        }
    )
    assert eventually(lambda: Counter(receiver.types()) == expected), receiver.types()


def test_told_again_until_somebody_listens(told: Server, receiver: Receiver) -> None:
    receiver.answers = [500, 404]
    client_of(told).v1.customers.create()
    assert eventually(lambda: len(receiver.received) == 1)
    control = controls_of(told)
    assert eventually(lambda: control("webhooks")["deliveries"][0]["state"] == "waiting")
    for _ in range(2):
        control("clock", advance=60)
        eventually(lambda: control("webhooks")["deliveries"][0]["state"] != "sending")
    assert eventually(lambda: control("webhooks")["deliveries"][0]["state"] == "delivered")
    assert len({json.loads(body)["id"] for body, _ in receiver.received}) == 1
    assert len(receiver.received) == 3


def test_duplicates(told: Server, receiver: Receiver) -> None:
    controls_of(told)("webhooks", duplicate=2, match="customer.*", count=1)
    client_of(told).v1.customers.create()
    client_of(told).v1.customers.create()
    assert eventually(lambda: len(receiver.received) == 4)
    assert sorted(Counter(json.loads(body)["id"] for body, _ in receiver.received).values()) == [1, 3]


def test_held_until_the_hour_is_over(told: Server, receiver: Receiver) -> None:
    control = controls_of(told)
    control("webhooks", hold=3600)
    client_of(told).v1.customers.create()
    control("clock", advance=3500)
    assert not eventually(lambda: bool(receiver.received), within=0.7)
    control("clock", advance=101)
    assert eventually(lambda: receiver.types() == ["customer.created"])


def test_held_ones_can_be_let_go(told: Server, receiver: Receiver) -> None:
    control = controls_of(told)
    control("webhooks", hold=3600)
    client_of(told).v1.customers.create()
    control("webhooks", release=True)
    assert eventually(lambda: receiver.types() == ["customer.created"])


def test_lost_ones_can_still_be_asked_for(told: Server, receiver: Receiver) -> None:
    control = controls_of(told)
    control("webhooks", drop=True)
    client_of(told).v1.customers.create()
    control("webhooks", drop=False)
    assert not eventually(lambda: bool(receiver.received), within=0.7)
    [event] = client_of(told).v1.events.list().data
    assert (event.type, event.pending_webhooks) == ("customer.created", 1)
    control("webhooks", resend=event.id)
    assert eventually(lambda: receiver.types() == ["customer.created"])


@pytest.mark.parametrize(("kind", "is_valid"), [("right", True), ("wrong", False), ("old", False), ("future", True)])
def test_signatures_gone_wrong(told: Server, receiver: Receiver, kind: str, is_valid: bool) -> None:
    controls_of(told)("webhooks", signature=kind)
    client_of(told).v1.customers.create()
    assert eventually(lambda: len(receiver.received) == 1)
    if is_valid:
        # The SDK accepts a time in the future; whoever receives must check that.
        assert stripe.Webhook.construct_event(*receiver.received[0], SECRET).type == "customer.created"
    else:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(*receiver.received[0], SECRET)


def test_two_secrets_while_one_is_replaced() -> None:
    header = webhooks.signature('{"object": "event"}', ["whsec_old", "whsec_new"])
    for secret in ("whsec_old", "whsec_new"):
        assert stripe.WebhookSignature.verify_header('{"object": "event"}', header, secret, 300)


def test_endpoints_made_by_the_api_have_their_own_secret(sandbox: Server, receiver: Receiver, control: Any) -> None:
    client = client_of(sandbox)
    made = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.updated"]})
    assert client.v1.webhook_endpoints.list().data[0].to_dict().get("secret") is None
    customer = client.v1.customers.create()
    client.v1.customers.update(customer.id, {"name": "Ada"})
    assert eventually(lambda: receiver.types() == ["customer.updated"])
    assert made.secret is not None
    event = stripe.Webhook.construct_event(*receiver.received[0], made.secret)
    assert event.data.object["name"] == "Ada"
