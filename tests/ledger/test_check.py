"""``manage.py ledger check`` after real orders: nothing to say, or exactly what was planted."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import sharding
from apps.common import clock, outbox
from apps.common.money import Money
from apps.ledger import selectors as ledger
from apps.ledger import services as ledger_services
from apps.orders import services
from apps.payments import fake
from apps.payments import selectors as payments
from apps.payments.gateway import Reference
from apps.shoppers import services as shoppers
from tests.orders.conftest import a_monday_morning, provider
from tests.orders.factories import MORNING, bring_to, make_customer, make_market, make_placed_order
from tests.payments.fixtures import sandbox, sandbox_server
from tests.shoppers.factories import make_shopper

__all__ = ["a_monday_morning", "provider", "sandbox", "sandbox_server"]
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def orders(provider):
    """Three delivered and paid, by customers of different shards, and one only placed."""
    market = make_market()
    placed = [make_placed_order(market=market, customer=make_customer()) for _ in range(4)]
    delivered = [bring_to(order, "delivered") for order in placed[:3]]
    outbox.drain()
    assert len({sharding.alias_of_id("customer", order.id) for order in placed}) > 1
    return delivered


def check(*arguments, after=timedelta(hours=1)):
    """What the command says, line by line, and whether it was content."""
    out = StringIO()
    with clock.shifted_to(MORNING + after):
        try:
            call_command("ledger", "check", *arguments, stdout=out)
        except SystemExit as end:
            return out.getvalue().splitlines(), end.code != 1
    return out.getvalue().splitlines(), True


def cents_of(order):
    return order.total.cents


def forge(order, statement):
    """Past the trigger, as somebody with the keys to the database could."""
    with connections[sharding.alias_of_id("customer", order.id)].cursor() as cursor:
        cursor.execute(f"SET session_replication_role = replica; {statement}; RESET session_replication_role")


def test_every_cent_of_what_happened_is_explained(orders, monkeypatch):
    monkeypatch.setattr(fake, "PAGE", 2)
    lines, is_content = check()
    total = sum(cents_of(order) for order in orders)
    assert is_content
    entries = sum(len(ledger.entries(customer_id=o.customer_id, order_id=o.id)) for o in orders)
    (line,) = lines
    assert line == (
        f"4 orders, {entries} entries, {total} cents at the provider by the ledger. "
        f"At the provider 3 movements, {total} cents. Not explained: 0 cents in 0 places."
    )


def test_a_delivered_orders_money_is_where_the_table_says(orders):
    order = orders[0]
    kinds: Counter[str] = Counter()
    for line in order.adjustments:
        kinds[line.kind] += line.amount.cents if line.phase == "final" else 0
    assert kinds.keys() == {"item", "deposit", "fee", "tip"}
    commission = (kinds["item"] * 15 + 50) // 100
    assert ledger.balance(customer_id=order.customer_id, order_id=order.id).cents == {
        "provider_cash": cents_of(order),
        "customer": 0,
        "tip": 0,
        "shopper_payable": -kinds["tip"],
        "store_payable": -(kinds["item"] - commission + kinds["deposit"]),
        "platform_revenue": -(commission + kinds["fee"]),
    }


def test_what_is_delivered_and_not_paid_within_a_minute_is_listed(provider):
    order = make_placed_order()
    provider.is_down = True
    bring_to(order, "delivered")
    outbox.drain()
    provider.is_down = False
    late = timedelta(minutes=25)
    assert check(after=late + timedelta(seconds=30))[1]
    lines, is_content = check(after=late + timedelta(seconds=62))
    total = cents_of(bring_to(order, "delivered"))
    assert not is_content
    assert lines[:2] == [
        f"order {order.id}: {total} cents the customer owes (delivered, USD)",
        f"order {order.id}: 300 cents of tip did not reach the shopper's account",
    ]
    services.settle(order_id=order.id, now=MORNING + late)
    assert check()[1]


def test_without_the_provider_it_says_so(orders, provider):
    provider.is_down = True
    with pytest.raises(CommandError, match="--no-provider"):
        check()
    lines, is_content = check("--no-provider")
    assert is_content
    assert "The provider was not asked." in lines[0]


PLANTED = {
    "a payment's sum": (
        "UPDATE payments_payment SET captured_cents = captured_cents - 7 WHERE order_id = {id}",
        r"order {id}: its payments come to {less} cents, the ledger's to {total}",
        7,
    ),
    "an entry's amount": (
        "UPDATE ledger_ledgerentry SET amount_cents = amount_cents - 7 WHERE order_id = {id} AND kind = 'deposit'",
        r"order {id}: its deposit lines come to 60 cents, 53 were booked",
        14,  # and the customer's account is no more at zero
    ),
    "a final line": (
        "UPDATE orders_orderadjustment SET amount_cents = 67 WHERE order_id = {id} AND kind = 'deposit'",
        r"order {id}: its deposit lines come to 67 cents, 60 were booked",
        7,
    ),
    "a tip that stays": (
        "DELETE FROM ledger_ledgerentry WHERE order_id = {id} AND cause = 'tip_passed_on'",
        r"order {id}: 300 cents of tip did not reach the shopper's account",
        300,
    ),
    "an order that is gone": (
        "UPDATE ledger_ledgerentry SET order_id = 5 WHERE order_id = {id}",
        r"order 5: does not exist, \d+ entries are about it",
        None,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_in_our_books_is_found(orders, name):
    statement, expected, cents = PLANTED[name]
    order = orders[1]
    forge(order, statement.format(id=order.id))
    lines, is_content = check("--no-provider")
    assert not is_content
    total = cents_of(order)
    pattern = expected.format(id=order.id, total=total, less=total - 7)
    assert [line for line in lines if re.fullmatch(pattern, line)], lines
    if cents is not None:
        assert f"Not explained: {cents} cents" in lines[-1]


def test_a_charge_that_we_know_nothing_of_is_found(orders, provider):
    reference = Reference(customer_id=orders[0].customer_id, order_id=orders[0].id, step="extra", attempt=1)
    intent = provider.authorise(
        customer="cus", card="pm_card_visa", amount=Money(500), reference=reference, return_url="", key="by-hand"
    )
    provider.capture(intent.id, amount=Money(500), key="by-hand-2")
    lines, is_content = check()
    assert not is_content
    whose = f"txn_4 of order {orders[0].id}, step extra"
    assert lines[:-1] == [f"provider: {whose} moved 500 cents (captured {intent.id}) and is in no ledger"]


def test_a_second_charge_for_the_same_step_is_found(orders, provider):
    (paid,) = [m for m in provider.moved if m.reference.order_id == orders[0].id]
    provider.moved.append(replace(paid, id="txn_again", source="pi_again"))
    lines, is_content = check()
    assert not is_content
    assert len(lines) == 2
    assert "txn_again" in lines[0]
    assert f"Not explained: {paid.cents} cents in 1 places." in lines[-1]


def test_what_we_booked_and_the_provider_never_took_is_found(orders, provider):
    order = orders[2]
    (payment,) = payments.payments(customer_id=order.customer_id, order_id=order.id)
    provider.moved = [m for m in provider.moved if m.source != payment.intent_id]
    provider.intents[payment.intent_id] = replace(provider.intents[payment.intent_id], received_cents=0)
    lines, is_content = check()
    total = cents_of(order)
    assert not is_content
    assert lines[:-1] == [
        f"order {order.id}: {total} cents captured (estimate 1) are booked, the provider says 0",
    ]


def test_a_capture_of_this_minute_may_still_be_on_its_way(orders, provider):
    customer_id, order_id = orders[0].customer_id, orders[0].id
    with sharding.atomic(sharding.home("customer", customer_id)):
        ledger_services.book_capture(
            customer_id=customer_id,
            order_id=order_id,
            step="extra",
            version=1,
            amount=Money(5),
            now=MORNING + timedelta(minutes=59, seconds=30),
        )
    lines, _ = check()
    assert not [line for line in lines if "extra" in line]


def test_it_compares_with_the_sandbox_over_http_too(sandbox):
    order = bring_to(make_placed_order(), "delivered")
    outbox.drain()
    # The sandbox goes by the clock on the wall; an order of 2026 was captured there long ago, or will be.
    with clock.shifted_to(clock.now().replace(year=2099)):
        out = StringIO()
        call_command("ledger", "check", stdout=out)
    assert f"At the provider 1 movements, {cents_of(order)} cents. Not explained: 0 cents" in out.getvalue()


def test_a_tip_in_a_shoppers_earnings_that_no_order_passed_on_is_found(orders):
    order = orders[0]
    shopper = make_shopper(1, online=False)
    earned = {"shopper_id": shopper, "batch_id": 1, "order_id": order.id, "kind": "tip"}
    shoppers.earn(**earned, amount=Money(300), now=MORNING)
    assert check("--no-provider")[1]
    forge(order, PLANTED["a tip that stays"][0].format(id=order.id))
    lines, is_content = check("--no-provider")
    assert not is_content
    assert f"shopper {shopper}: 300 cents of tip of order {order.id} in the earnings, 0 in the ledger" in lines
