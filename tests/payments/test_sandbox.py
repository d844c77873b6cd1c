"""The real SDK, over real HTTP, to the project's stand-in for Stripe. Each refusal with what must not have happened."""

from datetime import timedelta

import pytest

import sharding
from apps.common.money import Money
from apps.payments import gateway, models, selectors, services
from apps.payments.errors import (
    AlreadyCaptured,
    AmountTooSmall,
    CaptureTooLarge,
    CardDeclined,
    CardNotFound,
    CardPageUnfinished,
    GatewayRefused,
    NotCapturable,
    PaymentConflict,
    PaymentNotFound,
    ProviderUnavailable,
)
from apps.payments.stripe_gateway import StripeGateway
from apps.payments.types import Card
from tests.payments.factories import NOW, make_card

pytestmark = pytest.mark.django_db(databases="__all__")

ADA, BOB = 1, 5_001  # on different shards
ORDER = 7_654_321
CREATE = "POST /v1/payment_intents"
CAPTURE = "POST /v1/payment_intents/{id}/capture"
CANCEL = "POST /v1/payment_intents/{id}/cancel"


def authorise(card_id, *, customer_id=ADA, cents=5000, step="estimate", now=NOW):
    return services.authorise(
        customer_id=customer_id,
        order_id=ORDER,
        step=step,
        amount=Money(cents),
        card_id=card_id,
        return_url="http://127.0.0.1:8000/orders/7654321/",
        now=now,
    )


def capture(cents, *, customer_id=ADA, step="estimate", now=NOW):
    return services.capture(customer_id=customer_id, order_id=ORDER, step=step, amount=Money(cents), now=now)


def void(*, customer_id=ADA, now=NOW):
    services.void(customer_id=customer_id, order_id=ORDER, now=now)


def refresh(*, now=NOW):
    return services.refresh(customer_id=ADA, order_id=ORDER, step="estimate", now=now)


def status(customer_id=ADA):
    [payment] = selectors.payments(customer_id=customer_id, order_id=ORDER)
    return payment.status


# Cards


def test_a_card_added_by_its_id(sandbox):
    card_id = make_card(ADA, "pm_card_mastercard")
    assert selectors.cards(customer_id=ADA) == (
        Card(id=card_id, brand="mastercard", last4="4444", exp_month=12, exp_year=2040),
    )
    [customer] = sandbox.objects("customer")
    assert customer["metadata"] == {"customer_id": "1"}
    assert (customer["email"], customer["name"]) == (None, None)


def test_two_cards_one_customer_at_the_provider(sandbox):
    first, second = make_card(ADA), make_card(ADA, "pm_card_amex")
    assert [card.id for card in selectors.cards(customer_id=ADA)] == [second, first]
    assert len(sandbox.objects("customer")) == 1


def test_adding_the_same_card_again_gives_the_same_id(sandbox):
    card_id = make_card(ADA)
    stripe_id = models.PaymentMethod.objects.get(customer_id=ADA, pk=card_id).stripe_id
    assert make_card(ADA, stripe_id) == card_id


def test_a_refused_card_is_not_kept(sandbox):
    with pytest.raises(CardDeclined) as refusal:
        make_card(ADA, "pm_card_chargeDeclinedLostCard")
    assert refusal.value.reason == "lost_card"
    assert selectors.cards(customer_id=ADA) == ()


@pytest.mark.parametrize("payment_method", ["pm_absent", "4242424242424242", "pm_a/../../customers", "", "cus_1"])
def test_what_is_no_card_is_not_found(sandbox, payment_method):
    with pytest.raises(CardNotFound):
        make_card(ADA, payment_method)
    assert selectors.cards(customer_id=ADA) == ()


def test_somebody_elses_card_is_not_found(sandbox):
    stripe_id = models.PaymentMethod.objects.get(customer_id=ADA, pk=make_card(ADA)).stripe_id
    with pytest.raises(CardNotFound):
        make_card(BOB, stripe_id)
    with pytest.raises(CardNotFound):
        authorise(make_card(ADA), customer_id=BOB)
    assert selectors.cards(customer_id=BOB) == ()
    assert sandbox.intents() == []


def test_a_customer_is_made_once_also_when_the_answer_is_lost(sandbox):
    sandbox.fail("POST /v1/customers", "drop_after")
    with pytest.raises(ProviderUnavailable):
        make_card(ADA)
    make_card(ADA)
    assert len(sandbox.objects("customer")) == 1


