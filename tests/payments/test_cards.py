"""Cards, saved by their id and on the provider's page.

The real SDK, over real HTTP, to the project's stand-in for Stripe. Each refusal with what must not have happened.
"""

import pytest

from apps.payments import models, selectors, services
from apps.payments.errors import CardDeclined, CardNotFound, CardPageUnfinished, ProviderUnavailable
from apps.payments.types import Card
from tests.payments.factories import NOW, make_card
from tests.payments.steps import ADA, BOB, authorise

pytestmark = pytest.mark.django_db(databases="__all__")


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
