import json
from datetime import timedelta
from itertools import permutations

import pytest
import stripe

import sharding
from apps.common import clock, outbox
from apps.common.models import OutboxMessage
from apps.common.money import Money
from apps.payments import models, selectors, services
from apps.payments.errors import ProviderUnavailable
from apps.payments.services import states
from tests.payments.factories import NOW, make_card

pytestmark = pytest.mark.django_db(databases="__all__")

ADA = 1
SECRET = "whsec_tests"


@pytest.fixture(autouse=True)
def secrets(settings):
    settings.STRIPE_WEBHOOK_SECRETS = (SECRET, "whsec_next")


@pytest.fixture
def post(client):
    """Send an event as Stripe does."""

    def send(event, *, secret=SECRET, at=NOW, body=None, header=None):
        payload = body if body is not None else json.dumps(event)
        signed = stripe.WebhookSignature.generate_signature_header(payload, secret, timestamp=int(at.timestamp()))
        with clock.shifted_to(NOW):
            return client.post(
                "/webhooks/stripe/",
                payload,
                content_type="application/json",
                headers={"Stripe-Signature": signed if header is None else header},
            )

    return send


def event(number, intent="pi_1", kind="payment_intent.succeeded", **more):
    return {"id": f"evt_{number}", "object": "event", "type": kind, "data": {"object": {"id": intent, **more}}}


def authorise(order_id=1, payment_method="pm_card_visa"):
    return services.authorise(
        customer_id=ADA,
        order_id=order_id,
        step="estimate",
        amount=Money(5000),
        card_id=make_card(ADA, payment_method),
        return_url="https://shop.example/",
        now=NOW,
    )


def status(order_id=1):
    return selectors.payments(customer_id=ADA, order_id=order_id)[0].status


def told():
    """What the customer's shard still has to tell, drained."""
    messages = OutboxMessage.objects.using(sharding.alias_for("customer", ADA)).order_by("id")
    return [message.payload["status"] for message in messages]


def test_an_event_is_noted_at_once_and_acted_on_afterwards(post, fake_gateway):
    authorise(payment_method="pm_card_authenticationRequired")
    fake_gateway.answer_bank("pi_1", approve=True)
    assert post(event(1)).status_code == 204
    assert status() == "requires_action"
    outbox.drain(aliases=["default"])
    assert status() == "authorised"
    assert told() == ["requires_action", "authorised"]
    noted = models.StripeEvent.objects.get()
    assert (noted.id, noted.type) == ("evt_1", "payment_intent.succeeded")
    assert noted.payload == {"object": "pi_1", "owner": "", "intent": "", "account": ""}
    assert noted.handled_at is not None


