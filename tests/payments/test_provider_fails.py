"""A provider that refuses, answers too late, or breaks off: found out, and done once.

The real SDK, over real HTTP, to the project's stand-in for Stripe.
"""

from datetime import timedelta

import pytest

from apps.common.money import Money
from apps.payments.errors import NotCapturable, PaymentConflict, ProviderUnavailable
from tests.payments.factories import NOW, make_card
from tests.payments.steps import ADA, authorise, capture, refresh, status, void

pytestmark = pytest.mark.django_db(databases="__all__")

CREATE = "POST /v1/payment_intents"
CAPTURE = "POST /v1/payment_intents/{id}/capture"
CANCEL = "POST /v1/payment_intents/{id}/cancel"


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
