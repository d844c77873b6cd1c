import re
from typing import Any

import httpx
import pytest
import stripe

from deploy.payments_sandbox.server import Server
from tests.payments_sandbox.conftest import client_of, pay

GOOD = {"number": "4242 4242 4242 4242", "expiry": "12/34", "cvc": "123", "name": "Ada"}


def session_of(client: stripe.StripeClient) -> Any:
    customer = client.v1.customers.create()
    return client.v1.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "usd",
            "customer": customer.id,
            "success_url": "http://shop.example/saved?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://shop.example/cards",
        }
    )


def test_a_card_is_saved_on_the_hosted_page(client: stripe.StripeClient) -> None:
    session = session_of(client)
    assert session.status == "open"
    page = httpx.get(session.url)
    assert page.status_code == 200
    assert "4000 0000 0000 9995" in page.text
    assert "<script" not in page.text
    saved = httpx.post(session.url, data=GOOD)
    assert (saved.status_code, saved.headers["Location"]) == (303, f"http://shop.example/saved?session={session.id}")
    session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent.payment_method"]})
    method = session.setup_intent.payment_method
    assert (session.status, session.url, session.setup_intent.status) == ("complete", None, "succeeded")
    assert (method.card.last4, method.customer, method.billing_details.name) == ("4242", session.customer, "Ada")
    assert [one.type for one in client.v1.events.list({"type": "checkout.*"}).data] == ["checkout.session.completed"]
    assert pay(client, method.id, customer=session.customer, off_session=True).status == "succeeded"


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"number": "4000 0000 0000 0002"}, "number", "Your card was declined."),
        ({"number": "4000 0000 0000 9995"}, "number", "Your card has insufficient funds."),
        ({"number": "4242 4242 4242 4241"}, "number", "Your card number is incorrect."),
        ({"number": "<b>"}, "number", "Your card number is incorrect."),
        ({"expiry": "12/20"}, "expiry", "Your card&#x27;s expiration year is invalid."),
        ({"expiry": "soon"}, "expiry", "Enter the expiry date as month and year"),
        ({"cvc": "1"}, "cvc", "Your card&#x27;s security code is invalid."),
        ({"cvc": ""}, "cvc", "Enter the security code"),
    ],
)
def test_a_wrong_card_is_said_at_its_field(
    client: stripe.StripeClient, typed: dict[str, str], field: str, message: str
) -> None:
    session = session_of(client)
    answer = httpx.post(session.url, data=GOOD | typed)
    assert answer.status_code == 422
    assert re.search(rf"<p class=bad id={field}-problem>{re.escape(message)}", answer.text)
    assert len(re.findall("aria-invalid=true", answer.text)) == 1
    assert "<b>" not in answer.text
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert client.v1.payment_methods.list({"customer": session.customer}).data == []
    assert httpx.post(session.url, data=GOOD).status_code == 303


def test_saving_a_card_that_asks_the_bank(client: stripe.StripeClient, sandbox: Server) -> None:
    session = session_of(client)
    bank = httpx.post(session.url, data=GOOD | {"number": "4000002500003155"}).headers["Location"]
    assert "saving this card" in httpx.get(sandbox.url + bank).text
    denied = httpx.post(sandbox.url + bank, data={"answer": "deny"}).headers["Location"]
    assert "authentication failed" in httpx.get(denied).text
    bank = httpx.post(session.url, data=GOOD | {"number": "4000002500003155"}).headers["Location"]
    approved = httpx.post(sandbox.url + bank, data={"answer": "approve"}).headers["Location"]
    assert httpx.get(approved).headers["Location"] == f"http://shop.example/saved?session={session.id}"
    [method] = client.v1.payment_methods.list({"customer": session.customer}).data
    assert pay(client, method.id, customer=session.customer, off_session=True).status == "succeeded"


def test_a_session_expires_after_a_day(client: stripe.StripeClient, control: Any) -> None:
    session = session_of(client)
    control("clock", advance=86_401)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert httpx.post(session.url, data=GOOD).status_code == 410
    assert client.v1.payment_methods.list({"customer": session.customer}).data == []


