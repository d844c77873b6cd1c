"""A customer gets back what they paid, by line, by amount or all of it: once, and the books close."""

from decimal import Decimal

import pytest
from django.db import IntegrityError

import sharding
from apps.common import outbox
from apps.common.errors import IdempotencyConflict
from apps.common.money import Money
from apps.ledger import selectors as ledger
from apps.orders import models, selectors, services
from apps.orders.errors import LineNotFound, NotRefundable, OrderNotFound, RefundInvalid
from apps.orders.types import RefundLine
from apps.payments import services as payments
from apps.pricing import services as pricing
from tests.orders.factories import MORNING, bring_to, make_customer, make_market, make_placed_order
from tests.orders.invariants import violations
from tests.orders.snapshots import changed, snapshot
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def order():
    """2.5 lb of bananas for 1.48, 2 milk for 6.98, root beer for 10.99 and 60 cents deposit, 3.00 tip; paid."""
    placed = make_placed_order()
    bring_to(placed, "delivered")
    outbox.drain()
    return selectors.order_for_staff(order_id=placed.id)


def give_back(order, *lines, key="k1", reason="missing", amount=None, **changes):
    given = {"order_id": order.id, "key": key, "reason": reason, "actor": "staff:9", "now": MORNING}
    return services.refund(**{**given, "lines": lines, "amount": amount, **changes})


def bananas(order, quantity="1", **more):
    return RefundLine(line_id=order.lines[0].id, quantity=Decimal(quantity), **more)


def milk(order, quantity="1"):
    return RefundLine(line_id=order.lines[1].id, quantity=Decimal(quantity))


def beer(order, **asked):
    return RefundLine(line_id=order.lines[2].id, **(asked or {"quantity": Decimal(1)}))


def balance(order):
    found = ledger.balance(customer_id=order.customer_id, order_id=order.id).cents
    return {account: cents for account, cents in found.items() if cents}


def now_of(order):
    return selectors.order_for_staff(order_id=order.id)


def test_lines_go_back_with_their_deposit_and_the_money_follows(order, provider):
    before = balance(order)
    made = give_back(order, milk(order), beer(order))
    assert (made.number, made.amount, made.status, made.reason, made.actor) == (
        1, Money(349 + 1099 + 60), "requested", "missing", "staff:9"
    )  # fmt: skip
    assert provider.given_back == {}
    outbox.drain()
    (refund,) = selectors.refunds(order_id=order.id)
    assert refund.status == "paid"
    (intent,) = provider.intents_of(order.id)
    assert provider.returned_cents(intent.id) == 1508
    after = now_of(order)
    assert (after.refunded, after.total, after.captured) == (Money(1508), order.total, order.captured)
    written = [(a.label, a.amount.cents, a.line_id, a.reason, a.actor) for a in after.adjustments if a.kind == "refund"]
    assert written == [
        ("Refund, Whole milk", -349, order.lines[1].id, "missing", "staff:9"),
        ("Refund, Root beer, 6 bottles", -1159, order.lines[2].id, "missing", "staff:9"),
    ]
    assert [event.name for event in after.events][-2:] == ["refunded", "refund_paid"]
    commission = 1448 * 15 // 100  # of goods for 22.45, less than half of it goes back
    assert balance(order) == {
        **before,
        "provider_cash": before["provider_cash"] - 1508,
        "store_payable": before["store_payable"] + 1508 - commission,
        "platform_revenue": before["platform_revenue"] + commission,
    }
    assert violations(provider, store_id=order.store_id) == []


def test_piece_by_piece_no_more_goes_back_than_the_line_cost(order):
    pieces = [give_back(order, bananas(order, "0.5"), key=f"k{n}").amount.cents for n in range(5)]
    assert sum(pieces) == 148
    assert set(pieces) == {30, 28}
    with pytest.raises(NotRefundable):
        give_back(order, bananas(order, "0.5"), key="k9")


def test_the_tax_on_a_line_goes_back_with_it(provider):
    pricing.set_tax_rate(state="OH", tax_category="general", percent=Decimal(10))
    placed = make_placed_order()
    bring_to(placed, "delivered")
    outbox.drain()
    order = now_of(placed)
    assert balance(order)["tax"] == -110
    assert give_back(order, beer(order)).amount == Money(1099 + 60 + 110)
    outbox.drain()
    assert "tax" not in balance(order)
    assert violations(provider, store_id=order.store_id) == []


def test_an_amount_of_a_line_holds_its_deposit(order):
    give_back(order, beer(order, amount=Money(1159)))
    with pytest.raises(NotRefundable):
        give_back(order, beer(order, amount=Money(1)), key="k2")
    outbox.drain()
    assert balance(order).get("customer") is None


def test_goodwill_is_the_platforms_to_pay(order, provider):
    before = balance(order)
    give_back(order, amount=Money(500), reason="late")
    outbox.drain()
    assert balance(order) == {
        **before,
        "provider_cash": before["provider_cash"] - 500,
        "platform_revenue": before["platform_revenue"] + 500,
    }