def test_five_times_is_once(post, fake_gateway):
    authorise(payment_method="pm_card_authenticationRequired")
    fake_gateway.answer_bank("pi_1", approve=True)
    fake_gateway.calls.clear()
    for _ in range(5):
        assert post(event(1)).status_code == 204
    assert outbox.drain(aliases=["default"]) == 1
    assert post(event(1)).status_code == 204
    assert outbox.drain(aliases=["default"]) == 0
    assert fake_gateway.calls == [("retrieve", "")]
    assert told() == ["requires_action", "authorised"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_events_in_any_order_say_the_same(post, fake_gateway, order):
    """The three events of a payment that was captured meanwhile: whichever comes last, it stays captured."""
    authorise()
    services.capture(customer_id=ADA, order_id=1, step="estimate", amount=Money(4000), now=NOW)
    kinds = ("payment_intent.created", "payment_intent.amount_capturable_updated", "payment_intent.succeeded")
    for number in order:
        post(event(number, kind=kinds[number]))
        outbox.drain(aliases=["default"])
        assert status() == "captured"
    assert told() == ["authorised", "capturing", "captured"]
    assert fake_gateway.taken_cents == 4000


def test_old_news_do_not_turn_a_payment_back(post, fake_gateway, monkeypatch):
    """The intent is fetched, then a capture overtakes the event that fetched it."""
    authorise()
    old = fake_gateway.intents["pi_1"]
    services.capture(customer_id=ADA, order_id=1, step="estimate", amount=Money(4000), now=NOW)
    monkeypatch.setattr(fake_gateway, "retrieve", lambda intent: old)
    post(event(1))
    outbox.drain(aliases=["default"])
    assert status() == "captured"
    assert told() == ["authorised", "capturing", "captured"]


def test_an_event_waits_for_a_provider_that_is_down(post, fake_gateway):
    authorise(payment_method="pm_card_authenticationRequired")
    fake_gateway.answer_bank("pi_1", approve=True)
    post(event(1))
    fake_gateway.fail_next("retrieve")
    with pytest.raises(ProviderUnavailable):
        services.handle_event(event_id="evt_1", now=NOW)
    assert status() == "requires_action"
    assert models.StripeEvent.objects.get().handled_at is None
    outbox.drain(aliases=["default"])
    assert status() == "authorised"


def test_an_authorisation_that_comes_after_the_void_is_released(post, fake_gateway):
    """The provider did the work long after we stopped waiting, found nothing and closed the payment."""
    card_id = make_card(ADA)
    fake_gateway.fail_next("authorise")
    with pytest.raises(ProviderUnavailable):
        services.authorise(
            customer_id=ADA,
            order_id=1,
            step="estimate",
            amount=Money(5000),
            card_id=card_id,
            return_url="https://shop.example/",
            now=NOW,
        )
    services.void(customer_id=ADA, order_id=1, now=NOW)
    row = models.Payment.objects.get(customer_id=ADA, order_id=1)
    late = {"customer": "cus_1", "card": "pm_card_visa_1", "amount": Money(5000), "return_url": ""}
    fake_gateway.authorise(**late, reference=states.reference(row), key="late")
    assert fake_gateway.held_cents == 5000
    post(event(1))
    outbox.drain(aliases=["default"])
    assert (status(), fake_gateway.held_cents) == ("voided", 0)


def test_a_card_saved_by_somebody_who_never_came_back(post, fake_gateway):
    services.card_page(customer_id=ADA, success_url="https://shop.example/", cancel_url="https://shop.example/")
    fake_gateway.finish_page("cs_1", "pm_new")
    post(event(1, intent="cs_1", kind="checkout.session.completed", client_reference_id="1"))
    post(event(2, intent="cs_1", kind="checkout.session.completed", client_reference_id="2"))
    post(event(3, intent="cs_9", kind="checkout.session.completed"))
    outbox.drain(aliases=["default"])
    assert [card.last4 for card in selectors.cards(customer_id=ADA)] == ["4242"]
    assert selectors.cards(customer_id=2) == ()


def test_events_of_other_systems_are_left_alone(post, fake_gateway):
    authorise()
    fake_gateway.calls.clear()
    post(event(1, kind="invoice.paid"))
    assert outbox.drain(aliases=["default"]) == 1
    assert fake_gateway.calls == []
    assert {one.id: one.handled_at is not None for one in models.StripeEvent.objects.all()} == {"evt_1": True}


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "whsec_of_somebody_else"},
        {"header": ""},
        {"header": "t=1,v1=00"},
        {"header": "nonsense"},
        {"at": NOW - timedelta(minutes=6)},
        {"at": NOW + timedelta(minutes=6)},
        {"body": "not json"},
        {"body": "[]"},
        {"body": '{"id": "evt_1"}'},
        {"body": '{"id": "evt_1", "type": "x", "data": {"object": "pi_1"}}'},
    ],
)
def test_what_is_not_stripes_or_not_from_now_is_refused(post, fake_gateway, wrong):
    authorise()
    answer = post(event(1), **wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
    assert not models.StripeEvent.objects.exists()
    assert outbox.drain(aliases=["default"]) == 0


def test_a_body_changed_by_one_byte_is_refused(client, fake_gateway):
    payload = json.dumps(event(1))
    header = stripe.WebhookSignature.generate_signature_header(payload, SECRET, timestamp=int(NOW.timestamp()))
    with clock.shifted_to(NOW):
        answer = client.post(
            "/webhooks/stripe/",
            payload.replace("pi_1", "pi_2"),
            content_type="application/json",
            headers={"Stripe-Signature": header},
        )
    assert answer.status_code == 400
    assert not models.StripeEvent.objects.exists()


def test_both_secrets_are_good_while_one_is_replaced(post, fake_gateway):
    assert post(event(1), secret="whsec_next").status_code == 204
    assert post(event(2)).status_code == 204


def test_five_minutes_either_way_are_tolerated(post, fake_gateway):
    assert post(event(1), at=NOW - timedelta(seconds=299)).status_code == 204
    assert post(event(2), at=NOW + timedelta(seconds=299)).status_code == 204


def test_only_posts_and_no_huge_ones(client, post, fake_gateway):
    assert client.get("/webhooks/stripe/").status_code == 405
    assert post(event(1), body="x" * (512 * 1024 + 1)).status_code == 413
    assert not models.StripeEvent.objects.exists()
