"""Quantities, goods, words, numbers, places and signatures that cannot be meant, on every edge.

One code, one sentence, and nothing half-done in any database: see ``tests.flows.world``.
"""

import pytest

from tests.flows import people
from tests.flows.people import Refusal
from tests.flows.world import BEYOND, NOWHERE, alert, refusal, said_next
from tests.orders.factories import BANANAS, MILK

pytestmark = pytest.mark.django_db(databases="__all__")


# The cart


BAD_QUANTITIES = [
    (MILK, "-1", "quantity_out_of_range"),
    (MILK, "1000000", "quantity_out_of_range"),
    (MILK, "1.5", "quantity_not_whole"),
    (MILK, "NaN", "quantity_out_of_range"),
    (MILK, "Infinity", "quantity_out_of_range"),
    (MILK, "1e400", "quantity_out_of_range"),
    (BANANAS, "-0.5", "quantity_out_of_range"),
    (BANANAS, "1.2345", "quantity_out_of_range"),
    (BANANAS, "5000.5", "quantity_out_of_range"),
]


def test_quantities_that_cannot_be(world):
    store_id = world.market.store_id
    for code, quantity, refused in BAD_QUANTITIES:
        item_id = world.market.item_ids[code]
        with world.unchanged():
            in_app = refusal(world.customer.set_line, store_id, item_id, quantity)
            form = {"item": item_id, "quantity": quantity}
            swapped = world.page.post(f"/stores/{store_id}/cart/lines/", form, headers={"HX-Request": "true"})
            plain = world.page.post(f"/stores/{store_id}/cart/lines/", form)
        assert in_app[0] == refused, quantity
        assert (swapped.status_code, alert(swapped)) == (200, in_app)
        assert said_next(world, plain) == in_app[1]


def test_things_the_store_does_not_sell(world):
    store_id, path = world.market.store_id, f"/stores/{world.market.store_id}/cart/lines/"
    with world.unchanged():
        answers = {
            refusal(world.customer.set_line, store_id, item_id, "1")
            for item_id in (NOWHERE, "1", world.other.item_ids[MILK])
        }
        assert answers == {("not_sold_here", "This store does not sell that.")}
        for item_id in (BEYOND, "-1", "abc", ""):
            assert refusal(world.customer.set_line, store_id, item_id, "1")[0] == "not_found"
        for item_id in (NOWHERE, "1", world.other.item_ids[MILK], BEYOND, "-1", "abc", ""):
            form = {"item": item_id, "quantity": "1"}
            assert world.page.post(path, form, headers={"HX-Request": "true"}).status_code == 404, item_id
        for item_id in (NOWHERE, "1", world.other.item_ids[MILK]):
            plain = world.page.post(path, {"item": item_id, "quantity": "1"})
            assert said_next(world, plain) == "This store does not sell that."
            assert world.page.get(f"/stores/{store_id}/items/{item_id}/").status_code == 404


# Words, and where they go


UNPRINTABLE = ("a\x00b", "\x1b[31m")


def test_notes_that_no_database_keeps(world):
    store_id, item_id = world.market.store_id, world.market.item_ids[MILK]
    path = f"/stores/{store_id}/cart/lines/"
    for note in UNPRINTABLE:
        line = {"storeId": str(store_id), "itemId": str(item_id), "quantity": "1", "note": note}
        with world.unchanged():
            in_app = refusal(world.customer.ask, people.LINE, i=line)
            form = {"item": item_id, "quantity": "1", "note": note}
            on_page = world.page.post(path, form, headers={"HX-Request": "true"})
        assert in_app == ("note_unprintable", "A note has no control characters.")
        assert alert(on_page) == in_app
    lone_surrogate = {"storeId": str(store_id), "itemId": str(item_id), "quantity": "1", "note": "\ud800"}
    with world.unchanged():
        assert refusal(world.customer.ask, people.LINE, i=lone_surrogate)[0] == "note_unprintable"


