"""A customer and a shopper as their apps are: OAuth, then GraphQL or REST with a bearer token, and nothing else.

Every answer is looked through for ids: those are strings, and no number is larger than JavaScript counts.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.test import Client

import sharding
from apps.common import clock
from apps.common.geo import Point
from apps.dispatch import tasks as dispatch
from apps.shoppers import services as shoppers
from apps.stores import selectors as stores
from tests.accounts.oauth import App
from tests.orders.factories import MORNING, PASSWORD
from tests.payments.fixtures import HTTP, Sandbox

GOOD_CARD, DECLINING_CARD = "4242424242424242", "4000000000000341"
_numbers = count(1)

SIGN_UP = "mutation ($i: SignUpInput!) { signUp(input: $i) { userId } }"
ADDRESS = "mutation ($i: AddAddressInput!) { addAddress(input: $i) { address { id } } }"
SETTINGS = "{ paymentSettings { publishableKey apiBase } }"
CARD = "mutation ($i: AddCardInput!) { addCard(input: $i) { card { id last4 } } }"
LINE = """mutation ($i: SetCartLineInput!) { setCartLine(input: $i) {
  cart { id version subtotalCents lines { itemId name quantity soldBy totalCents isAvailable } } } }"""
STORE = "query ($id: ID!) { store(id: $id) { id name windows { id kind feeCents startsAt } } }"
ITEMS = """query ($id: ID!, $text: String) { store(id: $id) {
  items(text: $text) { nodes { id name lookupCode soldBy costUnit priceCents storeId } } } }"""
CART = "query ($id: ID!) { cart(storeId: $id) { id version lines { itemId quantity } } }"
PLACE = "mutation ($i: PlaceOrderInput!) { placeOrder(input: $i) { orderId status actionUrl rejectedCode } }"
CANCEL = "mutation ($id: ID!) { cancelOrder(input: {orderId: $id}) { order { id status } } }"
ORDER = """query ($id: ID!) { order(id: $id) {
  id storeId status rejectedCode pin totalCents estimateCents authorisedCents capturedCents tipCents
  lines { id itemId name quantity foundQuantity status unitPriceCents }
  adjustments { kind label amountCents phase lineId }
  events { sequence name toStatus } } }"""
ORDERS = "{ orders { nodes { id storeId status totalCents } nextCursor } }"


class Refusal(Exception):
    """What an edge says when it says no."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(f"{status} {code}: {sentence}")
        self.status, self.code, self.sentence = status, code, sentence


