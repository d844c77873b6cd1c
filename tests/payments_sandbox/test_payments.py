from typing import Any

import httpx
import pytest
import stripe

from deploy.payments_sandbox.server import Server
from tests.payments_sandbox.conftest import client_of, hold, pay


def problem(error: stripe.StripeError) -> dict[str, Any]:
    return dict(error.json_body["error"])


def test_a_payment_moves_its_amount_once(client: stripe.StripeClient, control: Any) -> None:
    intent = pay(client, amount=1234, metadata={"order": "17"}, expand=["latest_charge.balance_transaction"])
    charge = intent.latest_charge
    assert (intent.status, intent.amount_received, intent.amount_capturable) == ("succeeded", 1234, 0)
    assert (charge.amount, charge.amount_captured, charge.amount_refunded) == (1234, 1234, 0)
    assert (charge.captured, charge.paid, charge.metadata["order"]) == (True, True, "17")
    assert (charge.balance_transaction.amount, charge.balance_transaction.status) == (1234, "pending")
    assert [one.id for one in client.v1.balance_transactions.list().data] == [charge.balance_transaction.id]
    assert client.v1.balance.retrieve().pending[0].amount == 1234
    control("clock", advance=2 * 86_400)
    assert client.v1.balance.retrieve().available[0].amount == 1234
    assert client.v1.balance.retrieve().pending[0].amount == 0


def test_steps_one_at_a_time(client: stripe.StripeClient) -> None:
    intents = client.v1.payment_intents
    intent = intents.create({"amount": 500, "currency": "usd", "allowed_payment_method_types": ["card"]})
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError) as missing:
        intents.confirm(intent.id)
    assert missing.value.code == "payment_intent_unexpected_state"
    intent = intents.update(intent.id, {"payment_method": "pm_card_mastercard", "amount": 600, "metadata": {"a": "1"}})
    assert intent.status == "requires_confirmation"
    intent = intents.confirm(intent.id)
    assert (intent.status, intent.amount_received) == ("succeeded", 600)
    assert intents.update(intent.id, {"metadata": {"a": "", "b": "2"}}).metadata.to_dict() == {"b": "2"}
    with pytest.raises(stripe.InvalidRequestError) as late:
        intents.update(intent.id, {"amount": 700})
    assert late.value.code == "payment_intent_unexpected_state"
    assert intents.retrieve(intent.id).amount == 600


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ],
)
def test_declines(client: stripe.StripeClient, method: str, code: str, decline_code: str) -> None:
    with pytest.raises(stripe.CardError) as declined:
        pay(client, method)
    error = problem(declined.value)
    assert (error["type"], error["code"], error["decline_code"]) == ("card_error", code, decline_code)
    intent = client.v1.payment_intents.retrieve(error["payment_intent"]["id"])
    assert (intent.status, intent.payment_method, intent.amount_received) == ("requires_payment_method", None, 0)
    assert intent.last_payment_error.decline_code == decline_code
    [charge] = client.v1.charges.list({"payment_intent": intent.id}).data
    assert (charge.status, charge.paid, charge.failure_code, charge.id) == ("failed", False, code, error["charge"])
    assert client.v1.balance_transactions.list().data == []
    again = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (again.status, again.last_payment_error) == ("succeeded", None)


@pytest.mark.parametrize(
    ("details", "code", "decline_code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number", None),
        ({"exp_month": 13}, "invalid_expiry_month", None),
        ({"exp_year": 2020}, "invalid_expiry_year", None),
        ({"cvc": "12"}, "invalid_cvc", None),
        ({"number": "4111111111111111"}, "card_declined", "test_mode_live_card"),
    ],
)
def test_mistyped_cards(sandbox: Server, details: dict[str, Any], code: str, decline_code: str | None) -> None:
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123", **details}
    with pytest.raises(stripe.CardError) as refused:
        client_of(sandbox, "pk_test_app").v1.payment_methods.create({"type": "card", "card": card})
    assert (refused.value.code, problem(refused.value).get("decline_code")) == (code, decline_code)
    assert client_of(sandbox).v1.payment_methods.list().data == []