def test_a_stored_failure_does_not_lock_a_customer_out(sandbox):
    sandbox.fail("POST /v1/customers", "500_after")
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            make_card(ADA)
    make_card(ADA)
    assert len(selectors.cards(customer_id=ADA)) == 1


def open_page(customer_id):
    return services.card_page(
        customer_id=customer_id,
        success_url="http://127.0.0.1:8000/cards/done/?session={CHECKOUT_SESSION_ID}",
        cancel_url="http://127.0.0.1:8000/cards/",
    )


def test_a_card_saved_on_the_providers_page(sandbox):
    sandbox.type_card(open_page(ADA), number="4242424242424242")
    [session] = sandbox.objects("checkout.session")
    card_id = services.finish_card_page(customer_id=ADA, session_id=session["id"], now=NOW)
    assert services.finish_card_page(customer_id=ADA, session_id=session["id"], now=NOW) == card_id
    assert [(card.id, card.last4) for card in selectors.cards(customer_id=ADA)] == [(card_id, "4242")]
    assert authorise(card_id).status == "authorised"


def test_a_page_that_was_left_saves_nothing(sandbox):
    open_page(ADA)
    [session] = sandbox.objects("checkout.session")
    with pytest.raises(CardPageUnfinished):
        services.finish_card_page(customer_id=ADA, session_id=session["id"], now=NOW)
    assert selectors.cards(customer_id=ADA) == ()


def test_somebody_elses_page_is_not_found(sandbox):
    sandbox.type_card(open_page(ADA), number="4242424242424242")
    [session] = sandbox.objects("checkout.session")
    make_card(BOB)
    for session_id in (session["id"], "cs_test_absent", "../customers"):
        with pytest.raises(CardNotFound):
            services.finish_card_page(customer_id=BOB, session_id=session_id, now=NOW)
    assert len(selectors.cards(customer_id=BOB)) == 1
    assert selectors.cards(customer_id=ADA) == ()


# Authorise


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


# The provider fails


@pytest.mark.parametrize(
    "kind",
    ["refuse", "429", "500_before", "503_before", "drop_before", "500_after", "503_after", "drop_after", "half_answer"],
)
def test_a_failed_authorisation_is_found_out_and_made_once(sandbox, kind):
    card_id = make_card(ADA)
    sandbox.fail(CREATE, kind)
    with pytest.raises(ProviderUnavailable):
        authorise(card_id)
    assert status() == "authorising"
    assert authorise(card_id, now=NOW + timedelta(minutes=1)).status == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


def test_a_slow_provider_is_not_waited_for(sandbox):
    card_id = make_card(ADA)
    sandbox.fail(CREATE, "slow_after", seconds=1.0)
    with pytest.raises(ProviderUnavailable):
        authorise(card_id)
    assert refresh().status == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


def test_a_lookup_that_fails_too_leaves_everything_as_it_was(sandbox):
    card_id = make_card(ADA)
    sandbox.fail(CREATE, "drop_after")
    sandbox.fail("GET /v1/payment_intents", "refuse", count=2)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            authorise(card_id)
    assert status() == "authorising"
    assert authorise(card_id).status == "authorised"
    assert len(sandbox.intents()) == 1


def test_a_key_the_provider_has_forgotten_is_not_used_again(sandbox):
    """Two days later the old key would make a second intent, if we did not look first."""
    card_id = make_card(ADA)
    sandbox.fail(CREATE, "drop_after")
    with pytest.raises(ProviderUnavailable):
        authorise(card_id)
    sandbox.advance(seconds=2 * 86_400)
    assert authorise(card_id, now=NOW + timedelta(days=2)).status == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


@pytest.mark.parametrize(
    "kind",
    ["refuse", "429", "500_before", "503_before", "drop_before", "500_after", "503_after", "drop_after", "half_answer"],
)
def test_a_failed_capture_is_found_out_and_made_once(sandbox, kind):
    authorise(make_card(ADA))
    sandbox.fail(CAPTURE, kind)
    with pytest.raises(ProviderUnavailable):
        capture(4321)
    assert status() == "capturing"
    assert capture(4321).captured == Money(4321)
    assert sandbox.intents() == [("succeeded", 5000, 4321)]


