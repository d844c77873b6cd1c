"""Placing an order: what comes of it, and what must not."""

from datetime import timedelta
from decimal import Decimal

import pytest

import sharding
from apps.accounts import services as accounts
from apps.accounts.types import AddressInput
from apps.carts import selectors as carts
from apps.catalog import models as catalog_models
from apps.common import outbox
from apps.common.errors import DomainError
from apps.common.money import Money
from apps.inventory import selectors as inventory
from apps.inventory import services as inventory_services
from apps.orders import models, selectors, services
from apps.orders.services import completing
from apps.payments import services as payments
from apps.slots import selectors as slots
from apps.slots import services as slot_services
from apps.stores import services as stores
from tests.orders.factories import (
    ASKS,
    BANANAS,
    BEER,
    DECLINES,
    MILK,
    MORNING,
    fill_cart,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
    set_stock,
)
from tests.orders.snapshots import changed, snapshot

pytestmark = pytest.mark.django_db(databases="__all__")


def available(market):
    ids = market.item_ids
    found = inventory.available(store_id=market.store_id, item_ids=list(ids.values()))
    return {code: found[item_id] for code, item_id in ids.items()}


def free_minutes(market):
    return slots.window(store_id=market.store_id, window_id=market.window_ids[0]).free_minutes


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
        ("deposit", 60, "estimate"),
        ("fee", 399, "estimate"),
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


def fill_window(market, minutes):
    slot_services.hold(
        store_id=market.store_id,
        window_id=market.window_ids[0],
        order_id=1,
        minutes=minutes,
        expires_at=MORNING + timedelta(days=1),
        now=MORNING,
    )


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


# Rejected on the way


def rejected(ready, placed, code):
    """The order is kept as rejected, and it is all that is left: shelf, window, cart and card are as before."""
    assert (placed.status, placed.rejected_code, placed.action_url) == ("rejected", code, None)
    outbox.drain()
    order = selectors.order(order_id=placed.order_id, customer_id=ready.customer.id)
    assert (order.status, order.rejected_code) == ("rejected", code)
    assert [event.to_status for event in order.events] == ["pending", "rejected"]


def contents(ready):
    cart = carts.cart(customer_id=ready.customer.id, store_id=ready.market.store_id)
    return {(line.item_id, line.quantity, line.note, line.replacement_policy) for line in cart.lines}


BOOKKEEPING = {
    *("orders_order", "orders_orderline", "orders_orderadjustment", "orders_orderevent"),
    *("carts_cart", "carts_cartline", "payments_payment", "common_inboxmessage"),
    *("inventory_reservation", "slots_windowhold"),
}


def test_a_declined_card_leaves_shelf_window_and_cart_as_they_were(provider):
    ready = make_ready(customer=make_customer(card=DECLINES))
    outbox.drain()
    before, cart = snapshot(), contents(ready)
    rejected(ready, ready.place(), "card_declined")
    assert changed(before, snapshot()) <= BOOKKEEPING
    assert contents(ready) == cart
    assert (provider.held_cents, provider.taken_cents) == (0, 0)


def spoiled_between(monkeypatch, spoil):
    """Let something happen after the checks and before the reservation."""
    quantities = completing._quantities

    def late(*order):
        spoil()
        return quantities(*order)

    monkeypatch.setattr(completing, "_quantities", late)


def test_the_last_goods_go_to_somebody_else(monkeypatch, provider):
    ready = make_ready()
    spoiled_between(
        monkeypatch,
        lambda: set_stock(ready.market.store_id, ready.market.item_ids, {MILK: "1"}, now=MORNING),
    )
    minutes, cart = free_minutes(ready.market), contents(ready)
    rejected(ready, ready.place(), "out_of_stock")
    assert available(ready.market) == {BANANAS: 500, MILK: 1, BEER: 500}
    assert (free_minutes(ready.market), contents(ready)) == (minutes, cart)
    assert provider.intents == {}


