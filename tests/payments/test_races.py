"""The same payment from many sides at the same moment, with real threads."""

import pytest

from apps.common.money import Money
from apps.payments import selectors, services
from apps.payments.errors import AlreadyCaptured, NotCapturable, PaymentConflict, ProviderUnavailable
from tests.payments.factories import NOW, make_card
from tests.threads import at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

ADA = 1
ROUNDS = 5


def authorise(order_id, card_id):
    try:
        return services.authorise(
            customer_id=ADA,
            order_id=order_id,
            step="estimate",
            amount=Money(5000),
            card_id=card_id,
            return_url="https://shop.example/",
            now=NOW,
        ).status
    except (ProviderUnavailable, PaymentConflict) as error:
        return type(error).__name__


def capture(order_id):
    try:
        return services.capture(customer_id=ADA, order_id=order_id, step="estimate", amount=Money(4000), now=NOW).status
    except (NotCapturable, ProviderUnavailable) as error:
        return type(error).__name__


def void(order_id):
    try:
        services.void(customer_id=ADA, order_id=order_id, now=NOW)
    except (AlreadyCaptured, ProviderUnavailable) as error:
        return type(error).__name__
    return "voided"


def status(order_id):
    return selectors.payments(customer_id=ADA, order_id=order_id)[0].status


def test_ten_at_once_hold_the_money_once(sandbox):
    """Over HTTP, so that the provider too sees the same key in use twice."""
    card_id = make_card(ADA)
    said = at_once([lambda: authorise(1, card_id) for _ in range(10)])
    assert said["authorised"] >= 1
    assert said["authorised"] + said["ProviderUnavailable"] == 10
    assert status(1) == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]


def test_ten_captures_at_once_take_the_money_once(fake_gateway):
    card_id = make_card(ADA)
    for order_id in range(1, ROUNDS + 1):
        authorise(order_id, card_id)
        said = at_once([lambda order_id=order_id: capture(order_id) for _ in range(10)])
        assert said["captured"] >= 1
        assert sum(said[word] for word in ("captured", "NotCapturable", "ProviderUnavailable")) == 10
        assert status(order_id) == "captured"
    assert (fake_gateway.taken_cents, fake_gateway.held_cents) == (ROUNDS * 4000, 0)


def test_capture_and_void_at_once_have_one_outcome(fake_gateway):
    card_id = make_card(ADA)
    for order_id in range(1, ROUNDS + 1):
        authorise(order_id, card_id)
        at_once([lambda order_id=order_id: capture(order_id), lambda order_id=order_id: void(order_id)] * 3)
        for _ in range(2):  # whoever was told to come again does
            capture(order_id)
            void(order_id)
        assert status(order_id) in ("captured", "voided")
    captured = sum(status(order_id) == "captured" for order_id in range(1, ROUNDS + 1))
    assert (fake_gateway.taken_cents, fake_gateway.held_cents) == (captured * 4000, 0)


def test_void_during_authorisation_leaves_nothing_held(fake_gateway):
    card_id = make_card(ADA)
    for order_id in range(1, ROUNDS + 1):
        at_once([lambda order_id=order_id: authorise(order_id, card_id), lambda order_id=order_id: void(order_id)])
        void(order_id)
        assert status(order_id) == "voided"
    assert (fake_gateway.taken_cents, fake_gateway.held_cents) == (0, 0)
