"""A card is checked now and charged later: nothing is held meanwhile, and only one hold is made in the end."""

from datetime import timedelta

import pytest

from apps.common.money import Money
from apps.payments import models, selectors, services
from apps.payments.errors import PaymentConflict, ProviderUnavailable
from tests.payments.factories import NOW, make_card

pytestmark = pytest.mark.django_db(databases="__all__")

ADA, ORDER = 1, 77
URL = "https://shop.example/orders/77/"


def prepare(card_id, *, cents=5000, order_id=ORDER, now=NOW):
    return services.prepare(
        customer_id=ADA,
        order_id=order_id,
        step="estimate",
        amount=Money(cents),
        card_id=card_id,
        return_url=URL,
        now=now,
    )


def hold(card_id, *, order_id=ORDER, now=NOW):
    return services.authorise(
        customer_id=ADA, order_id=order_id, step="estimate", amount=Money(5000), card_id=card_id, return_url="", now=now
    )


def test_a_good_card_is_checked_then_held(sandbox):
    card_id = make_card(ADA)
    assert prepare(card_id).status == "checked"
    assert prepare(card_id).status == "checked"
    assert (len(sandbox.objects("setup_intent")), sandbox.intents()) == (1, [])
    assert hold(card_id).status == "authorised"
    assert hold(card_id).status == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]
    with pytest.raises(PaymentConflict):
        prepare(card_id, cents=6000)


def test_a_bank_that_asks_once_is_answered_once(sandbox):
    card_id = make_card(ADA, "pm_card_authenticationRequiredOnSetup")
    asked = prepare(card_id)
    assert asked.status == "requires_action"
    sandbox.answer_bank(asked.action_url, "approve")
    assert services.refresh(customer_id=ADA, order_id=ORDER, step="estimate", now=NOW).status == "checked"
    assert hold(card_id).status == "authorised"


def test_a_bank_that_asks_every_time_declines_when_nobody_is_there(sandbox):
    card_id = make_card(ADA, "pm_card_authenticationRequired")
    sandbox.answer_bank(prepare(card_id).action_url, "approve")
    services.refresh(customer_id=ADA, order_id=ORDER, step="estimate", now=NOW)
    held = hold(card_id)
    assert (held.status, held.failure_code) == ("declined", "authentication_required")


def test_a_check_that_is_denied_may_be_made_with_another_card(sandbox):
    card_id = make_card(ADA, "pm_card_authenticationRequired")
    sandbox.answer_bank(prepare(card_id).action_url, "deny")
    denied = services.refresh(customer_id=ADA, order_id=ORDER, step="estimate", now=NOW)
    assert (denied.status, denied.failure_code) == ("declined", "setup_intent_authentication_failure")
    again = prepare(make_card(ADA))
    assert (again.status, again.attempt) == ("checked", 2)


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "503_after", "drop_before", "500_before", "429"])
def test_a_check_whose_answer_is_lost_is_made_again(sandbox, kind):
    card_id = make_card(ADA)
    sandbox.fail("POST /v1/setup_intents", kind)
    with pytest.raises(ProviderUnavailable):
        prepare(card_id)
    assert prepare(card_id, now=NOW + timedelta(minutes=1)).status == "checked"
    assert sandbox.intents() == []


def test_the_webhook_brings_the_answer_too_and_old_news_change_nothing(fake_gateway):
    card_id = make_card(ADA, "pm_card_authenticationRequired")
    prepare(card_id)
    fake_gateway.answer_check("seti_1", approve=True)
    for number in (1, 2):
        models.StripeEvent.objects.create(
            id=f"evt_{number}", type="setup_intent.succeeded", payload={"object": "seti_1"}, received_at=NOW
        )
        services.handle_event(event_id=f"evt_{number}", now=NOW)
        if number == 1:
            (checked,) = selectors.payments(customer_id=ADA, order_id=ORDER)
            assert checked.status == "checked"
            hold(card_id)
    (held,) = selectors.payments(customer_id=ADA, order_id=ORDER)
    assert held.status == "declined"  # the second, late news did not bring it back to checked


def test_nobody_wants_it_any_more(fake_gateway):
    prepare(make_card(ADA))
    services.void(customer_id=ADA, order_id=ORDER, now=NOW)
    services.void(customer_id=ADA, order_id=ORDER, now=NOW)
    (payment,) = selectors.payments(customer_id=ADA, order_id=ORDER)
    assert (payment.status, fake_gateway.intents) == ("voided", {})
