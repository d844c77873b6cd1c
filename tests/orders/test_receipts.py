"""What a receipt says: every line and charge, to the cent, and nothing where the cents do not fit."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections

import sharding
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common import clock, outbox
from apps.common.money import Money
from apps.orders import models, receipts, selectors, services
from apps.orders.errors import OrderNotFound, ReceiptInconsistent, ReceiptNotReady
from apps.orders.types import RefundLine
from apps.pricing import services as pricing
from tests.orders.factories import (
    BEER,
    MILK,
    MORNING,
    bring_to,
    make_customer,
    make_market,
    make_placed_order,
)
from tests.queries import counted

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def receipt_of(order):
    return selectors.receipt(order_id=order.id, customer_id=order.customer_id)


def line_ids(order):
    return {line.name: line.id for line in order.lines}


@pytest.fixture
def delivered():
    """2.25 of 2.5 lb of bananas, both milks, no beer; paid."""
    order = make_placed_order()
    ids = line_ids(order)
    order = bring_to(order, "delivered", found={ids["Bananas"]: "2.25", ids["Root beer, 6 bottles"]: "0"})
    outbox.drain()
    return order


def test_ordered_delivered_price_why_and_who(delivered):
    receipt = receipt_of(delivered)
    assert [
        (line.name, str(line.ordered), str(line.delivered), line.unit_price.cents, line.amount.cents, line.outcome)
        for line in receipt.lines
    ] == [
        ("Bananas", "2.500", "2.250", 59, 133, "short"),
        ("Whole milk", "2.000", "2.000", 349, 698, "found"),
        ("Root beer, 6 bottles", "1.000", "0", 1099, 0, "refunded"),
    ]
    assert [line.reason for line in receipt.lines] == [
        "found 2.25 of 2.5 lb",
        "found 2 of 2 each",
        "refunded: 0 of 1 each",
    ]
    assert {line.actor for line in receipt.lines} == {"shopper:7"}


def test_lines_and_charges_come_to_what_was_captured(delivered):
    receipt = receipt_of(delivered)
    assert sum(one.amount.cents for one in (*receipt.lines, *receipt.charges)) == receipt.total.cents
    assert receipt.total == receipt.captured == delivered.total
    assert (receipt.outstanding, receipt.refunded, receipt.refunds) == (Money(0), Money(0), ())
    (payment,) = receipt.payments
    assert (payment.step, payment.status, payment.brand, payment.last4) == ("estimate", "captured", "visa", "4242")
    assert (payment.captured, payment.authorised) == (receipt.total, delivered.authorised)
    assert [charge.stage for charge in receipt.charges] == ["fee", "tip"]
    assert receipt.delivered_at == delivered.delivered_at
    assert receipt.address.line1 == "20 Spring Street"


def test_stages_stand_in_their_order_with_rates_and_promotions_as_one():
    market, customer = make_market(), make_customer()
    pricing.set_tax_rate(state="OH", tax_category="general", percent=Decimal("7.5"))
    item = FeedItem(
        lookup_code=MILK,
        name="Whole milk",
        price_cents=349,
        sale_price_cents=299,
        department="Dairy",
        rank=2,
        tax_category="grocery",
    )
    catalog.put_item(store_id=market.store_id, item=item, now=MORNING)
    pricing.add_promotion(label="Ten off", percent=Decimal(10), starts_at=MORNING)
    order = bring_to(make_placed_order(market=market, customer=customer), "delivered")
    outbox.drain()
    receipt = receipt_of(order)
    stages = [charge.stage for charge in receipt.charges]
    assert stages == sorted(stages, key=["sale", "discount", "fee", "deposit", "tax", "surge", "tip"].index)
    assert [(c.label, c.amount.cents, c.line_name) for c in receipt.charges if c.stage == "sale"] == [
        ("Sale, Whole milk", -100, "Whole milk")
    ]
    (promotion,) = [charge for charge in receipt.charges if charge.stage == "discount"]
    parts = [entry.amount.cents for entry in order.adjustments if entry.phase == "final" and entry.label == "Ten off"]
    assert len(parts) == 3
    assert (promotion.amount.cents, promotion.line_name) == (sum(parts), "")
    (tax,) = [charge for charge in receipt.charges if charge.stage == "tax"]
    assert (tax.code, tax.percent, tax.amount) == ("general", Decimal("7.5"), tax.base.times(Decimal("0.075")))
    milk = next(line for line in receipt.lines if line.name == "Whole milk")
    assert (milk.unit_price.cents, milk.amount.cents) == (349, 698)
    assert receipt.captured == receipt.total


def test_refunds_are_listed_with_their_reason_and_do_not_change_the_lines(delivered):
    before = receipt_of(delivered)
    services.refund(
        order_id=delivered.id,
        key="damaged",
        reason="damaged",
        actor="staff:5",
        now=clock.now(),
        lines=[RefundLine(line_id=line_ids(delivered)["Whole milk"], quantity=Decimal(1))],
    )
    on_its_way = receipt_of(delivered)
    assert [(one.amount.cents, one.reason, one.status) for one in on_its_way.refunds] == [(349, "damaged", "requested")]
    outbox.drain()
    after = receipt_of(delivered)
    assert (after.refunded, after.refunds[0].status, after.refunds[0].actor) == (Money(349), "paid", "staff:5")
    assert (after.lines, after.charges, after.total) == (before.lines, before.charges, before.total)
    assert after.payments[0].refunded == Money(349)


def test_a_delivered_order_that_is_not_charged_yet_says_what_is_outstanding(provider):
    order = make_placed_order()
    provider.is_down = True
    order = bring_to(order, "delivered")
    outbox.drain()
    receipt = receipt_of(order)
    assert (receipt.captured, receipt.outstanding) == (Money(0), order.total)


def test_an_order_of_which_nothing_was_found_has_a_receipt_of_nothing():
    order = make_placed_order(quantities={BEER: "1"})
    order = bring_to(order, "delivered", found={order.lines[0].id: "0"})
    outbox.drain()
    receipt = receipt_of(order)
    assert (receipt.total, receipt.captured, receipt.charges) == (Money(0), Money(0), ())
    assert [line.outcome for line in receipt.lines] == ["refunded"]


def test_before_the_delivery_there_is_none():
    order = make_placed_order()
    with pytest.raises(ReceiptNotReady):
        receipt_of(order)
    with pytest.raises(ReceiptNotReady):
        receipt_of(bring_to(order, "delivering"))


def test_nobody_elses_receipt_is_found(delivered):
    stranger = make_customer()
    with pytest.raises(OrderNotFound):
        selectors.receipt(order_id=delivered.id, customer_id=stranger.id)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("UPDATE orders_orderadjustment SET amount_cents = 699", "kind = 'item' AND amount_cents = 698"),
        ("DELETE FROM orders_orderadjustment", "kind = 'tip'"),
        ("UPDATE orders_orderadjustment SET kind = 'gift', amount_cents = 1", "kind = 'fee'"),
    ],
)
def test_what_does_not_add_up_is_not_shown_but_logged(delivered, change, where, caplog):
    with connections[sharding.alias_of_id("customer", delivered.id)].cursor() as cursor:
        cursor.execute(f"{change} WHERE order_id = {delivered.id} AND phase = 'final' AND {where}")
        assert cursor.rowcount == 1
    with pytest.raises(ReceiptInconsistent):
        receipt_of(delivered)
    assert f"orders.receipt_inconsistent {delivered.id} " in caplog.text
    assert "Spring" not in caplog.text


def test_refund_lines_that_do_not_add_up_are_not_shown_either(delivered):
    services.refund(order_id=delivered.id, key="x", reason="late", actor="staff:5", now=clock.now(), amount=Money(100))
    models.OrderAdjustment.objects.filter(order_id=delivered.id, phase="refund").update(amount_cents=-99)
    with pytest.raises(ReceiptInconsistent):
        receipt_of(delivered)


def test_kinds_that_are_new_show_with_their_label(delivered):
    """Of an order whose ledger knows them too: a receipt is made from what is there."""
    order = selectors.order_for_staff(order_id=delivered.id)
    gift = replace(
        next(entry for entry in order.adjustments if entry.phase == "final" and entry.kind == "tip"),
        kind="gift_wrap",
        code="ribbon",
        label="Ribbon",
        amount=Money(250),
    )
    made = receipts.made(
        replace(
            order,
            adjustments=(*order.adjustments, gift),
            lines=tuple(
                replace(line, status="replaced") if line.name == "Whole milk" else line for line in order.lines
            ),
        ),
        sold_cents=order.total.cents + 250,
        tax_percents={},
        refunds=[],
        payments=[],
        cards=[],
    )
    assert (made.charges[-1].stage, made.charges[-1].label, made.charges[-1].amount) == (
        "gift_wrap",
        "Ribbon",
        Money(250),
    )
    assert [line.outcome for line in made.lines] == ["short", "replaced", "refunded"]


def test_eight_queries_however_long_it_is(delivered):
    def asked(order):
        with counted() as queries:
            receipt_of(order)
        return queries.by_alias

    home = sharding.alias_of_id("customer", delivered.id)
    assert asked(delivered) == {home: 8}
    for n in range(3):
        services.refund(
            order_id=delivered.id,
            key=f"r{n}",
            reason="late",
            actor="staff:5",
            now=clock.now() + timedelta(minutes=n),
            amount=Money(10),
        )
    outbox.drain()
    assert asked(delivered) == {home: 8}