@pytest.mark.parametrize(
    ("answer", "status", "redirect_status", "received"),
    [("approve", "succeeded", "succeeded", 1000), ("deny", "requires_payment_method", "failed", 0)],
)
@pytest.mark.parametrize("number", ["3220", "3155", "3184"])
def test_the_bank_is_asked(
    client: stripe.StripeClient, number: str, answer: str, status: str, redirect_status: str, received: int
) -> None:
    method = {
        "3220": "pm_card_threeDSecure2Required",
        "3155": "pm_card_authenticationRequiredOnSetup",
        "3184": "pm_card_authenticationRequired",
    }[number]
    intent = pay(client, method, return_url="http://shop.example/back?order=1")
    assert (intent.status, intent.next_action.type) == ("requires_action", "redirect_to_url")
    assert client.v1.charges.list({"payment_intent": intent.id}).data == []
    url = intent.next_action.redirect_to_url.url
    assert "10.00 USD" in httpx.get(url).text
    for _ in range(2):  # a second press changes nothing
        back = httpx.URL(httpx.post(url, data={"answer": answer}).headers["Location"])
        assert dict(back.params) == {
            "order": "1",
            "payment_intent": intent.id,
            "payment_intent_client_secret": intent.client_secret,
            "redirect_status": redirect_status,
        }
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert (intent.status, intent.amount_received, intent.next_action) == (status, received, None)
    if answer == "deny":
        assert intent.last_payment_error.code == "payment_intent_authentication_failure"


@pytest.mark.parametrize(
    ("number", "decline_code"), [("4000008260003178", "insufficient_funds"), ("4000008400001629", "generic_decline")]
)
def test_approved_by_the_bank_and_then_declined(sandbox: Server, number: str, decline_code: str) -> None:
    card: Any = {"number": number, "exp_month": 1, "exp_year": 2035, "cvc": "123"}
    client = client_of(sandbox)
    method = client.v1.payment_methods.create({"type": "card", "card": card})
    intent = pay(client, method.id, return_url="http://shop.example/")
    back = httpx.post(intent.next_action.redirect_to_url.url, data={"answer": "approve"}).headers["Location"]
    assert httpx.URL(back).params["redirect_status"] == "failed"
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert (intent.status, intent.last_payment_error.decline_code) == ("requires_payment_method", decline_code)


def test_nobody_is_there_to_ask_when_off_session(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer.id})
    with pytest.raises(stripe.CardError) as declined:
        pay(client, method.id, customer=customer.id, off_session=True)
    assert declined.value.code == "authentication_required"
    assert client.v1.payment_intents.list().data[0].status == "requires_payment_method"


def test_a_canceled_payment_cannot_be_approved(client: stripe.StripeClient) -> None:
    intent = pay(client, "pm_card_authenticationRequired", return_url="http://shop.example/")
    client.v1.payment_intents.cancel(intent.id)
    back = httpx.post(intent.next_action.redirect_to_url.url, data={"answer": "approve"}).headers["Location"]
    assert httpx.URL(back).params["redirect_status"] == "failed"
    assert client.v1.payment_intents.retrieve(intent.id).status == "canceled"
    assert client.v1.charges.list().data == []


def test_a_setup_intent_attaches_its_card(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create()
    intent = client.v1.setup_intents.create({"customer": customer.id, "allowed_payment_method_types": ["card"]})
    with pytest.raises(stripe.CardError):
        client.v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"})
    assert client.v1.setup_intents.retrieve(intent.id).last_setup_error.code == "card_declined"
    done = client.v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert done.status == "succeeded"
    assert [one.id for one in client.v1.payment_methods.list({"customer": customer.id}).data] == [done.payment_method]
    with pytest.raises(stripe.InvalidRequestError) as late:
        client.v1.setup_intents.cancel(intent.id)
    assert late.value.code == "setup_intent_unexpected_state"
    other = client.v1.setup_intents.create()
    assert client.v1.setup_intents.cancel(other.id).status == "canceled"


def test_the_switches_work_as_plain_forms(client: stripe.StripeClient, sandbox: Server, control: Any) -> None:
    pay(client, metadata={"order": "<i>17</i>"})
    page = httpx.get(sandbox.url).text
    assert "&lt;i&gt;17&lt;/i&gt;" in page
    assert "The balance adds up." in page
    form = {"endpoint": "POST /v1/payment_intents", "kind": "429", "count": "1", "seconds": "5"}
    posted = httpx.post(f"{sandbox.url}/_sandbox/faults", data=form, headers={"Accept": "text/html"})
    assert (posted.status_code, posted.headers["Location"]) == (303, "/")
    with pytest.raises(stripe.RateLimitError):
        pay(client)
    assert httpx.get(f"{sandbox.url}/nowhere").status_code == 404


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}])
def test_other_sites_cannot_press_the_buttons(
    client: stripe.StripeClient, sandbox: Server, headers: dict[str, str]
) -> None:
    customer = client.v1.customers.create()
    assert httpx.post(f"{sandbox.url}/_sandbox/reset", headers=headers).status_code == 403
    assert client.v1.customers.retrieve(customer.id).id == customer.id
