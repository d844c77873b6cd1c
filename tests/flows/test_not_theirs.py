"""Other people's things, a shopper's mistakes, and people without a token.

One code, one sentence, and nothing half-done in any database: see ``tests.flows.world``.
"""

import re
from typing import Any

import pytest

from apps.common import outbox
from apps.fulfilment import models as fulfilment
from instacart import invariants
from tests import databases
from tests.flows import people, steps
from tests.flows.people import Refusal, Shopper
from tests.flows.world import BEYOND, NOWHERE, refusal, said_next
from tests.orders.factories import MORNING
from tests.stores.factories import COLUMBUS

pytestmark = pytest.mark.django_db(databases="__all__")


def bare(response: Any) -> tuple[int, str]:
    return response.status_code, re.sub(r'(csrf\w*|X-CSRFToken)["\w =:]*"[\w-]+"', "", response.content.decode())


def test_another_customers_order_and_none_look_alike(world):
    order_id = world.customer.place(world.request())["orderId"]
    outbox.drain()
    stranger = world.stranger
    page = stranger.browser()
    with world.unchanged():
        for query in (people.ORDER, people.CANCEL):
            foreign = refusal(stranger.ask, query, id=order_id)
            assert foreign[0] == "order_not_found"
            assert "Spring" not in foreign[1]
            absent = refusal(stranger.ask, query, id=NOWHERE)
            assert (absent[0], absent[1].replace(NOWHERE, order_id)) == foreign
            assert refusal(stranger.ask, query, id="abc")[0] == "not_found"
        for path, send in (("", page.get), ("live/", page.get), ("cancel/", page.post)):
            foreign = bare(send(f"/orders/{order_id}/{path}"))
            assert foreign[0] == 404
            assert bare(send(f"/orders/{NOWHERE}/{path}")) == foreign
            assert bare(send(f"/orders/{BEYOND}/{path}")) == foreign
    assert world.customer.order(order_id)["status"] == "brand_new"


def test_an_order_that_is_being_shopped_is_not_canceled(world):
    shopper = Shopper(zone_id=steps.zone_of(world.market.store_id), at=COLUMBUS)
    order_id = world.customer.place(world.request())["orderId"]
    outbox.drain()
    steps.take_offer(shopper)
    (order,) = shopper.call("get", "batch")["batch"]["orders"]
    shopper.call("post", f"orders/{order['store_order_id']}/start-picking")
    outbox.drain()
    with world.unchanged():
        code, sentence = refusal(world.customer.ask, people.CANCEL, id=order_id)
        assert code == "too_late_to_cancel"
        assert said_next(world, world.page.post(f"/orders/{order_id}/cancel/")) == sentence


