"""Every kind of news the provider has, of one whole story: in order, backwards, shuffled, five times each, or never."""

import json
import random
from datetime import timedelta

import pytest
import stripe

import sharding
from apps.common import outbox
from apps.common.money import Money
from apps.payments import models, selectors, services
from tests.faults.test_payments import ADA, NOW, ORDER, owed, refund, take_back, transfer, unexplained
from tests.payments.factories import make_card
from tests.payments.fixtures import Sandbox

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

SECRET = "whsec_news"
LATER = NOW + timedelta(days=1)
KINDS = {
    *("payment_intent.created", "payment_intent.amount_capturable_updated", "payment_intent.succeeded"),
    *("payment_intent.canceled", "payment_intent.payment_failed", "charge.succeeded", "charge.captured"),
    *("charge.refunded", "refund.created", "charge.failed", "setup_intent.created", "setup_intent.succeeded"),
    *("charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
    *("charge.dispute.closed", "account.updated", "transfer.created", "transfer.reversed"),
    *("payout.created", "payout.paid", "payout.failed", "customer.created", "payment_method.attached"),
}


def story(sandbox: Sandbox) -> None:
    """All that can happen to money, of which we are told nothing."""
    owed(sandbox)  # charged, and a store is owed its share
    transfer()
    take_back()
    refund()
    named = {"customer_id": ADA, "now": NOW}
    for order_id, end in ((ORDER + 1, "capture"), (ORDER + 2, "void")):
        services.authorise(
            **named,
            order_id=order_id,
            step="estimate",
            amount=Money(5000),
            card_id=selectors.cards(customer_id=ADA)[0].id,
            return_url="https://shop.example/",
        )
        if end == "void":
            services.void(**named, order_id=order_id)
        else:
            services.capture(**named, order_id=order_id, step="estimate", amount=Money(4000))
    declining = make_card(ADA, "pm_card_chargeCustomerFail")
    services.charge(**named, order_id=ORDER + 3, step="tip", amount=Money(300), card_id=declining)
    services.prepare(
        **named,
        order_id=ORDER + 4,
        step="estimate",
        amount=Money(900),
        card_id=declining,
        return_url="https://a.example/",
    )
    mine = {one["payment_intent"]: one["id"] for one in sandbox.objects("charge") if one["captured"]}
    (row,) = models.Payment.objects.filter(customer_id=ADA, order_id=ORDER + 1)
    sandbox.refund_by_hand(mine[row.intent_id], 250)
    sandbox.decide_dispute(sandbox.dispute(mine[row.intent_id]), won=True)
    sandbox.advance(seconds=4 * 86_400)
    (payout,) = sandbox.objects("payout")
    sandbox.fail_payout(payout["id"])


def tell(events) -> None:
    for event in events:
        payload = json.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(payload, SECRET, timestamp=int(NOW.timestamp()))
        services.receive_event(payload=payload.encode(), signature=header, now=NOW)
    outbox.drain(aliases=["default"])


def end() -> dict[str, object]:
    orders = range(ORDER, ORDER + 5)
    return {
        "payments": [
            (one.status, one.captured.cents, one.refunded.cents)
            for order_id in orders
            for one in selectors.payments(customer_id=ADA, order_id=order_id)
        ],
        "refunds": [
            (one.amount.cents, one.reason, one.status)
            for order_id in orders
            for one in selectors.refunds(customer_id=ADA, order_id=order_id)
        ],
        "disputes": [(one.amount.cents, one.status) for one in selectors.disputes(customer_id=ADA, order_id=ORDER + 1)],
        "transfers": [
            (one.amount.cents, one.reversed.cents) for one in selectors.transfers(party_kind="store", party_id=7)
        ],
        "payouts": [(one.amount.cents, one.status) for one in selectors.payouts(party_kind="store", party_id=7)],
        "account": selectors.account(party_kind="store", party_id=7).status,
    }


EXPECTED = {
    "payments": [
        ("captured", 4000, 700),
        ("captured", 4000, 250),
        ("voided", 0, 0),
        ("declined", 0, 0),
        ("checked", 0, 0),
    ],
    "refunds": [(700, "missing", "succeeded"), (250, "by_hand", "succeeded")],
    "disputes": [(4000, "won")],
    "transfers": [(1700, 300)],
    "payouts": [(1400, "failed")],
    "account": "restricted",
}


def in_order(events):
    return events


def backwards_five_times(events):
    return [event for event in events[::-1] for _ in range(5)]


def shuffled_twice(events):
    shuffled = events * 2
    random.Random(7).shuffle(shuffled)  # noqa: S311 - an order of messages
    return shuffled


@pytest.mark.parametrize("way", [in_order, backwards_five_times, shuffled_twice])
def test_in_whatever_order_the_news_come_they_say_the_same(sandbox: Sandbox, settings, way) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = (SECRET,)
    story(sandbox)
    events = sandbox.objects("event")
    assert {event["type"] for event in events} == KINDS
    for told in (way(events), events):  # and all of it once more changes nothing
        tell(told)
        assert end() == EXPECTED
        assert unexplained() == []
    assert not models.StripeEvent.objects.filter(handled_at=None).exists()


def test_without_any_news_all_of_ours_is_known_and_the_rest_is_listed(sandbox: Sandbox) -> None:
    """What a person or a bank does at the provider is found by ``ledger check``; payouts are found by the sweep."""
    story(sandbox)
    services.sweep(using=sharding.alias_for("customer", ADA), now=LATER)
    services.sweep_transfers(now=LATER)
    services.sweep_payouts(now=LATER)
    found = end()
    assert {name: found[name] for name in ("transfers", "payouts")} == {
        "transfers": [(1700, 300)],
        "payouts": [(1400, "failed")],
    }
    assert found["refunds"] == [(700, "missing", "succeeded")]
    listed = unexplained()
    assert [line.partition(" moved ")[2].partition(" ")[0] for line in listed] == ["4000", "-4000", "-250"]
