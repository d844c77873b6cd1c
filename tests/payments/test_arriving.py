"""What the provider pays to parties' banks is taken down once, whatever is lost, doubled or late on the way to us."""

import json
from datetime import timedelta
from itertools import permutations

import pytest
import stripe

from apps.common import outbox
from apps.common.money import Money
from apps.payments import gateway, models, selectors, services
from apps.payments.errors import ProviderUnavailable
from tests.payments.factories import NOW
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def account(fake_gateway):
    """A store's account at the provider that was sent 1700 cents."""
    made = services.open_account(party_kind="store", party_id=7, now=NOW)
    fake_gateway.decide(made.account_id, "enabled")
    services.refresh_account(party_kind="store", party_id=7, now=NOW)
    fake_gateway.available_cents = 10_000
    fake_gateway.transfer(made.account_id, amount=Money(1700), transfer=0, key="k")
    return made.account_id


def payouts():
    found = selectors.payouts(party_kind="store", party_id=7)
    return [(one.amount.cents, one.status, one.failure_code) for one in found]


def tell(number, account, kind="payout.paid", *, now=NOW):
    """The webhook's news, signed as the provider signs them."""
    event = {"id": f"evt_{number}", "type": kind, "account": account, "data": {"object": {"id": "po_1"}}}
    payload = json.dumps(event)
    header = stripe.WebhookSignature.generate_signature_header(payload, "whsec_x", timestamp=int(now.timestamp()))
    services.receive_event(payload=payload.encode(), signature=header, now=now)


@pytest.fixture(autouse=True)
def secret(settings):
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_x",)


def test_a_payout_is_followed_to_the_bank_and_back(fake_gateway, account):
    payout = fake_gateway.pay_to_bank(account)
    for number, (status, code) in enumerate((("pending", ""), ("paid", ""), ("failed", "account_closed"))):
        if status != "pending":
            fake_gateway.bank_says(payout, status)
        tell(number, account)
        outbox.drain(aliases=["default"])
        assert payouts() == [(1700, status, code)]
    fake_gateway.pay_to_bank(account)  # it came back to the account, and goes again
    tell(9, account, "payout.created")
    outbox.drain(aliases=["default"])
    assert payouts() == [(1700, "pending", ""), (1700, "failed", "account_closed")]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_news_five_times_and_in_any_order_are_one_payout(fake_gateway, account, order):
    fake_gateway.bank_says(fake_gateway.pay_to_bank(account), "paid")
    kinds = ("payout.created", "payout.updated", "payout.paid")
    for number in order:
        for _ in range(5):
            tell(number, account, kinds[number])
        outbox.drain(aliases=["default"])
        assert payouts() == [(1700, "paid", "")]
    assert models.StripeEvent.objects.filter(handled_at=None).count() == 0


def test_old_news_do_not_turn_it_back(fake_gateway, account):
    payout = fake_gateway.pay_to_bank(account)
    old = fake_gateway.payouts(account)
    fake_gateway.bank_says(payout, "failed")
    services.sweep_payouts(now=NOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake_gateway, "payouts", lambda account: old)
        services.sweep_payouts(now=NOW + 2 * DAY)
    assert payouts() == [(1700, "failed", "account_closed")]


def test_lost_news_are_found_by_the_sweep(fake_gateway, account):
    payout = fake_gateway.pay_to_bank(account)
    assert (services.sweep_payouts(now=NOW), services.sweep_payouts(now=NOW)) == (1, 0)
    assert payouts() == [(1700, "pending", "")]
    fake_gateway.bank_says(payout, "paid")
    assert services.sweep_payouts(now=NOW + 2 * HOUR) == 1  # money is under way
    assert payouts() == [(1700, "paid", "")]
    assert services.sweep_payouts(now=NOW + 4 * HOUR) == 0
    fake_gateway.bank_says(payout, "failed")
    assert services.sweep_payouts(now=NOW + 2 * DAY) == 1
    assert payouts() == [(1700, "failed", "account_closed")]


def test_a_silent_provider_is_asked_again(fake_gateway, account):
    fake_gateway.pay_to_bank(account)
    tell(1, account)
    fake_gateway.fail_next("payouts")
    with pytest.raises(ProviderUnavailable):
        services.handle_event(event_id="evt_1", now=NOW)
    assert payouts() == []
    outbox.drain(aliases=["default"])
    assert payouts() == [(1700, "pending", "")]


def test_many_hear_of_it_at_once(fake_gateway, account):
    fake_gateway.pay_to_bank(account)
    models.StripeEvent.objects.bulk_create(
        models.StripeEvent(id=f"evt_{n}", type="payout.created", payload={"account": account}, received_at=NOW)
        for n in range(6)
    )
    answers_at_once(lambda n: services.handle_event(event_id=f"evt_{n}", now=NOW), 6)
    assert payouts() == [(1700, "pending", "")]


@pytest.mark.parametrize("whose", ["", "acct_of_another_system"])
def test_payouts_that_are_nobodys_here_are_left_alone(fake_gateway, account, whose):
    fake_gateway.calls.clear()
    tell(1, whose)
    outbox.drain(aliases=["default"])
    assert (fake_gateway.calls, models.Payout.objects.count()) == ([], 0)


def test_over_http_the_schedule_of_the_sandbox_is_followed(sandbox):
    party = {"party_kind": "store", "party_id": 7, "now": NOW}
    made = services.open_account(**party)
    sandbox.decide(made.account_id, enabled=True)
    services.refresh_account(**party)
    customer = gateway.current().create_customer(customer_id=7, key="c")
    card = gateway.current().attach(customer=customer, card="pm_card_visa").id
    reference = gateway.Reference(customer_id=7, order_id=1, step="estimate", attempt=1)
    gateway.current().charge(customer=customer, card=card, amount=Money(900), reference=reference, key="k")
    sandbox.advance(seconds=3 * 86_400)
    gateway.current().transfer(made.account_id, amount=Money(900), transfer=0, key="t")
    sandbox.advance(seconds=86_400)
    services.sweep_payouts(now=NOW)
    assert payouts() == [(900, "pending", "")]
    (payout,) = sandbox.objects("payout")
    sandbox.fail_payout(payout["id"], "no_account")
    services.sweep_payouts(now=NOW + DAY)
    assert payouts() == [(900, "failed", "no_account")]
    assert services.refresh_account(**party).status == "restricted"
    sandbox.decide(made.account_id, enabled=True)
    sandbox.advance(seconds=3 * 86_400)
    services.sweep_payouts(now=NOW + 3 * DAY)
    assert payouts() == [(900, "paid", ""), (900, "failed", "no_account")]
