"""Searching, holding more, and changing where somebody is told."""

import pytest
import stripe

from tests.payments_sandbox.conftest import SECRET, Receiver, controls_of, eventually, hold, pay


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('status:"succeeded"', ["b", "a"]),
        ("metadata['name']:'c'", ["c"]),
        ('-metadata["name"]:"c" AND amount>1000', ["b"]),
        ('amount>=1000 status:"requires_capture"', ["c"]),
        ('status:"requires_capture" OR amount:1000', ["c", "a"]),
        ('created>4000000000 OR status~"capt"', ["c"]),
        ('customer:"cus_none"', []),
    ],
)
def test_payments_are_found_by_a_query(client, control, query, found):
    pay(client, amount=1000, metadata={"name": "a"})
    pay(client, amount=2000, metadata={"name": "b"})
    hold(client, 3000, metadata={"name": "c"})
    assert client.v1.payment_intents.search({"query": query}).data == []  # only after a minute
    control("clock", advance=61)
    answer = client.v1.payment_intents.search({"query": query})
    assert [one.metadata["name"] for one in answer.data] == found
    first = client.v1.payment_intents.search({"query": query, "limit": 1})
    assert [one.metadata["name"] for one in first.auto_paging_iter()] == found


@pytest.mark.parametrize(
    "query", ["status", 'a:"b" AND c:"d" OR e:"f"', 'name:"x"', 'metadata:"x"', 'amount~"3"', 'status>"a"', "amount>x"]
)
def test_a_query_that_is_none_is_refused(client, query):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.search({"query": query})


def test_more_is_held_only_where_that_was_asked_for(client, control):
    option = {"card": {"request_incremental_authorization": "if_available"}}
    held = hold(client, 1000, payment_method_options=option)
    grown = client.v1.payment_intents.increment_authorization(held.id, {"amount": 1500})
    assert (grown.amount, grown.amount_capturable) == (1500, 1500)
    for amount in (1500, 1400):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.payment_intents.increment_authorization(held.id, {"amount": amount})
    assert client.v1.payment_intents.capture(held.id).amount_received == 1500
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.increment_authorization(held.id, {"amount": 1600})
    assert refused.value.code == "payment_intent_unexpected_state"
    with pytest.raises(stripe.InvalidRequestError, match="not eligible"):
        client.v1.payment_intents.increment_authorization(hold(client, 1000).id, {"amount": 1500})
    report = control("invariants")
    assert (report["violations"], report["totals"]["captured"]) == ([], 1500)


def test_an_endpoint_is_changed_switched_off_and_gone(client):
    made = client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    changed = client.v1.webhook_endpoints.update(made.id, {"enabled_events": ["charge.expired"], "disabled": True})
    assert (changed.status, changed.enabled_events) == ("disabled", ["charge.expired"])
    assert client.v1.webhook_endpoints.retrieve(made.id).status == "disabled"
    pay(client)
    assert {one.pending_webhooks for one in client.v1.events.list().data} == {0}
    assert client.v1.webhook_endpoints.delete(made.id).deleted is True
    assert client.v1.webhook_endpoints.list().data == []


def test_a_secret_is_replaced_while_it_runs(told, receiver: Receiver):
    client = stripe.StripeClient("sk_test_x", base_addresses={"api": told.url})
    for secrets, good in ((["new", SECRET], ("new", SECRET)), (["new"], ("new",))):
        controls_of(told)("webhooks", secrets=secrets)
        receiver.received.clear()
        client.v1.customers.create({})
        pay(client)
        assert eventually(lambda: len(receiver.received) > 0)
        body, header = receiver.received[0]
        assert [secret for secret in ("new", SECRET, "other") if is_signed(body, header, secret)] == list(good)


def is_signed(body: str, header: str, secret: str) -> bool:
    try:
        return stripe.WebhookSignature.verify_header(body, header, secret)
    except stripe.SignatureVerificationError:
        return False
