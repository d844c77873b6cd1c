"""Placing an order: what comes of it, and what is refused without a trace."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.accounts import services as accounts
from apps.accounts.types import AddressInput
from apps.carts import selectors as carts
from apps.catalog import models as catalog_models
from apps.common import outbox
from apps.common.errors import DomainError
from apps.common.money import Money
from apps.orders import models, selectors
from apps.slots import selectors as slots
from apps.stores import services as stores
from tests.orders.factories import (
    BANANAS,
    BEER,
    MILK,
    MORNING,
    fill_cart,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
    set_stock,
)
from tests.orders.holdings import available, fill_window, free_minutes
from tests.orders.snapshots import changed, snapshot

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_cart_becomes_an_order():
    ready = make_ready()
    minutes = free_minutes(ready.market)

    placed = ready.place(key="one")
    assert (placed.status, placed.action_url, placed.rejected_code) == ("brand_new", None, "")
    outbox.drain()

    order = selectors.order(order_id=placed.order_id, customer_id=ready.customer.id)
    assert [(line.name, line.quantity, line.status) for line in order.lines] == [
        ("Bananas", Decimal("2.500"), "not_picked"),
        ("Whole milk", Decimal(2), "not_picked"),
        ("Root beer, 6 bottles", Decimal(1), "not_picked"),
    ]
    assert [(a.kind, a.amount.cents, a.phase) for a in order.adjustments] == [
        ("item", 148, "estimate"),
        ("item", 698, "estimate"),
        ("item", 1099, "estimate"),
        ("fee", 399, "estimate"),
        ("deposit", 60, "estimate"),
        ("tip", 300, "estimate"),
    ]
    assert (order.total, order.authorised, order.captured) == (Money(2704), Money(3500), None)
    assert [(e.sequence, e.name, e.from_status, e.to_status) for e in order.events] == [
        (1, "placed", "", "pending"),
        (2, "brand_new", "pending", "brand_new"),
    ]
    assert order.address is not None
    assert (order.address.name, order.address.line1) == ("Ada Byron", "20 Spring Street")
    assert len(order.pin) == 4
    assert order.pin.isdigit()
    assert available(ready.market) == {BANANAS: Decimal("497.5"), MILK: 498, BEER: 499}
    assert minutes - free_minutes(ready.market) == models.Order.objects.get(pk=order.id).window_minutes > 0
    cart = carts.cart(customer_id=ready.customer.id, store_id=ready.market.store_id)
    assert (cart.lines, cart.version) == ((), ready.cart_version + 1)


def test_personal_data_is_not_readable_in_the_row():
    order = make_placed_order()
    row = models.Order.objects.filter(pk=order.id).values().get()
    stored = b" ".join(bytes(value) for value in row.values() if isinstance(value, (bytes, memoryview)))
    assert b"Spring" not in stored
    assert order.pin.encode() not in bytes(row["pin_encrypted"])
    assert not any("Spring" in str(value) for value in row.values())


def test_throwing_the_key_away_leaves_an_order_without_its_person():
    order = make_placed_order()
    models.Order.objects.filter(pk=order.id).update(data_key=None)
    left = selectors.order_for_staff(order_id=order.id)
    assert (left.address, left.pin, left.total) == (None, "", order.total)
    with pytest.raises(DomainError) as refusal:
        selectors.drop_off(order_id=order.id)
    assert refusal.value.code == "order_not_found"


def test_the_same_request_again_is_the_same_order():
    ready = make_ready()
    first = ready.place(key="once")
    before = snapshot()
    again = ready.place(key="once", now=MORNING + timedelta(hours=1))
    assert again == first
    assert changed(before, snapshot()) == set()


def test_the_key_of_one_customer_means_nothing_to_another():
    market = make_market()
    first = make_ready(market=market).place(key="k")
    second = make_ready(market=market).place(key="k")
    assert first.order_id != second.order_id


def test_a_key_is_not_used_for_two_orders():
    ready = make_ready()
    ready.place(key="once")
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        ready.place(key="once", tip=Money(301))
    assert refusal.value.code == "idempotency_conflict"
    assert changed(before, snapshot()) == set()


def test_without_a_key_the_cart_makes_one_order():
    ready = make_ready()
    ready.place()
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        ready.place()
    assert refusal.value.code == "cart_stale"
    assert changed(before, snapshot()) == set()


def foreign_window(ready):
    return {"window_id": make_market().window_ids[0]}


def cut_off(ready):
    window = slots.window(store_id=ready.market.store_id, window_id=ready.market.window_ids[0])
    return {"now": window.cutoff_at}


def immediate_window_that_has_not_begun(ready):
    later = MORNING + timedelta(hours=3)
    windows = slots.open_windows(store_id=ready.market.store_id, now=later, minutes=1)
    return {
        "window_id": next(window.id for window in windows if window.kind == "immediate" and window.starts_at > MORNING)
    }


def full_window(ready):
    window = slots.window(store_id=ready.market.store_id, window_id=ready.market.window_ids[0])
    fill_window(ready.market, window.free_minutes - 5)
    return {}


def address_out_of_area(ready):
    address = AddressInput(line1="1 Far Road", city="Cleveland", state="OH", postcode="44101", lat=41.5, lng=-81.7)
    return {"address_id": accounts.add_address(customer_id=ready.customer.id, address=address, now=MORNING)}


def changed_cart(ready):
    fill_cart(ready.customer, ready.market, {MILK: "3"})
    return {}


def emptied_cart(ready):
    fill_cart(ready.customer, ready.market, {BANANAS: "0", MILK: "0", BEER: "0"})
    cart = carts.cart(customer_id=ready.customer.id, store_id=ready.market.store_id)
    return {"cart_version": cart.version}


def cart_below_the_minimum(ready):
    version = fill_cart(ready.customer, ready.market, {BANANAS: "1", MILK: "0", BEER: "0"})
    return {"cart_version": version}


def item_given_up(ready):
    catalog_models.Item.objects.filter(store_id=ready.market.store_id, lookup_code=MILK).update(in_assortment=False)
    return {}


def sold_out(ready):
    set_stock(ready.market.store_id, ready.market.item_ids, {MILK: "1"}, now=MORNING)
    return {}


def paused(ready):
    stores.pause(store_id=ready.market.store_id)
    return {}


REFUSED = [
    ("store_not_found", lambda ready: {"store_id": 4_000_000}),
    ("window_not_found", lambda ready: {"window_id": 1}),
    ("window_not_found", foreign_window),
    ("window_closed", cut_off),
    ("window_closed", immediate_window_that_has_not_begun),
    ("window_full", full_window),
    ("address_not_found", lambda ready: {"address_id": 1}),
    ("address_not_found", lambda ready: {"address_id": make_customer().address_id}),
    ("out_of_area", address_out_of_area),
    ("card_not_found", lambda ready: {"card_id": 1}),
    ("card_not_found", lambda ready: {"card_id": make_customer().card_id}),
    ("cart_stale", changed_cart),
    ("cart_stale", lambda ready: {"cart_version": ready.cart_version + 1}),
    ("cart_empty", emptied_cart),
    ("below_minimum", cart_below_the_minimum),
    ("items_unavailable", item_given_up),
    ("out_of_stock", sold_out),
    ("store_paused", paused),
    ("tip_invalid", lambda ready: {"tip": Money(-1)}),
    ("tip_invalid", lambda ready: {"tip": Money(50_001)}),
    ("tip_invalid", lambda ready: {"tip": Money(100, "CAD")}),
    ("idempotency_key_missing", lambda ready: {"idempotency_key": "x" * 81}),
]


@pytest.mark.parametrize(("code", "spoil"), REFUSED, ids=[f"{n}-{code}" for n, (code, _) in enumerate(REFUSED)])
def test_what_cannot_be_ordered_leaves_nothing_behind(code, spoil):
    ready = make_ready()
    changes = spoil(ready)
    outbox.drain()
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        ready.place(**changes)
    assert refusal.value.code == code
    outbox.drain()
    assert changed(before, snapshot()) == set()
