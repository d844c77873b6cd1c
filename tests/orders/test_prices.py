"""What an order keeps of its prices: each stage as a money line, and the rates for the final bill."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError

import sharding
from apps.accounts import selectors as accounts
from apps.carts import selectors as carts
from apps.carts import services as cart_services
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common import outbox
from apps.common.money import Money
from apps.orders import models, selectors
from apps.pricing import services as pricing
from apps.slots import selectors as slots
from apps.stores import selectors as stores
from tests.orders.factories import (
    BANANAS,
    BEER,
    DECLINES,
    MILK,
    MORNING,
    Ready,
    bring_to,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
)

pytestmark = pytest.mark.django_db(databases="__all__")


def on_sale(market, cents=279, **when):
    milk = FeedItem(
        lookup_code=MILK,
        name="Whole milk",
        price_cents=349,
        sale_price_cents=cents,
        department="Dairy",
        aisle="7",
        rank=2,
        tax_category="grocery",
        size="1 gal",
        **when,
    )
    catalog.put_item(store_id=market.store_id, item=milk, now=MORNING)


def busy(market, percent="20"):
    zone_id = stores.store(store_id=market.store_id).zone_id
    pricing.set_surge(zone_id=zone_id, percent=Decimal(percent), ends_at=MORNING + timedelta(hours=1))


def charges(order, phase="estimate"):
    return [(a.kind, a.code, a.amount.cents) for a in order.adjustments if a.phase == phase]


def test_every_stage_is_a_line_of_the_order_and_follows_to_the_final_bill():
    market = make_market()
    on_sale(market)
    busy(market)
    pricing.set_fee(code="small_basket", label="Small basket", flat_cents=200, goods_below_cents=2000)
    pricing.set_fee(code="heavy", label="Heavy order", flat_cents=500, grams_above=7_570)
    order = make_placed_order(market=market)
    told = [
        ("item", "item", 148),
        ("item", "item", 698),
        ("item", "item", 1099),
        ("discount", "sale", -140),
        ("fee", "delivery", 399),
        ("fee", "heavy", 500),
        ("fee", "small_basket", 200),
        ("deposit", "deposit", 60),
        ("tip", "tip", 300),
        ("fee", "surge", 220),
    ]
    assert charges(order) == told
    assert order.total == Money(3484)
    pricing.set_fee(code="heavy", label="Heavy order", flat_cents=900)
    busy(market, "30")
    found = bring_to(order, "checkout")
    assert charges(found, "final") == told


def test_a_heavy_item_that_was_out_takes_its_fee_along():
    market = make_market()
    on_sale(market)
    pricing.set_fee(code="small_basket", label="Small basket", flat_cents=200, goods_below_cents=1000)
    pricing.set_fee(code="heavy", label="Heavy order", flat_cents=500, grams_above=7_570)
    order = make_placed_order(market=market)
    _, milk, beer = order.lines
    found = bring_to(order, "checkout", found={milk.id: "1", beer.id: "0"})
    assert charges(found, "final") == [
        ("item", "item", 148),
        ("item", "item", 349),
        ("discount", "sale", -70),
        ("fee", "delivery", 399),
        ("tip", "tip", 300),
        ("item", "item", 0),
    ]


@pytest.mark.parametrize(
    ("when", "cents"),
    [
        ({}, 279),
        ({"sale_starts_at": MORNING + timedelta(hours=1)}, 349),
        ({"sale_ends_at": MORNING - timedelta(minutes=1)}, 349),
        ({"sale_starts_at": MORNING - timedelta(hours=1), "sale_ends_at": MORNING + timedelta(hours=1)}, 279),
    ],
)
def test_a_sale_counts_while_it_lasts(when, cents):
    market = make_market()
    on_sale(market, **when)
    ready = make_ready(market=market, quantities={MILK: "2"})
    (line,) = carts.cart(customer_id=ready.customer.id, store_id=market.store_id).lines
    assert line.item is not None
    assert (line.unit_price, line.total, line.item.list_price) == (Money(cents), Money(2 * cents), Money(349))
    order = selectors.order_for_staff(order_id=ready.place().order_id)
    assert sum(a.amount.cents for a in order.adjustments if a.line_id == order.lines[0].id) == 2 * cents


def test_the_preview_is_the_order_before_it_is_placed():
    market = make_market()
    on_sale(market)
    busy(market)
    pricing.set_fee(
        code="distance", label="Long distance", flat_cents=299, distance_above_m=0, store_id=market.store_id
    )
    ready = make_ready(market=market)
    (address,) = accounts.addresses(customer_id=ready.customer.id)
    preview = selectors.preview(
        customer_id=ready.customer.id,
        cart=carts.cart(customer_id=ready.customer.id, store_id=market.store_id),
        store=stores.store(store_id=market.store_id),
        window=slots.window(store_id=market.store_id, window_id=market.window_ids[0]),
        point=address.point,
        tip=Money(300),
        now=MORNING,
    )
    order = selectors.order_for_staff(order_id=ready.place().order_id)
    assert [(charge.kind, charge.code, charge.amount.cents) for charge in preview.charges] == charges(order)
    assert (preview.total, preview.hold) == (order.total, order.authorised)


def test_the_database_refuses_a_surge_above_its_cap_and_a_discount_that_costs():
    order = make_placed_order(quantities={BANANAS: "2", BEER: "1"})
    alias = sharding.alias_of_id("customer", order.id)
    line = models.OrderAdjustment.objects.filter(order_id=order.id, code="delivery")
    wrong = [
        {"code": "surge"},
        {"code": "surge", "base_cents": 1000, "amount_cents": 301},
        {"code": "surge", "base_cents": 1000, "amount_cents": -1},
        {"kind": "discount", "amount_cents": 1},
    ]
    for columns in wrong:
        with pytest.raises(IntegrityError), sharding.atomic(alias):
            line.update(**columns)
    line.update(code="surge", base_cents=5, amount_cents=2)  # 1.5 cents, rounded as everything is
    with pytest.raises(IntegrityError), sharding.atomic(alias):
        models.Order.objects.filter(pk=order.id).update(surge_percent=Decimal("30.01"))


def test_an_order_keeps_what_was_wished_and_gives_it_back():
    market = make_market()
    bananas = FeedItem(lookup_code=BANANAS, name="Bananas", price_cents=59, cost_unit="lb", par_weight=Decimal("0.4"))
    catalog.put_item(store_id=market.store_id, item=bananas, now=MORNING)
    customer = make_customer(card=DECLINES)
    ids = {"customer_id": customer.id, "store_id": market.store_id}
    wish = {"replacement_policy": "item", "replacement_item_id": market.item_ids[BEER]}
    cart_services.set_line(**ids, item_id=market.item_ids[MILK], quantity=Decimal(2), **wish)
    cart_services.set_line(**ids, item_id=market.item_ids[BANANAS], quantity=Decimal(5), in_pieces=True)
    version = carts.cart(**ids).version
    placed = Ready(market=market, customer=customer, cart_version=version).place()
    assert placed.status == "rejected"
    milk, bananas = selectors.order_for_staff(order_id=placed.order_id).lines
    assert (milk.replacement_item_id, milk.pieces) == (market.item_ids[BEER], None)
    assert (bananas.pieces, bananas.quantity) == (5, Decimal(2))
    outbox.drain()
    kept = {line.name: (line.quantity, line.pieces, line.replacement_item_id) for line in carts.cart(**ids).lines}
    assert kept == {
        "Whole milk": (Decimal(2), None, market.item_ids[BEER]),
        "Bananas": (Decimal(2), 5, None),
    }