def test_a_shoppers_mistakes(world):
    zone_id = steps.zone_of(world.market.store_id)
    order_id = world.customer.place(world.request())["orderId"]
    outbox.drain()
    shopper = Shopper(zone_id=zone_id, at=COLUMBUS, shard="shopper_0")
    offer = shopper.offer()
    stranger = Shopper(zone_id=zone_id, at=COLUMBUS, shard="shopper_1")
    outbox.drain()

    def no(person: Shopper, verb: str, path: str, body: Any = None) -> tuple[int, str]:
        with pytest.raises(Refusal) as refused:
            person.call(verb, path, body)
        assert re.search(r"[.!]$", refused.value.sentence), refused.value.sentence
        return refused.value.status, refused.value.code

    with world.unchanged():
        for absent in (offer["id"], NOWHERE):
            for answer in ("accept", "decline"):
                assert no(stranger, "post", f"offers/{absent}/{answer}") == (404, "offer_not_found")
        assert no(stranger, "post", f"offers/{BEYOND}/accept") == (404, "not_found")
    accepted = shopper.call("post", f"offers/{offer['id']}/accept")
    outbox.drain()
    with world.unchanged():
        assert shopper.call("post", f"offers/{offer['id']}/accept") == accepted
        assert no(shopper, "post", f"offers/{offer['id']}/decline") == (409, "offer_gone")
    mine = f"orders/{shopper.only_order()['store_order_id']}"
    with world.unchanged():
        assert no(shopper, "post", f"{mine}/checkout") == (409, "wrong_stage")
        assert no(shopper, "post", f"{mine}/start-delivery") == (409, "wrong_stage")
    lines = {line["name"]: line["id"] for line in shopper.call("post", f"{mine}/start-picking")["lines"]}
    outbox.drain()

    bad_lines = [
        ("Bananas", {"status": "found", "quantity": "2.876"}, "found_quantity_invalid"),  # 2.5 lb and 15 % are 2.875
        ("Bananas", {"status": "found", "quantity": "-1"}, "found_quantity_invalid"),
        ("Bananas", {"status": "found", "quantity": "0"}, "found_quantity_invalid"),
        ("Bananas", {"status": "found", "quantity": "1.2345"}, "invalid"),
        ("Whole milk", {"status": "found", "quantity": "3"}, "found_quantity_invalid"),
        ("Whole milk", {"status": "found", "quantity": "1.5"}, "found_quantity_invalid"),
        ("Whole milk", {"status": "found", "quantity": "NaN"}, "invalid"),
        ("Whole milk", {"status": "found"}, "invalid"),
        ("Whole milk", {"status": "gone"}, "invalid"),
    ]
    found = {"status": "found", "quantity": "1"}
    with world.unchanged():
        for name, body, code in bad_lines:
            assert no(shopper, "put", f"{mine}/lines/{lines[name]}", body) == (422, code), body
        for line_id in (NOWHERE, "1"):
            assert no(shopper, "put", f"{mine}/lines/{line_id}", found) == (404, "line_not_found")
        for theirs in (mine, f"orders/{NOWHERE}"):
            assert no(stranger, "get", theirs) == (404, "store_order_not_found")
            assert no(stranger, "put", f"{theirs}/lines/{lines['Bananas']}", found) == (404, "store_order_not_found")
            for step in ("start-picking", "checkout", "start-delivery"):
                assert no(stranger, "post", f"{theirs}/{step}") == (404, "store_order_not_found")
            proof = {"proof": {"kind": "pin", "pin": "1234"}}
            assert no(stranger, "post", f"{theirs}/deliver", proof) == (404, "store_order_not_found")
        assert no(shopper, "post", f"{mine}/checkout") == (409, "lines_open")

    for line_id in lines.values():
        shopper.call("put", f"{mine}/lines/{line_id}", found)
    for step in ("checkout", "start-delivery"):
        shopper.call("post", f"{mine}/{step}")
    outbox.drain()
    pin = world.customer.order(order_id)["pin"]
    before = databases.contents()
    wrong = {"proof": {"kind": "pin", "pin": f"{(int(pin) + 1) % 10_000:04}"}}
    assert no(shopper, "post", f"{mine}/deliver", wrong) == (409, "pin_wrong")
    counted = {("customer_0", "orders_order")}  # how often it was wrong
    assert databases.changed(before, databases.contents()) == counted
    assert fulfilment.StoreOrder.objects.get(pk=int(mine[7:])).status == "delivering"

    steps.bring(shopper, mine[7:], pin)
    with world.unchanged():
        shopper.call("post", f"{mine}/deliver", {"proof": {"kind": "pin", "pin": pin}})
    assert invariants.violations(now=MORNING, intents=invariants.at_provider()) == []


def test_nobody_without_a_token_gets_anywhere(world):
    stranger = people.Client()
    with world.unchanged():
        for query, variables in (
            (people.PLACE, {"i": world.request()}),
            (people.LINE, {"i": {"storeId": "1", "itemId": "1", "quantity": "1"}}),
            (people.ORDERS, {}),
            (people.CART, {"id": "1"}),
            (people.CANCEL, {"id": "1"}),
        ):
            assert refusal(people.graphql, stranger, query, **variables)[0] == "sign_in_required"
        for path in ("/orders/", "/orders/1/", f"/stores/{world.market.store_id}/checkout/"):
            assert stranger.get(path)["Location"].startswith("/sign-in/?next=")
