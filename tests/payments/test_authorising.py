"""Holding money, with and without 3-D Secure.

The real SDK, over real HTTP, to the project's stand-in for Stripe. Each refusal with what must not have happened.
"""

import pytest

from apps.common.money import Money
from apps.payments import gateway, models, selectors
from apps.payments.errors import AmountTooSmall, GatewayRefused, NotCapturable, PaymentConflict
from apps.payments.stripe_gateway import StripeGateway
from tests.payments.factories import make_card
from tests.payments.steps import ADA, BOB, ORDER, authorise, capture, refresh, status, void

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.mark.parametrize("customer_id", [ADA, BOB])
def test_money_is_held_not_taken(sandbox, customer_id):
    payment = authorise(make_card(customer_id), customer_id=customer_id)
    assert (payment.status, payment.amount, payment.captured) == ("authorised", Money(5000), Money(0))
    assert payment.capture_before is not None
    assert sandbox.intents() == [("requires_capture", 5000, 0)]
    row = models.Payment.objects.get(customer_id=customer_id, order_id=ORDER)
    assert row.idempotency_key == f"order-{ORDER}:estimate:1"


def test_asking_again_holds_nothing_more(sandbox):
    card_id = make_card(ADA)
    assert authorise(card_id) == authorise(card_id) == authorise(card_id)
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


def test_each_step_is_a_payment_of_its_own(sandbox):
    card_id = make_card(ADA)
    authorise(card_id)
    authorise(card_id, cents=700, step="overage")
    assert sandbox.intents() == [("requires_capture", 5000, 0), ("requires_capture", 700, 0)]


def test_another_amount_for_the_same_step_is_refused(sandbox):
    card_id = make_card(ADA)
    authorise(card_id)
    with pytest.raises(PaymentConflict):
        authorise(card_id, cents=6000)
    with pytest.raises(PaymentConflict):
        authorise(make_card(ADA))
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


@pytest.mark.parametrize("cents", [49, 0, -100])
def test_too_little_is_not_even_asked_for(sandbox, cents):
    with pytest.raises(AmountTooSmall):
        authorise(make_card(ADA), cents=cents)
    assert selectors.payments(customer_id=ADA, order_id=ORDER) == ()
    assert sandbox.intents() == []


def test_a_mistake_of_ours_is_not_taken_for_bad_weather(sandbox, settings):
    """A key that Stripe does not know: a bug or a wrong setting, to be seen in the log, not to be retried for ever."""
    card_id = make_card(ADA)
    settings.STRIPE_SECRET_KEY = "sk_live_of_another_shop"
    with gateway.replaced_by(StripeGateway(timeout=0.5)), pytest.raises(GatewayRefused):
        authorise(card_id)
    assert status() == "authorising"
    assert sandbox.intents() == []


def test_a_decline_holds_nothing_and_stays_declined(sandbox):
    card_id = make_card(ADA, "pm_card_chargeCustomerFail")
    payment = authorise(card_id)
    assert (payment.status, payment.failure_code) == ("declined", "generic_decline")
    assert authorise(card_id) == payment
    assert sandbox.intents() == [("requires_payment_method", 5000, 0)]
    with pytest.raises(NotCapturable):
        capture(100)
    void()
    assert status() == "declined"


def test_another_card_after_a_decline(sandbox):
    authorise(make_card(ADA, "pm_card_chargeCustomerFail"))
    card_id = make_card(ADA)
    payment = authorise(card_id, cents=4000)
    assert (payment.status, payment.attempt, payment.failure_code) == ("authorised", 2, "")
    assert (payment.card_id, payment.amount) == (card_id, Money(4000))
    assert sandbox.intents() == [("requires_payment_method", 5000, 0), ("requires_capture", 4000, 0)]


# 3-D Secure


def test_the_bank_asks_and_the_customer_approves(sandbox):
    payment = authorise(make_card(ADA, "pm_card_authenticationRequired"))
    assert payment.status == "requires_action"
    assert payment.action_url.startswith(sandbox.url)
    assert refresh().status == "requires_action"
    with pytest.raises(NotCapturable):
        capture(100)
    sandbox.answer_bank(payment.action_url, "approve")
    after = refresh()
    assert (after.status, after.action_url) == ("authorised", "")
    assert refresh() == after
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


def test_the_customer_denies(sandbox):
    payment = authorise(make_card(ADA, "pm_card_authenticationRequired"))
    sandbox.answer_bank(payment.action_url, "deny")
    after = refresh()
    assert (after.status, after.failure_code) == ("declined", "payment_intent_authentication_failure")
    assert sandbox.intents() == [("requires_payment_method", 5000, 0)]


def test_approving_after_a_cancel_holds_nothing(sandbox):
    payment = authorise(make_card(ADA, "pm_card_authenticationRequired"))
    void()
    sandbox.answer_bank(payment.action_url, "approve")
    assert refresh().status == "voided"
    assert sandbox.intents() == [("canceled", 5000, 0)]
