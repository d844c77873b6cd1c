"""Accounts, transfers to them, transfers taken back."""

import httpx
import pytest
import stripe

from tests.payments_sandbox.conftest import pay

DAYS = 86_400


@pytest.fixture
def account(client):
    made = client.v1.accounts.create(
        {"type": "express", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    )
    assert (made.capabilities.transfers, made.payouts_enabled, made.details_submitted) == ("inactive", False, False)
    return made.id


def send(client, account, cents=500, **more):
    return client.v1.transfers.create({"amount": cents, "currency": "usd", "destination": account, **more})


def test_an_account_is_completed_on_a_page(client, account, control):
    link = client.v1.account_links.create(
        {
            "account": account,
            "type": "account_onboarding",
            "refresh_url": "http://shop.example/again/",
            "return_url": "http://shop.example/done/",
        }
    )
    assert httpx.get(link.url).status_code == 200
    done = httpx.post(link.url)
    assert (done.status_code, done.headers["Location"]) == (303, "http://shop.example/done/")
    found = client.v1.accounts.retrieve(account)
    assert (found.capabilities.transfers, found.payouts_enabled, found.requirements.currently_due) == (
        "active", True, []
    )  # fmt: skip
    assert [event.type for event in client.v1.events.list({"type": "account.updated"}).data] == ["account.updated"] * 2


def test_money_is_sent_when_it_is_available_and_may_be_taken_back(client, account, control):
    control("accounts", account=account, enabled=True)
    pay(client)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        send(client, account)
    assert refused.value.code == "balance_insufficient"
    control("clock", advance=2 * DAYS + 1)
    sent = send(client, account, metadata={"for": "store 7"})
    assert (sent.amount, sent.destination, sent.reversed) == (500, account, False)
    back = client.v1.transfers.reversals.create(sent.id, {"amount": 200})
    assert back.amount == 200
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.transfers.reversals.create(sent.id, {"amount": 301})
    client.v1.transfers.reversals.create(sent.id)
    found = client.v1.transfers.retrieve(sent.id)
    assert (found.amount_reversed, found.reversed, [one.amount for one in found.reversals.data]) == (
        500, True, [300, 200]
    )  # fmt: skip
    kinds = [(one.type, one.amount) for one in client.v1.balance_transactions.list().data]
    assert kinds[:3] == [("transfer_refund", 300), ("transfer_refund", 200), ("transfer", -500)]
    report = control("invariants")
    assert report["violations"] == []
    assert report["totals"]["transferred"] == 0


def test_an_account_that_is_not_complete_or_restricted_gets_nothing(client, account, control):
    pay(client)
    control("clock", advance=3 * DAYS)
    for enabled in (None, True, False):
        if enabled is not None:
            control("accounts", account=account, enabled=enabled)
        if enabled:
            send(client, account)
            continue
        with pytest.raises(stripe.InvalidRequestError) as refused:
            send(client, account)
        assert refused.value.code == "insufficient_capabilities_for_transfer"
    assert len(client.v1.transfers.list({"destination": account}).data) == 1


@pytest.mark.parametrize("cents", [0, -5])
def test_nothing_is_not_sent(client, account, control, cents):
    control("accounts", account=account, enabled=True)
    with pytest.raises(stripe.InvalidRequestError):
        send(client, account, cents)