def test_the_windows_last_minutes_go_to_somebody_else(monkeypatch, provider):
    ready = make_ready()
    minutes = free_minutes(ready.market)
    spoiled_between(monkeypatch, lambda: fill_window(ready.market, minutes - 5))
    cart = contents(ready)
    rejected(ready, ready.place(), "window_full")
    assert available(ready.market) == {BANANAS: 500, MILK: 500, BEER: 500}
    assert (free_minutes(ready.market), contents(ready)) == (5, cart)
    assert provider.intents == {}


# A bank that wants to see the customer, and a provider that does not answer


def sweep(ready, now):
    return services.sweep(using=sharding.alias_for("customer", ready.customer.id), now=now)


def test_the_bank_asks_and_the_customer_answers(provider):
    ready = make_ready(customer=make_customer(card=ASKS))
    placed = ready.place(key="k")
    assert (placed.status, placed.action_url) == ("pending", "https://bank.example/pi_1")
    outbox.drain()
    assert ready.place(key="k") == placed

    provider.answer_bank("pi_1", approve=True)
    done = services.resume(order_id=placed.order_id, now=MORNING + timedelta(minutes=2))
    assert (done.status, done.action_url) == ("brand_new", None)
    assert [intent.status for intent in provider.intents.values()] == ["authorised"]


def test_the_bank_asks_and_the_provider_tells_us(provider):
    ready = make_ready(customer=make_customer(card=ASKS))
    placed = ready.place()
    outbox.drain()
    provider.answer_bank("pi_1", approve=True)
    payments.refresh(customer_id=ready.customer.id, order_id=placed.order_id, step="estimate", now=MORNING)
    outbox.drain()
    assert selectors.order_for_staff(order_id=placed.order_id).status == "brand_new"


def test_the_bank_asks_and_says_no(provider):
    ready = make_ready(customer=make_customer(card=ASKS))
    placed = ready.place()
    provider.answer_bank("pi_1", approve=False)
    rejected(ready, services.resume(order_id=placed.order_id, now=MORNING), "card_declined")
    assert available(ready.market) == {BANANAS: 500, MILK: 500, BEER: 500}


def test_the_bank_asks_and_nobody_answers(provider):
    ready = make_ready(customer=make_customer(card=ASKS))
    placed = ready.place()
    outbox.drain()
    assert sweep(ready, MORNING + timedelta(minutes=9)).advanced == 1
    assert selectors.order_for_staff(order_id=placed.order_id).status == "pending"
    sweep(ready, MORNING + timedelta(minutes=11))
    order = selectors.order_for_staff(order_id=placed.order_id)
    assert (order.status, order.rejected_code) == ("rejected", "payment_not_completed")
    outbox.drain()
    assert available(ready.market) == {BANANAS: 500, MILK: 500, BEER: 500}
    assert [intent.status for intent in provider.intents.values()] == ["canceled"]


def test_an_answer_to_the_bank_that_comes_too_late_holds_nothing(provider):
    ready = make_ready(customer=make_customer(card=ASKS))
    placed = ready.place()
    services.cancel(order_id=placed.order_id, customer_id=ready.customer.id, reason="", now=MORNING)
    provider.answer_bank("pi_1", approve=True)
    outbox.drain()
    services.resume(order_id=placed.order_id, now=MORNING)
    assert selectors.order_for_staff(order_id=placed.order_id).status == "canceled"
    assert provider.held_cents == 0


def test_while_the_provider_is_silent_the_order_waits(provider):
    ready = make_ready()
    provider.is_down = True
    placed = ready.place(key="k")
    assert (placed.status, placed.action_url) == ("payment_pending", None)
    outbox.drain()
    assert sweep(ready, MORNING + timedelta(minutes=1)).advanced == 0
    assert available(ready.market)[MILK] == 498

    provider.is_down = False
    assert sweep(ready, MORNING + timedelta(minutes=2)).advanced == 1
    outbox.drain()
    order = selectors.order_for_staff(order_id=placed.order_id)
    assert [event.to_status for event in order.events] == ["pending", "payment_pending", "brand_new"]
    assert provider.held_cents == order.authorised.cents


