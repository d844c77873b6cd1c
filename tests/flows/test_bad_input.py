"""What cannot be meant, or not now, on every edge: one code, one sentence, and nothing half-done in any database.

Each refusal is looked at from the app (GraphQL, REST) and from the page, and both times with every row of
every database, and everything at the payment provider, compared before and after.
"""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from apps.catalog import models as catalog
from apps.common import outbox
from apps.common.geo import Point
from apps.fulfilment import models as fulfilment
from apps.slots import models as slots
from apps.stores import services as stores
from tests import databases, invariants
from tests.flows import people, steps
from tests.flows.people import DECLINING_CARD, Customer, Refusal, Shopper
from tests.orders.factories import BANANAS, MILK, MORNING, set_stock
from tests.stores.factories import COLUMBUS

pytestmark = pytest.mark.django_db(databases="__all__")

VISIT = {"django_session"}
"""A page may remember what it has to say."""
NOWHERE, BEYOND = "9000000000000000000", str(10**30)
CARDIFF = Point(51.48, -3.18)


@dataclass
class World:
    """A customer with a full cart, and a stranger with everything of their own, at another store."""

    bank: Any
    market: Any = field(init=False)
    customer: Customer = field(init=False)
    version: int = field(init=False)

    def __post_init__(self) -> None:
        self.market, self.other = steps.market_on("store_1"), steps.market_on("store_0")
        self.customer = Customer(self.bank, at=COLUMBUS, shard="customer_0")
        self.version = self.customer.fill_cart(self.market.store_id, self.items(**{BANANAS: "2.5", MILK: "2"}))
        self.page = self.customer.browser()
        outbox.drain()

    @property
    def stranger(self) -> Customer:
        return Customer(self.bank, at=COLUMBUS, shard="customer_1")

    def items(self, **quantities: str) -> dict[int, str]:
        return {self.market.item_ids[code]: quantity for code, quantity in quantities.items()}

    def request(self, **changes: Any) -> dict[str, Any]:
        return self.customer.request(self.market.store_id, self.version, **changes)

    def check_out(self, request: dict[str, Any]) -> Any:
        """The same request as the page sends it."""
        fields = {"cart_version": "cartVersion", "window": "windowId", "address": "addressId", "card": "cardId"}
        fields |= {"tip": "tipCents", "key": "idempotencyKey"}
        form = {name: request[sent] for name, sent in fields.items()}
        return self.page.post(f"/stores/{request['storeId']}/checkout/", form)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing is written in the block, here or at the provider."""
        before, known = databases.contents(), self.bank.objects("payment_intent")
        yield
        assert databases.changed(before, databases.contents(), ignoring=VISIT) == set()
        assert self.bank.objects("payment_intent") == known


@pytest.fixture
def world(bank):
    return World(bank)


def refusal(call: Callable[..., Any], *arguments: Any, **more: Any) -> tuple[str, str]:
    """Code and sentence."""
    with pytest.raises(Refusal) as refused:
        call(*arguments, **more)
    sentence = refused.value.sentence
    assert sentence == sentence.strip()
    assert re.search(r"[.!]$", sentence), f"not a sentence: {sentence}"
    return refused.value.code, sentence


_ALERT = re.compile(r'<p class="errors[^"]*" data-code="(\w+)" role="alert">(.*?)</p>')


def alert(response: Any) -> tuple[str, str]:
    """Code and sentence of a page that refuses."""
    ((code, sentence),) = _ALERT.findall(response.content.decode())
    return code, html.unescape(sentence)


def said_next(world: World, response: Any) -> str:
    """The sentence on the page to which the visitor is sent back."""
    assert response.status_code == 302
    shown = world.page.get(response["Location"]).content.decode()
    (sentence,) = re.findall(r'<p class="notice [^"]*error[^"]*" role="status">(.*?)</p>', shown)
    return html.unescape(sentence)


# Placing an order: how to come by a bad one, the code, the status of the page.


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


# Cards


def test_a_card_that_declines_rejects_the_order_and_nothing_stays_held(world):
    card_id = world.customer.add_card(world.bank, DECLINING_CARD)
    store_id = world.market.store_id
    for key in ("app", "page"):
        request = world.request(cardId=card_id, idempotencyKey=key)
        request["cartVersion"] = world.customer.ask(people.CART, id=str(store_id))["cart"]["version"]
        before = databases.contents()
        if key == "app":
            placed = world.customer.place(request)
            order_id = placed["orderId"]
            assert (placed["status"], placed["rejectedCode"]) == ("rejected", "card_declined")
        else:
            on_page = world.check_out(request)
            assert on_page.status_code == 302
            order_id = re.fullmatch(r"/orders/(\d+)/", on_page["Location"])[1]
            shown = world.page.get(on_page["Location"])
            assert (shown.status_code, b'<p class="notice error">' in shown.content) == (200, True)
        outbox.drain()
        order = world.customer.order(order_id)
        assert (order["status"], order["rejectedCode"]) == ("rejected", "card_declined")
        assert [event["name"] for event in order["events"]] == ["placed", "rejected"]
        estimate = len(order["adjustments"])
        assert databases.grown(before, databases.contents(), ignoring=VISIT) == {
            ("customer_0", "orders_order"): 1,
            ("customer_0", "orders_orderline"): 2,
            ("customer_0", "orders_orderadjustment"): estimate,
            ("customer_0", "orders_orderevent"): 2,
            ("customer_0", "payments_payment"): 1,
            ("store_1", "inventory_reservation"): 2,
            ("store_1", "slots_windowhold"): 1,
        }
        cart = world.customer.ask(people.CART, id=str(store_id))["cart"]
        assert {int(line["itemId"]): line["quantity"] for line in cart["lines"]} == world.items(
            **{BANANAS: "2.500", MILK: "2.000"}
        )
        intents = invariants.sandbox_intents(world.bank)
        assert {intent.status for intent in intents} == {"requires_payment_method"}
        assert invariants.violations(now=MORNING, intents=intents, acknowledged=[int(order_id)]) == []


def test_a_card_that_cannot_be_saved_is_not(world):
    with world.unchanged():
        assert refusal(world.customer.add_card, world.bank, "4000000000000002")[0] == "card_declined"
        for made_up in ("pm_nowhere", "4242424242424242", "", "pm_" + "x" * 200):
            answer = refusal(world.customer.ask, people.CARD, i={"paymentMethod": made_up})
            assert answer == ("card_not_found", "There is no such card.")


def test_anothers_saved_card_cannot_be_saved_again(world):
    stranger = world.stranger
    (theirs,) = (one["id"] for one in world.bank.objects("payment_method") if one["customer"] and _last(world, one))
    assert stranger.id
    with world.unchanged():
        assert refusal(world.customer.ask, people.CARD, i={"paymentMethod": theirs})[0] == "card_not_found"


def _last(world: World, method: Any) -> bool:
    """Whether the payment method belongs to the provider's customer that was made last."""
    return method["customer"] == world.bank.objects("customer")[-1]["id"]


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
    intents = invariants.sandbox_intents(world.bank)
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


# Other people's orders


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
    outbox.drain()
    with world.unchanged():
        code, sentence = refusal(world.customer.ask, people.CANCEL, id=order_id)
        assert code == "too_late_to_cancel"
        assert said_next(world, world.page.post(f"/orders/{order_id}/cancel/")) == sentence


# The shopper


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
    assert invariants.violations(now=MORNING, intents=invariants.sandbox_intents(world.bank)) == []


def test_addresses_that_are_not_on_earth(world):
    good = {"line1": "1 Road", "city": "Columbus", "state": "OH", "postcode": "43215"}
    with world.unchanged():
        for lat, lng in ((91, 0), (0, 181), (-91, 0)):
            typed = good | {"lat": lat, "lng": lng}
            assert refusal(world.customer.ask, people.ADDRESS, i=typed)[0] == "address_invalid"
        empty = good | {"line1": " ", "lat": 39.9, "lng": -82.9}
        assert refusal(world.customer.ask, people.ADDRESS, i=empty)[0] == "address_invalid"


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
