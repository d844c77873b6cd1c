"""Money on its way to banks: by each account's schedule, by hand, and sent back."""

import pytest
import stripe

from tests.payments_sandbox.conftest import pay

DAY = 86_400


@pytest.fixture
def account(client, control):
    """May be paid, and was sent 500 cents; its first payout is at midnight."""
    asked = {"type": "express", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    made = client.v1.accounts.create(asked)
    control("accounts", account=made.id, enabled=True)
    pay(client)
    control("clock", advance=3 * DAY)
    client.v1.transfers.create({"amount": 500, "currency": "usd", "destination": made.id})
    return made.id


def payouts(client, account):
    found = client.v1.payouts.list({}, {"stripe_account": account}).data
    return [(one.amount, one.status, one.automatic) for one in found]


def available(client, account):
    return client.v1.balance.retrieve({}, {"stripe_account": account}).available[0].amount


def test_an_account_is_paid_daily_all_that_it_has(client, account, control):
    assert (payouts(client, account), available(client, account)) == ([], 500)
    control("clock", advance=DAY)
    assert (payouts(client, account), available(client, account)) == ([(500, "pending", True)], 0)
    assert client.v1.payouts.list().data == []  # none of them is ours
    control("clock", advance=2 * DAY)
    assert payouts(client, account) == [(500, "paid", True)]
    told = [(one.type, one.account) for one in client.v1.events.list({"type": "payout.*"}).data]
    assert told == [("payout.paid", account), ("payout.created", account)]
    assert control("invariants")["violations"] == []


@pytest.mark.parametrize("days", [1, 4])
def test_what_a_bank_sends_back_is_the_accounts_again_and_paid_once_that_is_mended(client, account, control, days):
    control("clock", advance=days * DAY)
    (payout,) = client.v1.payouts.list({}, {"stripe_account": account}).data
    failed = control("payouts", payout=payout.id, code="no_account")
    assert (failed["status"], failed["failure_code"]) == ("failed", "no_account")
    assert available(client, account) == 500
    assert client.v1.accounts.retrieve(account).payouts_enabled is False
    control("clock", advance=3 * DAY)
    assert payouts(client, account) == [(500, "failed", True)]
    control("accounts", account=account, enabled=True)
    control("clock", advance=4 * DAY)
    assert payouts(client, account) == [(500, "paid", True), (500, "failed", True)]
    assert control("invariants")["violations"] == []


def test_an_account_that_is_paid_by_hand_waits_for_it(client, control, account):
    asked = {"type": "express", "settings": {"payouts": {"schedule": {"interval": "manual"}}}}
    manual = client.v1.accounts.create({**asked, "capabilities": {"transfers": {"requested": True}}}).id
    control("accounts", account=manual, enabled=True)
    client.v1.transfers.create({"amount": 300, "currency": "usd", "destination": manual})
    control("clock", advance=3 * DAY)
    assert payouts(client, manual) == []
    options = {"stripe_account": manual, "idempotency_key": "once"}
    made = client.v1.payouts.create({"amount": 200, "currency": "usd"}, options)
    assert client.v1.payouts.create({"amount": 200, "currency": "usd"}, options).id == made.id
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payouts.create({"amount": 101, "currency": "usd"}, {"stripe_account": manual})
    assert refused.value.code == "balance_insufficient"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payouts.retrieve(made.id)  # of another account
    assert (payouts(client, manual), available(client, manual)) == ([(200, "pending", False)], 100)


def test_our_own_money_moves_by_balance_transactions(client, control):
    pay(client)
    control("clock", advance=3 * DAY)
    made = client.v1.payouts.create({"amount": 400, "currency": "usd"})
    control("payouts", payout=made.id)
    moved = [(one.type, one.amount) for one in client.v1.balance_transactions.list().data]
    assert moved == [("payout_failure", 400), ("payout", -400), ("charge", 1000)]
    client.v1.payouts.create({"amount": 1000, "currency": "usd"})
    report = control("invariants")
    assert (report["violations"], report["totals"]["paid_out"], report["totals"]["balance"]) == ([], 1000, 0)


def test_nobody_asks_in_the_name_of_nobody(client, account):
    with pytest.raises(stripe.PermissionError) as refused:
        client.v1.payouts.list({}, {"stripe_account": "acct_nobody"})
    assert refused.value.json_body["error"]["code"] == "account_invalid"
    with pytest.raises(stripe.InvalidRequestError, match="not played for connected accounts"):
        client.v1.customers.list({}, {"stripe_account": account})