def test_words_that_no_database_takes(world):
    browser = people.Client()
    sign_up = {"email": "lone@example.org", "name": "Ada", "password": "seven-ripe-bananas-\ud800"}
    with world.unchanged():
        found = world.customer.ask(people.ITEMS, id=str(world.market.store_id), text="\ud800\x00milk")
        assert [item["lookupCode"] for item in found["store"]["items"]["nodes"]] == [MILK]
        assert refusal(people.graphql, browser, people.SIGN_UP, i=sign_up)[0] == "password_too_weak"
        asked = {"client_id": "\x00", "response_type": "code"}
        assert world.page.get("/oauth/authorize/", asked).status_code == 400
        form = {"grant_type": "authorization_code", "redirect_uri": "x", "code_verifier": "y"}
        for client_id, code in (("\x00", "a"), ("customer-app", "\x00")):
            answer = browser.post("/oauth/token/", form | {"client_id": client_id, "code": code})
            assert answer.status_code in (400, 401)


def test_what_is_not_of_its_type_is_the_askers_mistake(world):
    with world.unchanged():
        for quantity in ("abc", "", "1,5"):
            with pytest.raises(Refusal) as refused:
                world.customer.set_line(world.market.store_id, world.market.item_ids[MILK], quantity)
            assert (refused.value.status, refused.value.code) == (400, "query_invalid")
        for changes in ({"tipCents": 2**31}, {"cartVersion": "x"}, {"windowId": None}):
            with pytest.raises(Refusal) as refused:
                world.customer.place(world.request(**changes))
            assert (refused.value.status, refused.value.code) == (400, "query_invalid")


def test_places_in_a_list_that_are_none(world):
    store_id = world.market.store_id
    with world.unchanged():
        for cursor in ("zzz", "%00", "1%3B+DROP", "9" * 30):
            assert world.page.get(f"/stores/{store_id}/?after={cursor}").status_code == 404, cursor
        for cursor in ("zzz", "%00", "9" * 30):
            assert world.page.get(f"/orders/?after={cursor}").status_code == 404, cursor
        after = 'query ($id: ID!) { store(id: $id) { items(after: "zzz") { nodes { id } } } }'
        assert refusal(world.customer.ask, after, id=str(store_id))[0] == "cursor_invalid"
        assert refusal(world.customer.ask, '{ orders(after: "zzz") { nodes { id } } }')[0] == "not_found"


@pytest.mark.parametrize("tip", [50_001, 10**9, 10**17])
def test_a_tip_beyond_all_thanks(world, tip):
    with world.unchanged():
        on_page = world.check_out(world.request(tipCents=tip))
        assert world.page.get(f"/stores/{world.market.store_id}/checkout/?tip={tip}").status_code == 200
    assert (on_page.status_code, alert(on_page)[0]) == (422, "tip_invalid")


def test_word_that_is_not_the_providers(world):
    signed = ("", "t=1,v1=a", "t=1,v1=\u00e9", "\u00e9", "t=x,v1=" + "0" * 64)
    with world.unchanged():
        for signature in signed:
            answer = people.Client().post(
                "/webhooks/stripe/", b"{}", content_type="application/json", headers={"Stripe-Signature": signature}
            )
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature"), signature


def test_addresses_that_are_not_on_earth(world):
    good = {"line1": "1 Road", "city": "Columbus", "state": "OH", "postcode": "43215"}
    with world.unchanged():
        for lat, lng in ((91, 0), (0, 181), (-91, 0)):
            typed = good | {"lat": lat, "lng": lng}
            assert refusal(world.customer.ask, people.ADDRESS, i=typed)[0] == "address_invalid"
        empty = good | {"line1": " ", "lat": 39.9, "lng": -82.9}
        assert refusal(world.customer.ask, people.ADDRESS, i=empty)[0] == "address_invalid"
