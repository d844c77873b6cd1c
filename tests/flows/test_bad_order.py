"""Orders that cannot be placed, or not again, on every edge.

One code, one sentence, and nothing half-done in any database: see ``tests.flows.world``.
"""

import pytest

from apps.catalog import models as catalog
from apps.common import outbox
from apps.common.geo import Point
from apps.slots import models as slots
from apps.stores import services as stores
from instacart import invariants
from tests.flows import people
from tests.flows.world import BEYOND, NOWHERE, alert, refusal, said_next
from tests.orders.factories import BANANAS, MILK, MORNING, set_stock

pytestmark = pytest.mark.django_db(databases="__all__")

CARDIFF = Point(51.48, -3.18)


# How to come by a bad one, the code, the status of the page.


def of_another_store(world):
    return {"windowId": world.customer.window(world.other.store_id)}


def closed(world):
    request = {"windowId": world.customer.window(world.market.store_id)}
    slots.DeliveryWindow.objects.filter(pk=int(request["windowId"])).update(cutoff_at=MORNING)
    return request


def full(world):
    request = {"windowId": world.customer.window(world.market.store_id)}
    slots.DeliveryWindow.objects.filter(pk=int(request["windowId"])).update(capacity_minutes=14)
    return request


def far_away(world):
    return {"addressId": world.customer.add_address(CARDIFF)}


def sold_out(world):
    set_stock(world.market.store_id, world.market.item_ids, {MILK: "1"}, now=MORNING)
    return {}


def given_up(world):
    version = world.customer.fill_cart(world.market.store_id, world.items(**{BANANAS: "12"}))
    catalog.Item.objects.filter(store_id=world.market.store_id, lookup_code=MILK).update(in_assortment=False)
    return {"cartVersion": version}


def paused(world):
    stores.pause(store_id=world.market.store_id)
    return {}


def too_little(world):
    return {"cartVersion": world.customer.fill_cart(world.market.store_id, world.items(**{BANANAS: "0", MILK: "1"}))}


def emptied(world):
    return {"cartVersion": world.customer.fill_cart(world.market.store_id, world.items(**{BANANAS: "0", MILK: "0"}))}


def changed_elsewhere(world):
    world.customer.fill_cart(world.market.store_id, world.items(**{MILK: "3"}))
    return {}


def always(**changes):
    return lambda world: changes


REFUSED = {
    "a window that is not": (always(windowId=NOWHERE), "window_not_found", 404),
    "another store's window": (of_another_store, "window_not_found", 404),
    "an address that is not": (always(addressId=NOWHERE), "address_not_found", 404),
    "another's address": (lambda world: {"addressId": world.stranger.address_id}, "address_not_found", 404),
    "a card that is not": (always(cardId=NOWHERE), "card_not_found", 404),
    "another's card": (lambda world: {"cardId": world.stranger.card_id}, "card_not_found", 404),
    "an id that is none": (always(cardId="abc"), "not_found", 404),
    "an id beyond all numbers": (always(windowId=BEYOND), "not_found", 404),
    "a window that is closed": (closed, "window_closed", 409),
    "a window that is full": (full, "window_full", 409),
    "an address out of the area": (far_away, "out_of_area", 409),
    "an item that is sold out": (sold_out, "out_of_stock", 409),
    "an item that is sold no more": (given_up, "items_unavailable", 409),
    "a store that is paused": (paused, "store_paused", 409),
    "less than the store delivers for": (too_little, "below_minimum", 409),
    "a cart that was changed since": (changed_elsewhere, "cart_stale", 409),
    "a tip below nothing": (always(tipCents=-1), "tip_invalid", 422),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_order_that_cannot_be(world, name):
    prepare, code, status = REFUSED[name]
    request = world.request(**prepare(world))
    with world.unchanged():
        in_app = refusal(world.customer.place, request)
        on_page = world.check_out(request)
    assert in_app[0] == code
    assert (on_page.status_code, alert(on_page)) == (status, in_app)


def test_what_is_anothers_and_what_is_not_there_read_alike(world):
    for field_, foreign in (
        ("windowId", of_another_store(world)["windowId"]),
        ("addressId", world.stranger.address_id),
        ("cardId", world.stranger.card_id),
    ):
        there = refusal(world.customer.place, world.request(**{field_: foreign}))
        assert refusal(world.customer.place, world.request(**{field_: NOWHERE})) == there


def test_an_empty_cart_is_said_to_be_one(world):
    request = world.request(**emptied(world))
    with world.unchanged():
        code, sentence = refusal(world.customer.place, request)
        on_page = world.check_out(request)
    assert code == "cart_empty"
    assert said_next(world, on_page) == sentence


@pytest.mark.parametrize("key", ["", "x" * 81])
def test_an_app_sends_a_key_that_can_be_kept(world, key):
    with world.unchanged():
        assert refusal(world.customer.place, world.request(idempotencyKey=key))[0] == "idempotency_key_missing"


def test_a_store_that_is_not(world):
    with world.unchanged():
        assert refusal(world.customer.place, world.request(storeId=NOWHERE))[0] == "store_not_found"
        assert refusal(world.customer.ask, people.STORE, id=NOWHERE)[0] == "store_not_found"
        pages = ("", "cart/", "checkout/", f"items/{world.market.item_ids[MILK]}/", "dairy/")
        for store_id in (NOWHERE, BEYOND):
            for page in pages:
                assert world.page.get(f"/stores/{store_id}/{page}").status_code == 404, page
            assert world.page.post(f"/stores/{store_id}/checkout/", {}).status_code == 404
            assert world.page.post(f"/stores/{store_id}/cart/lines/", {"item": "1"}).status_code == 404


# Sending things twice


def test_one_key_is_one_order_from_whichever_edge(world):
    request = world.request()
    first = world.customer.place(request)
    outbox.drain()
    with world.unchanged():
        assert world.customer.place(request) == first
        for _ in range(2):
            again = world.check_out(request)
            assert (again.status_code, again["Location"]) == (302, f"/orders/{first['orderId']}/")
    with world.unchanged():
        other = request | {"tipCents": 999}
        code, sentence = refusal(world.customer.place, other)
        assert code == "idempotency_conflict"
        assert said_next(world, world.check_out(other)) == sentence
    assert len(world.bank.objects("payment_intent")) == 1
    intents = invariants.at_provider()
    assert invariants.violations(now=MORNING, intents=intents, acknowledged=[int(first["orderId"])]) == []


def test_the_old_cart_under_a_new_key_is_stale(world):
    request = world.request()
    world.customer.place(request)
    outbox.drain()
    again = request | {"idempotencyKey": "another"}
    with world.unchanged():
        code, sentence = refusal(world.customer.place, again)
        assert code == "cart_stale"
        assert said_next(world, world.check_out(again)) == sentence