def test_all_that_is_left_goes_back_and_the_shopper_keeps_the_tip(order, provider):
    give_back(order, milk(order))
    give_back(order, amount=Money(111), reason="goodwill", key="k2")
    rest = give_back(order, key="k3", reason="other")
    assert rest.amount == order.total - Money(349 + 111)
    outbox.drain()
    # The platform paid 1.11 of it, so the store keeps 94 cents: 1.11 less the commission on it.
    assert balance(order) == {"store_payable": -94, "shopper_payable": -300, "platform_revenue": 394}
    assert [refund.status for refund in selectors.refunds(order_id=order.id)] == ["paid"] * 3
    with pytest.raises(NotRefundable):
        give_back(order, key="k4")
    assert violations(provider, store_id=order.store_id) == []


def test_the_same_key_again_is_the_same_refund(order, provider):
    first = give_back(order, milk(order))
    assert give_back(order, milk(order)) == first
    outbox.drain()
    outbox.drain()
    with pytest.raises(IdempotencyConflict):
        give_back(order, milk(order, "2"))
    services.pay_refund(order_id=order.id, number=1, now=MORNING)
    (intent,) = provider.intents_of(order.id)
    assert provider.returned_cents(intent.id) == 349


@pytest.mark.parametrize(
    ("ask", "refusal"),
    [
        (lambda o: give_back(o, bananas(o, "2.6")), RefundInvalid),
        (lambda o: give_back(o, bananas(o, "0")), RefundInvalid),
        (lambda o: give_back(o, bananas(o, "-1")), RefundInvalid),
        (lambda o: give_back(o, bananas(o, "NaN")), RefundInvalid),
        (lambda o: give_back(o, milk(o), milk(o)), RefundInvalid),
        (lambda o: give_back(o, RefundLine(line_id=o.lines[0].id)), RefundInvalid),
        (lambda o: give_back(o, bananas(o, amount=Money(5))), RefundInvalid),
        (lambda o: give_back(o, RefundLine(line_id=5, quantity=Decimal(1))), LineNotFound),
        (lambda o: give_back(o, milk(o), amount=Money(5)), RefundInvalid),
        (lambda o: give_back(o, amount=Money(0)), RefundInvalid),
        (lambda o: give_back(o, amount=Money(-5)), RefundInvalid),
        (lambda o: give_back(o, amount=Money(5, "EUR")), RefundInvalid),
        (lambda o: give_back(o, amount=o.total + Money(1)), NotRefundable),
        (lambda o: give_back(o, beer(o, amount=Money(1160))), NotRefundable),
        (lambda o: give_back(o, milk(o), reason="why not"), RefundInvalid),
        (lambda o: give_back(o, milk(o), order_id=5), OrderNotFound),
    ],
)
def test_what_cannot_be_given_back_is_refused_and_nothing_changes(order, provider, ask, refusal):
    before = snapshot()
    with pytest.raises(refusal):
        ask(order)
    assert changed(before, snapshot()) == set()
    assert provider.given_back == {}


def test_an_order_that_is_not_paid_for_gives_nothing_back():
    placed = make_placed_order()
    with pytest.raises(NotRefundable):
        give_back(placed, amount=Money(1))


def test_of_many_refunds_at_once_the_order_gives_back_no_more_than_it_took(order, provider):
    half = Money(order.total.cents // 2)

    def ask(number):
        try:
            return give_back(order, amount=half, key=f"k{number}").number
        except NotRefundable:
            return 0

    said = answers_at_once(ask, 6)
    assert sorted(said) == [0, 0, 0, 0, 1, 2]
    outbox.drain()
    (intent,) = provider.intents_of(order.id)
    assert provider.returned_cents(intent.id) == 2 * half.cents
    assert violations(provider, store_id=order.store_id) == []


def test_while_the_provider_is_silent_it_waits_and_is_paid_after(order, provider):
    provider.is_down = True
    give_back(order, milk(order))
    outbox.drain()
    assert selectors.refunds(order_id=order.id)[0].status == "requested"
    provider.is_down = False
    later = MORNING.replace(hour=18)
    for alias in sharding.aliases("customer"):
        payments.sweep(using=alias, now=later)
    outbox.drain()
    assert selectors.refunds(order_id=order.id)[0].status == "paid"
    assert violations(provider, store_id=order.store_id) == []


def test_what_was_given_back_by_hand_meanwhile_fails_and_a_person_sees_it(order, provider):
    (intent,) = provider.intents_of(order.id)
    provider.give_back(intent.id, order.total.cents)
    give_back(order, milk(order))
    outbox.drain()
    assert selectors.refunds(order_id=order.id)[0].status == "failed"
    assert [event.name for event in now_of(order).events][-1] == "refund_failed"
    assert violations(provider, store_id=order.store_id) != []


def test_the_database_refuses_a_refund_line_that_adds(order):
    row = models.Order.objects.get(pk=order.id)
    with pytest.raises(IntegrityError, match="orders_refund_lines_below_zero"):
        models.OrderAdjustment.objects.create(
            order=row, customer_id=row.customer_id, kind="refund", label="?", amount_cents=5, phase="refund", actor="x"
        )


def test_orders_of_another_shard_have_their_refunds_there(order):
    market = make_market()
    other = order
    while sharding.alias_of_id("customer", other.id) == sharding.alias_of_id("customer", order.id):
        other = make_placed_order(market=market, customer=make_customer())
    bring_to(other, "delivered")
    outbox.drain()
    give_back(other, amount=Money(100))
    outbox.drain()
    counts = {alias: models.OrderRefund.objects.using(alias).count() for alias in sharding.aliases("customer")}
    assert {alias for alias, count in counts.items() if count} == {sharding.alias_of_id("customer", other.id)}
