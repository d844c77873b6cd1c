"""Orders that were begun: rejected on the way, or waiting for a bank or a silent provider."""

from datetime import timedelta

import pytest

import sharding
from apps.common import outbox
from apps.inventory import services as inventory_services
from apps.orders import models, selectors, services
from apps.orders.services import completing
from apps.payments import services as payments
from apps.slots import selectors as slots
from apps.slots import services as slot_services
from tests.orders.factories import (
    ASKS,
    BANANAS,
    BEER,
    DECLINES,
    MILK,
    MORNING,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
    set_stock,
)
from tests.orders.holdings import available, contents, fill_window, free_minutes
from tests.orders.snapshots import changed, snapshot

pytestmark = pytest.mark.django_db(databases="__all__")


# Rejected on the way


def rejected(ready, placed, code):
    """The order is kept as rejected, and it is all that is left: shelf, window, cart and card are as before."""
    assert (placed.status, placed.rejected_code, placed.action_url) == ("rejected", code, None)
    outbox.drain()
    order = selectors.order(order_id=placed.order_id, customer_id=ready.customer.id)
    assert (order.status, order.rejected_code) == ("rejected", code)
    assert [event.to_status for event in order.events] == ["pending", "rejected"]


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