@pytest.mark.parametrize("kind", ["refuse", "500_before", "500_after", "drop_after", "half_answer"])
def test_a_failed_release_is_found_out(sandbox, kind):
    authorise(make_card(ADA))
    sandbox.fail(CANCEL, kind)
    with pytest.raises(ProviderUnavailable):
        void()
    assert status() == "voiding"
    with pytest.raises(NotCapturable):
        capture(100)
    void()
    assert status() == "voided"
    assert sandbox.intents() == [("canceled", 5000, 0)]


def test_releasing_what_may_have_been_authorised(sandbox):
    card_id = make_card(ADA)
    sandbox.fail(CREATE, "500_after")
    with pytest.raises(ProviderUnavailable):
        authorise(card_id)
    void()
    assert status() == "voided"
    assert sandbox.intents() == [("canceled", 5000, 0)]
    with pytest.raises(PaymentConflict):
        authorise(card_id)


def test_releasing_what_was_never_authorised_asks_no_bank(sandbox):
    card_id = make_card(ADA)
    sandbox.fail(CREATE, "refuse")
    with pytest.raises(ProviderUnavailable):
        authorise(card_id)
    void()
    assert status() == "voided"
    assert sandbox.intents() == []


# Capture and void


def test_taking_less_releases_the_rest(sandbox):
    authorise(make_card(ADA))
    payment = capture(3210)
    assert (payment.status, payment.captured, payment.amount) == ("captured", Money(3210), Money(5000))
    assert sandbox.intents() == [("succeeded", 5000, 3210)]


def test_capturing_twice_takes_once(sandbox):
    authorise(make_card(ADA))
    assert capture(3210) == capture(3210)
    with pytest.raises(PaymentConflict):
        capture(3000)
    assert sandbox.intents() == [("succeeded", 5000, 3210)]


def test_more_than_was_held_is_not_taken(sandbox):
    authorise(make_card(ADA))
    for cents in (5001, -1):
        with pytest.raises(CaptureTooLarge):
            capture(cents)
    assert status() == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


def test_capturing_nothing_releases(sandbox):
    authorise(make_card(ADA))
    assert (capture(0).status, capture(0).captured) == ("voided", Money(0))
    assert sandbox.intents() == [("canceled", 5000, 0)]


def test_nothing_to_capture(sandbox):
    with pytest.raises(PaymentNotFound):
        capture(100)
    void()
    assert sandbox.intents() == []


def test_void_releases_every_step_and_may_be_repeated(sandbox):
    card_id = make_card(ADA)
    authorise(card_id)
    authorise(card_id, cents=700, step="overage")
    void()
    void()
    assert {payment.status for payment in selectors.payments(customer_id=ADA, order_id=ORDER)} == {"voided"}
    assert sandbox.intents() == [("canceled", 5000, 0), ("canceled", 700, 0)]
    with pytest.raises(NotCapturable):
        capture(100)


def test_void_after_capture_is_refused_and_releases_nothing(sandbox):
    card_id = make_card(ADA)
    authorise(card_id)
    authorise(card_id, cents=700, step="overage")
    capture(5000)
    with pytest.raises(AlreadyCaptured):
        void()
    assert sandbox.intents() == [("succeeded", 5000, 5000), ("requires_capture", 700, 0)]


def test_an_authorisation_ends_by_itself(sandbox):
    authorise(make_card(ADA))
    sandbox.advance(seconds=8 * 86_400)
    with pytest.raises(NotCapturable):
        capture(4000, now=NOW + timedelta(days=8))
    assert status() == "expired"
    assert sandbox.intents() == [("canceled", 5000, 0)]


def test_somebody_elses_payment_is_not_found(sandbox):
    authorise(make_card(ADA))
    with pytest.raises(PaymentNotFound):
        capture(100, customer_id=BOB)
    void(customer_id=BOB)
    assert status() == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


def test_payments_in_one_query(sandbox, django_assert_num_queries):
    card_id = make_card(ADA)
    authorise(card_id)
    authorise(card_id, cents=700, step="overage")
    with django_assert_num_queries(1, using=sharding.alias_for("customer", ADA)):
        found = selectors.payments(customer_id=ADA, order_id=ORDER)
    assert [(payment.step, payment.amount) for payment in found] == [("estimate", Money(5000)), ("overage", Money(700))]