def checked(answer: Any, key: str = "") -> Any:
    """``answer``, after a look at every id in it and at the size of every number."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            checked(value, name)
    elif isinstance(answer, list):
        for value in answer:
            checked(value, key)
    elif key == "id" or key.endswith(("_id", "Id", "_ids", "Ids")):
        assert answer is None or isinstance(answer, str), f"{key} is {answer!r}, not a string"
    elif isinstance(answer, int):
        assert abs(answer) <= 2**53, f"{key} is {answer}: more than JavaScript can count"
    return answer


class Person:
    """Somebody with an account, signed in through OAuth. ``shard`` is where their rows of that keyspace shall live."""

    app, keyspace = "customer-app", "customer"

    def __init__(self, *, shard: str | None = None, name: str = "Ada Byron") -> None:
        self.name = name
        while True:
            self.email = f"person{next(_numbers)}@example.org"
            answer = graphql(Client(), SIGN_UP, i={"email": self.email, "password": PASSWORD, "name": name})
            self.id = int(answer["signUp"]["userId"])
            if shard in (None, sharding.alias_for(self.keyspace, self.id)):
                break
        browser = self.browser()
        with clock.shifted_to(datetime.now(UTC)):  # whether a token is over is asked of the real clock
            tokens = App(browser, self.app).tokens()
        self.client = Client(headers={"Authorization": f"Bearer {tokens['access_token']}"})

    def browser(self) -> Client:
        """A browser in which this person is signed in, through the page."""
        browser = Client()
        answer = browser.post("/sign-in/", {"email": self.email, "password": PASSWORD})
        assert answer.status_code == 302, answer.content
        return browser


class Customer(Person):
    def __init__(
        self, bank: Sandbox, *, at: Point, shard: str | None = None, card: str = GOOD_CARD, name: str = "Ada Byron"
    ) -> None:
        super().__init__(shard=shard, name=name)
        self.address_id = self.add_address(at)
        self.card_id = self.add_card(bank, card)

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer's data; raises ``Refusal``."""
        return graphql(self.client, query, **variables)

    def add_address(self, at: Point) -> str:
        typed = {"line1": "20 Spring Street", "city": "Columbus", "state": "OH", "postcode": "43215"}
        made = self.ask(ADDRESS, i=typed | {"lat": at.lat, "lng": at.lng, "instructions": "Blue door"})
        return str(made["addAddress"]["address"]["id"])

    def add_card(self, bank: Sandbox, number: str = GOOD_CARD) -> str:
        """The number goes to the provider, as from its own phone library; we get what it made of it."""
        settings = self.ask(SETTINGS)["paymentSettings"]
        assert settings["apiBase"] == bank.url
        typed = {"type": "card", "card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2040"}
        made = HTTP.post(
            f"{bank.url}/v1/payment_methods",
            data=typed | {"card[cvc]": "123"},
            auth=(settings["publishableKey"] or "pk_test_tests", ""),
        )
        made.raise_for_status()
        card = self.ask(CARD, i={"paymentMethod": made.json()["id"]})["addCard"]["card"]
        assert card["last4"] == number[-4:]
        return str(card["id"])

    def set_line(self, store_id: int, item_id: int | str, quantity: str) -> Any:
        line = {"storeId": str(store_id), "itemId": str(item_id), "quantity": quantity}
        return self.ask(LINE, i=line)["setCartLine"]["cart"]

    def fill_cart(self, store_id: int, quantities: Mapping[int, str]) -> int:
        """The cart's version."""
        return [self.set_line(store_id, item_id, quantity) for item_id, quantity in quantities.items()][-1]["version"]

    def window(self, store_id: int) -> str:
        """The first scheduled window that still takes orders."""
        windows = self.ask(STORE, id=str(store_id))["store"]["windows"]
        return str(next(window["id"] for window in windows if window["kind"] == "scheduled"))

    def request(self, store_id: int, version: int, **changes: Any) -> dict[str, Any]:
        """What ``place`` takes: everything as it should be, but for ``changes``."""
        return {
            "storeId": str(store_id),
            "cartVersion": version,
            "windowId": changes["windowId"] if "windowId" in changes else self.window(store_id),
            "addressId": self.address_id,
            "cardId": self.card_id,
            "tipCents": 300,
            "idempotencyKey": f"key-{self.id}",
        } | changes

    def place(self, request: Mapping[str, Any]) -> Any:
        return self.ask(PLACE, i=request)["placeOrder"]

    def order(self, order_id: str) -> Any:
        return self.ask(ORDER, id=order_id)["order"]


class Shopper(Person):
    app, keyspace = "shopper-app", "shopper"

    def __init__(self, *, zone_id: int, at: Point, shard: str | None = None, name: str = "Grace Hopper") -> None:
        super().__init__(shard=shard, name=name)
        shoppers.register(
            user_id=self.id, name=name, zone_id=zone_id, now=MORNING
        )  # people are hired in the back office
        self.call("post", "online", {"lat": at.lat, "lng": at.lng})

    def call(self, verb: str, path: str, body: Any = None, *, key: str = "") -> Any:
        """The answer; raises ``Refusal``."""
        send: Callable[..., Any] = getattr(self.client, verb)
        sent: dict[str, Any] = {"headers": {"Idempotency-Key": key}} if key else {}
        if verb != "get":
            sent |= {"data": json.dumps(body or {}), "content_type": "application/json"}
        answer = send(f"/api/v1/shopper/{path}", **sent)
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json"
            problem = answer.json()
            assert problem.keys() - {"errors"} == {"type", "title", "status", "code", "detail"}
            assert problem["status"] == answer.status_code
            raise Refusal(answer.status_code, problem["code"], problem["detail"])
        return checked(answer.json()) if answer.content else None

    def offer(self) -> Any:
        """The one offer, after the planner has run."""
        plan_zones()
        (offer,) = self.call("get", "offers")["offers"]
        return offer

    def only_order(self) -> Any:
        (entry,) = self.call("get", "batch")["batch"]["orders"]
        return entry


def graphql(client: Client, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql/", {"query": query, "variables": variables}, content_type="application/json")
    body = checked(answer.json())
    if "errors" in body:
        (error,) = body["errors"]
        raise Refusal(answer.status_code, error.get("extensions", {}).get("code", ""), error["message"])
    assert answer.status_code == 200
    return body["data"]


def plan_zones() -> None:
    """What beat asks of the dispatch workers, zone by zone."""
    for zone in stores.zones():
        dispatch.plan_zone(zone.id)