def test_a_reservation_that_ran_out_while_waiting_is_made_again(provider):
    ready = make_ready()
    provider.is_down = True
    placed = ready.place()
    later = MORNING + timedelta(minutes=20)
    inventory_services.release_expired(using=sharding.alias_for("store", ready.market.store_id), now=later)
    slot_services.release_expired(using=sharding.alias_for("store", ready.market.store_id), now=later)
    assert available(ready.market)[MILK] == 500

    provider.is_down = False
    sweep(ready, later)
    outbox.drain()
    assert selectors.order_for_staff(order_id=placed.order_id).status == "brand_new"
    assert available(ready.market)[MILK] == 498


def test_a_silence_that_outlasts_the_cut_off_ends_the_order(provider):
    ready = make_ready()
    provider.is_down = True
    placed = ready.place()
    cutoff = slots.window(store_id=ready.market.store_id, window_id=ready.market.window_ids[0]).cutoff_at
    sweep(ready, cutoff - timedelta(seconds=1))
    assert selectors.order_for_staff(order_id=placed.order_id).status == "payment_pending"
    sweep(ready, cutoff + timedelta(minutes=1))
    order = selectors.order_for_staff(order_id=placed.order_id)
    assert (order.status, order.rejected_code) == ("rejected", "placement_timed_out")

    provider.is_down = False
    outbox.drain()
    assert available(ready.market) == {BANANAS: 500, MILK: 500, BEER: 500}
    assert provider.held_cents == 0


def test_goods_lost_before_the_confirmation_was_told_cancel_the_order(provider):
    # The relay was down for longer than a reservation holds, and somebody else has bought the milk since.
    ready = make_ready()
    placed = ready.place()
    later = MORNING + timedelta(minutes=20)
    inventory_services.release_expired(using=sharding.alias_for("store", ready.market.store_id), now=later)
    set_stock(ready.market.store_id, ready.market.item_ids, {MILK: "1"}, now=later)
    outbox.drain()
    order = selectors.order_for_staff(order_id=placed.order_id)
    assert (order.status, order.events[-1].data) == ("canceled", {"reason": "out_of_stock"})
    assert available(ready.market) == {BANANAS: 500, MILK: 1, BEER: 500}
    assert provider.held_cents == 0


def test_goods_still_there_when_the_confirmation_is_told_late_are_taken_again():
    ready = make_ready()
    placed = ready.place()
    later = MORNING + timedelta(minutes=20)
    inventory_services.release_expired(using=sharding.alias_for("store", ready.market.store_id), now=later)
    outbox.drain()
    assert selectors.order_for_staff(order_id=placed.order_id).status == "brand_new"
    assert available(ready.market)[MILK] == 498
    inventory_services.release_expired(
        using=sharding.alias_for("store", ready.market.store_id), now=later + timedelta(days=1)
    )
    assert available(ready.market)[MILK] == 498


def test_the_sweeper_names_orders_that_nobody_brings(provider):
    order = make_placed_order()
    using = sharding.alias_of_id("customer", order.id)
    assert services.sweep(using=using, now=order.window_ends_at + timedelta(hours=1)).stuck == ()
    assert services.sweep(using=using, now=order.window_ends_at + timedelta(hours=3)).stuck == (order.id,)


def test_a_sweep_does_not_stop_at_an_order_that_fails(provider, monkeypatch):
    market = make_market()
    customer = make_customer(card=ASKS)
    first = make_ready(market=market, customer=customer).place()
    second = make_ready(market=market, customer=customer).place()
    real = completing._complete

    def broken(order, now):
        if order.pk == first.order_id:
            raise ZeroDivisionError
        real(order, now)

    monkeypatch.setattr(completing, "_complete", broken)
    using = sharding.alias_for("customer", customer.id)
    assert services.sweep(using=using, now=MORNING + timedelta(minutes=5)).advanced == 1
    assert models.Order.objects.get(pk=first.order_id).due_at > MORNING + timedelta(minutes=5)
    assert second.order_id != first.order_id