def test_a_card_entered_in_an_app_is_kept_for_its_customer(sandbox: Server, client: stripe.StripeClient) -> None:
    card = {"number": "5555555555554444", "exp_month": 3, "exp_year": 2031, "cvc": "123"}
    method = client_of(sandbox, "pk_test_app").v1.payment_methods.create({"type": "card", "card": card})
    assert (method.card.brand, method.card.last4, method.card.exp_month, method.card.exp_year) == (
        *("mastercard", "4444"),
        *(3, 2031),
    )
    customer = client.v1.customers.create({"email": "ada@example.org", "metadata": {"user": "7"}})
    client.v1.payment_methods.attach(method.id, {"customer": customer.id})
    assert [one.id for one in client.v1.payment_methods.list({"customer": customer.id}).data] == [method.id]
    assert [one.id for one in client.v1.customers.payment_methods.list(customer.id).data] == [method.id]
    assert pay(client, method.id, customer=customer.id).customer == customer.id
    stranger = client.v1.customers.create()
    with pytest.raises(stripe.InvalidRequestError):
        pay(client, method.id, customer=stranger.id)
    client.v1.payment_methods.detach(method.id)
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        pay(client, method.id, customer=customer.id)
    assert len(client.v1.payment_intents.list({"customer": customer.id}).data) == 1
    assert client.v1.payment_intents.list({"customer": stranger.id}).data == []
    assert b"5555555555554444" not in httpx.get(f"{sandbox.url}/_sandbox/dump").content


def test_a_declining_card_cannot_be_attached(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create()
    with pytest.raises(stripe.CardError):
        client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    assert client.v1.payment_methods.list({"customer": customer.id}).data == []
    assert client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id}).id


def test_part_of_a_hold_is_captured_and_the_rest_released(client: stripe.StripeClient, control: Any) -> None:
    intent = hold(client, 1000)
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 1000, 0)
    assert client.v1.balance_transactions.list().data == []
    intent = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 700, "expand": ["latest_charge"]})
    charge = intent.latest_charge
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("succeeded", 0, 700)
    assert (charge.amount, charge.amount_captured, charge.amount_refunded) == (1000, 700, 300)
    assert [one.amount for one in client.v1.balance_transactions.list().data] == [700]
    report = control("invariants")
    assert report["violations"] == []
    assert report["totals"] == {
        "captured": 700,
        "refunded": 0,
        "released": 300,
        "held": 0,
        "disputed": 0,
        "transferred": 0,
        "paid_out": 0,
        "balance": 700,
    }


def test_never_more_than_was_held(client: stripe.StripeClient) -> None:
    intent = hold(client, 1000)
    with pytest.raises(stripe.InvalidRequestError) as over:
        client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1001})
    assert over.value.param == "amount_to_capture"
    assert client.v1.payment_intents.retrieve(intent.id).amount_capturable == 1000
    assert client.v1.balance_transactions.list().data == []


def test_capture_and_cancel_exclude_each_other(client: stripe.StripeClient) -> None:
    intents = client.v1.payment_intents
    canceled = intents.cancel(hold(client).id, {"cancellation_reason": "requested_by_customer"})
    assert (canceled.status, canceled.amount_capturable) == ("canceled", 0)
    with pytest.raises(stripe.InvalidRequestError) as late:
        intents.capture(canceled.id)
    assert late.value.code == "payment_intent_unexpected_state"
    assert problem(late.value)["payment_intent"]["status"] == "canceled"
    captured = intents.capture(hold(client).id)
    for refused in (intents.cancel, intents.capture):
        with pytest.raises(stripe.InvalidRequestError) as error:
            refused(captured.id)
        assert error.value.code == "payment_intent_unexpected_state"
    assert [one.amount for one in client.v1.balance_transactions.list().data] == [1000]


def test_refunds_never_exceed_what_was_captured(client: stripe.StripeClient, control: Any) -> None:
    intent = hold(client, 1000)
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 700})
    first = client.v1.refunds.create({"payment_intent": intent.id, "amount": 200, "reason": "requested_by_customer"})
    assert (first.amount, first.status) == (200, "succeeded")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 501})
    rest = client.v1.refunds.create({"charge": intent.latest_charge})
    assert rest.amount == 500
    with pytest.raises(stripe.InvalidRequestError) as empty:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert empty.value.code == "charge_already_refunded"
    charge = client.v1.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded) == (1000, True)
    assert [one.amount for one in charge.refunds.data] == [500, 200, 300]
    assert [one.amount for one in client.v1.balance_transactions.list().data] == [-500, -200, 700]
    assert control("invariants")["totals"]["balance"] == 0
    assert control("invariants")["violations"] == []


