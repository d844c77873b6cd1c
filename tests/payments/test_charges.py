"""A second payment with a saved card, its holder not being there: for more than was held, or for a tip."""

from datetime import timedelta

import pytest

from apps.common.money import Money
from apps.ledger import selectors as ledger
from apps.payments import services
from apps.payments.errors import AlreadyCaptured, CardNotFound, PaymentConflict, ProviderUnavailable
from tests.payments.factories import NOW, make_card
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ADA, GRACE = 1, 9_001
ORDER = 77


def charge(customer_id, card_id, *, step="tip", cents=500, order_id=ORDER, now=NOW):
    return services.charge(
        customer_id=customer_id, order_id=order_id, step=step, amount=Money(cents), card_id=card_id, now=now
    )


def intents(sandbox):
    return sandbox.intents()


@pytest.mark.parametrize("customer_id", [ADA, GRACE])
def test_a_charge_is_taken_at_once_and_booked(sandbox, customer_id):
    card_id = make_card(customer_id)
    made = charge(customer_id, card_id)
    assert (made.status, made.captured, made.failure_code) == ("captured", Money(500), "")
    assert charge(customer_id, card_id) == made
    assert intents(sandbox) == [("succeeded", 500, 500)]
    assert ledger.balance(customer_id=customer_id, order_id=ORDER).cents == {"provider_cash": 500, "customer": -500}


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("pm_card_chargeCustomerFail", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ],
)
def test_a_refusal_is_an_answer_that_says_why(sandbox, card, code):
    card_id = make_card(ADA, card)
    made = charge(ADA, card_id, step="overage")
    assert (made.status, made.failure_code, made.captured) == ("declined", code, Money(0))
    assert charge(ADA, card_id, step="overage") == made
    assert intents(sandbox) == [("requires_payment_method", 500, 0)]
    assert ledger.balance(customer_id=ADA, order_id=ORDER) is None
    again = charge(ADA, make_card(ADA), step="overage")
    assert (again.status, again.attempt) == ("captured", 2)
    assert [status for status, _, _ in intents(sandbox)] == ["requires_payment_method", "succeeded"]


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "503_after", "drop_before", "500_before", "429"])
def test_a_lost_answer_is_found_out_and_the_card_is_charged_once(sandbox, kind):
    card_id = make_card(ADA)
    sandbox.fail("POST /v1/payment_intents", kind)
    with pytest.raises(ProviderUnavailable):
        charge(ADA, card_id)
    assert charge(ADA, card_id, now=NOW + timedelta(minutes=1)).status == "captured"
    assert intents(sandbox) == [("succeeded", 500, 500)]


def test_a_charge_is_no_hold_and_a_hold_no_charge(fake_gateway):
    card_id = make_card(ADA)
    charge(ADA, card_id)
    with pytest.raises(PaymentConflict):
        services.authorise(
            customer_id=ADA, order_id=ORDER, step="tip", amount=Money(500), card_id=card_id, return_url="", now=NOW
        )
    with pytest.raises(PaymentConflict):
        charge(ADA, card_id, cents=600)
    with pytest.raises(AlreadyCaptured):
        services.void(customer_id=ADA, order_id=ORDER, now=NOW)
    with pytest.raises(CardNotFound):
        charge(GRACE, card_id)
    assert fake_gateway.taken_cents == 500


def test_many_that_charge_the_same_step_at_once_charge_it_once(fake_gateway):
    card_id = make_card(ADA)

    def ask(_):
        try:
            return charge(ADA, card_id).status
        except ProviderUnavailable:
            return "busy"

    assert set(answers_at_once(ask, 6)) <= {"captured", "busy"}
    assert charge(ADA, card_id).status == "captured"
    assert fake_gateway.taken_cents == 500
