"""Taking what was held, or letting go of it.

The real SDK, over real HTTP, to the project's stand-in for Stripe. Each refusal with what must not have happened.
"""

from datetime import timedelta

import pytest

import sharding
from apps.common.money import Money
from apps.payments import selectors
from apps.payments.errors import AlreadyCaptured, CaptureTooLarge, NotCapturable, PaymentConflict, PaymentNotFound
from tests.payments.factories import NOW, make_card
from tests.payments.steps import ADA, BOB, ORDER, authorise, capture, status, void

pytestmark = pytest.mark.django_db(databases="__all__")


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