def test_what_was_not_captured_is_not_refunded(client: stripe.StripeClient) -> None:
    intent = hold(client)
    for given in ({"payment_intent": intent.id}, {"charge": intent.latest_charge}):
        with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
            client.v1.refunds.create(given)
    assert client.v1.refunds.list({"payment_intent": intent.id}).data == []
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_holds_expire_by_the_virtual_clock(client: stripe.StripeClient, control: Any) -> None:
    started_by_us = hold(client, off_session=True)
    started_by_customer = hold(client)
    mastercard = hold(client, payment_method="pm_card_mastercard", off_session=True)
    states = lambda: [  # noqa: E731
        client.v1.payment_intents.retrieve(one.id).status for one in (started_by_us, started_by_customer, mastercard)
    ]
    control("clock", advance=4 * 86_400 + 17 * 3600)
    assert states() == ["requires_capture", "requires_capture", "requires_capture"]
    control("clock", advance=2 * 3600)
    assert states() == ["canceled", "requires_capture", "requires_capture"]
    control("clock", advance=3 * 86_400)
    assert states() == ["canceled", "canceled", "canceled"]
    with pytest.raises(stripe.InvalidRequestError) as late:
        client.v1.payment_intents.capture(started_by_us.id)
    assert late.value.code == "payment_intent_unexpected_state"
    assert [event.type for event in client.v1.events.list({"type": "charge.expired"}).data] == ["charge.expired"] * 3
    assert control("invariants")["violations"] == []


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"colour": "red"}, "parameter_unknown", "colour"),
        (
            {"payment_method_options": {"card": {"colour": "red"}}},
            "parameter_unknown",
            "payment_method_options[card][colour]",
        ),
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported", "payment_method_types"),
        ({"amount": "12.50"}, "parameter_invalid_integer", "amount"),
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": None}, "parameter_missing", "amount"),
        ({"currency": None}, "parameter_missing", "currency"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"payment_method": "pm_nothing"}, "resource_missing", "payment_method"),
        ({"capture_method": "later"}, None, "capture_method"),
        ({"off_session": True}, None, "off_session"),
        ({"amount": "9" * 30}, "parameter_invalid_integer", "amount"),
        ({"metadata": {"a": {"b": "c"}}}, None, "metadata"),
        (
            {"allowed_payment_method_types": ["card"], "automatic_payment_methods": {"enabled": True}},
            "parameters_exclusive",
            "automatic_payment_methods",
        ),
    ],
)
def test_refused_parameters(client: stripe.StripeClient, params: Any, code: str | None, param: str) -> None:
    given = {"amount": 1000, "currency": "usd", **params}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.create(given)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    assert client.v1.payment_intents.list().data == []


def test_setup_intents_refuse_payment_method_types(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.setup_intents.create({"payment_method_types": ["card"]})  # type: ignore[typeddict-unknown-key]
    assert refused.value.code == "payment_method_types_no_longer_supported"


def test_a_return_address_is_needed_while_redirects_are_allowed(client: stripe.StripeClient) -> None:
    params: Any = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        client.v1.payment_intents.create(params)
    never = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    assert client.v1.payment_intents.create(params | never).status == "succeeded"
    assert client.v1.payment_intents.create(params | {"return_url": "https://shop.example"}).status == "succeeded"


def test_lists_have_pages(client: stripe.StripeClient) -> None:
    ids = [client.v1.customers.create().id for _ in range(5)][::-1]
    page = client.v1.customers.list({"limit": 2})
    assert ([one.id for one in page.data], page.has_more) == (ids[:2], True)
    assert [one.id for one in page.auto_paging_iter()] == ids
    before = client.v1.customers.list({"limit": 2, "ending_before": ids[4]})
    assert [one.id for one in before.data] == ids[2:4]
    assert client.v1.customers.list({"created": {"gt": 4_000_000_000}}).data == []


@pytest.mark.parametrize("key", ["sk_live_real", "pk_live_real", "whatever"])
def test_only_test_keys(sandbox: Server, key: str) -> None:
    with pytest.raises(stripe.AuthenticationError):
        client_of(sandbox, key).v1.balance.retrieve()


def test_a_publishable_key_sees_only_what_it_has_the_secret_of(sandbox: Server, client: stripe.StripeClient) -> None:
    app = client_of(sandbox, "pk_test_app")
    with pytest.raises(stripe.PermissionError):
        app.v1.customers.create()
    intent = client.v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "allowed_payment_method_types": ["card"]}
    )
    url, auth = f"{sandbox.url}/v1/payment_intents/{intent.id}", ("pk_test_app", "")
    assert httpx.get(url, auth=auth).status_code == 400
    assert httpx.get(url, auth=auth, params={"client_secret": intent.client_secret}).json()["amount"] == 900
    form = {"client_secret": intent.client_secret, "payment_method": "pm_card_visa"}
    assert httpx.post(f"{url}/confirm", auth=auth, data=form).json()["status"] == "succeeded"


def test_unknown_things(sandbox: Server, client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as absent:
        client.v1.payment_intents.retrieve("pi_absent")
    assert (absent.value.http_status, absent.value.code) == (404, "resource_missing")
    answer = httpx.get(f"{sandbox.url}/v1/unicorns", auth=("sk_test_x", ""))
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    assert answer.headers["Request-Id"].startswith("req_")
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.customers.create({"expand": ["colour"]})
    assert client.v1.customers.list().data == []
