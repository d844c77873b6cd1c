"""Simulated customers: sign up, fill a cart, order, watch, pay what the receipt says."""

import asyncio
import random
import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx

from apps.simulation import clients
from apps.simulation.clients import Refused, Tokens, Unanswered
from apps.simulation.tally import ENDED, Placed, Tally

FIRST_NAMES = ("Ada", "Ben", "Chloe", "Dev", "Elena", "Femi", "Grace", "Hugo", "Ines", "Jonas", "Keiko", "Liam", "Mona")
STREETS = ("Alder Street", "Birch Avenue", "Canal Road", "Dover Lane", "Elm Court")
GOOD_CARD = "4242424242424242"
WATCH_EVERY_S = 1.0
YES_BELOW, ELSE_FROM = 0.75, 0.9
"""Which throws of the dice mean yes to a replacement, and which that something else is wanted; between, no."""
RATED = 0.6
"""Of the deliveries; with stars as people give them."""
STARS = (5, 5, 5, 5, 4, 4, 3, 2)

_STORES = "{ stores { id city state postcode point { lat lng } isPaused } }"
_SIGN_UP = "mutation($i: SignUpInput!) { signUp(input: $i) { userId } }"
_ADDRESS = "mutation($i: AddAddressInput!) { addAddress(input: $i) { address { id } } }"
_SETTINGS = "{ paymentSettings { publishableKey apiBase } }"
_CARD = "mutation($i: AddCardInput!) { addCard(input: $i) { card { id } } }"
_SHELF = """query($id: ID!, $department: String) { store(id: $id) { departments { slug itemCount }
  items(department: $department, first: 40) { nodes { id soldBy priceCents maxInCart } } } }"""
_WINDOWS = "query($id: ID!) { store(id: $id) { windows(lines: 8) { id startsAt } } }"
_LINE = "mutation($i: SetCartLineInput!) { setCartLine(input: $i) { cart { version subtotalCents } } }"
_CART = "query($id: ID!) { cart(storeId: $id) { version subtotalCents lines { itemId isAvailable } } }"
_BIRTH_DATE = "1980-05-17"
"""Of everybody: some carts hold beer."""
_PLACE = "mutation($i: PlaceOrderInput!) { placeOrder(input: $i) { orderId status } }"
_ALTERNATIVES = "query($o: ID!, $l: ID!) { alternatives(orderId: $o, lineId: $l) { itemId } }"
_ANSWER = "mutation($i: AnswerReplacementInput!) { answerReplacement(input: $i) { order { id } } }"
_CHOOSE = "mutation($i: ChooseReplacementInput!) { chooseReplacement(input: $i) { order { id } } }"
_ORDER = """query($id: ID!) { order(id: $id) { status pin capturedCents questions { id lineId }
  adjustments { phase amountCents } events { toStatus } } }"""
_RATE = "mutation($i: RateOrderInput!) { rateOrder(input: $i) { rating { stars } } }"


@dataclass
class Customer:
    """One simulated customer with an account, an address and a card."""

    http: httpx.AsyncClient
    tokens: Tokens
    store_id: str
    address_id: str
    card_id: str
    rng: random.Random
    ignored_share: float = 0
    """Of the questions about replacements: these they do not answer."""

    async def ask(self, query: str, **variables: Any) -> Any:
        return await clients.graphql(self.http, query, self.tokens, **variables)

    async def insist(self, query: str, **variables: Any) -> Any:
        """As ``ask``, through a silence of any length: what became of an order must come out."""
        while True:
            try:
                return await self.ask(query, **variables)
            except (Unanswered, httpx.HTTPError):
                await asyncio.sleep(WATCH_EVERY_S)


async def sign_up(base_url: str, rng: random.Random) -> Customer:
    """A new customer near a store that is open, ready to order."""
    http = clients.client(base_url)
    stores = [store for store in (await clients.graphql(http, _STORES))["stores"] if not store["isPaused"]]
    store = rng.choice(stores)
    email, password = f"sim-{secrets.token_hex(6)}@demo.example", secrets.token_urlsafe(12)
    await clients.graphql(http, _SIGN_UP, i={"email": email, "password": password, "name": rng.choice(FIRST_NAMES)})
    tokens = await clients.sign_in(
        base_url,
        email=email,
        password=password,
        app="customer-app",
        scope="customer",
        redirect=f"{base_url}/oauth/done/",
    )
    address = {
        "label": "Home",
        "line1": f"{rng.randint(1, 400)} {rng.choice(STREETS)}",
        "city": store["city"],
        "state": store["state"],
        "postcode": store["postcode"],
        "lat": store["point"]["lat"] + rng.uniform(-0.012, 0.012),
        "lng": store["point"]["lng"] + rng.uniform(-0.012, 0.012),
    }
    address_id = (await clients.graphql(http, _ADDRESS, tokens, i=address))["addAddress"]["address"]["id"]
    settings = (await clients.graphql(http, _SETTINGS, tokens))["paymentSettings"]
    token = await clients.card_token(settings["apiBase"], settings["publishableKey"], GOOD_CARD)
    card_id = (await clients.graphql(http, _CARD, tokens, i={"paymentMethod": token}))["addCard"]["card"]["id"]
    return Customer(http, tokens, store["id"], address_id, card_id, rng)


async def order_once(customer: Customer, tally: Tally) -> Placed | None:
    """Fill a cart and place it; None when the marketplace refused (counted by code)."""
    rng = customer.rng
    try:
        version = await _fill_cart(customer)
        windows = (await customer.ask(_WINDOWS, id=customer.store_id))["store"]["windows"]
        if not windows:
            raise Refused("no_window", "no delivery window is open")
        placed = await customer.insist(
            _PLACE,
            i={
                "storeId": customer.store_id,
                "cartVersion": version,
                "windowId": rng.choice(windows[:3])["id"],
                "addressId": customer.address_id,
                "cardId": customer.card_id,
                "tipCents": rng.choice((0, 200, 400, 600)),
                "birthDate": _BIRTH_DATE,
                "idempotencyKey": secrets.token_urlsafe(16),
            },
        )
    except Refused as refusal:
        tally.refusals[refusal.code] += 1
        return None
    answer = placed["placeOrder"]
    order = Placed(answer["orderId"], answer["status"], placed_at=time.monotonic())
    tally.orders[order.order_id] = order
    return order


async def watch(customer: Customer, order: Placed) -> None:
    """Look at the order until it has ended and its receipt has been compared with the charge."""
    while not order.is_checked:
        seen = (await customer.insist(_ORDER, id=order.order_id))["order"]
        order.status, order.pin = seen["status"], seen["pin"] or ""
        for question in seen["questions"]:
            if question["id"] not in order.considered:
                order.considered.add(question["id"])
                await _consider(customer, order.order_id, question)
        if order.assigned_at is None and any(event["toStatus"] == "acknowledged" for event in seen["events"]):
            order.assigned_at = time.monotonic()
        if order.status == "delivered" and seen["capturedCents"] is not None:
            receipt = sum(line["amountCents"] for line in seen["adjustments"] if line["phase"] == "final")
            order.difference_cents = receipt - seen["capturedCents"]
            order.delivered_at, order.is_checked = time.monotonic(), True
        elif order.status in ENDED - {"delivered"}:
            order.difference_cents, order.is_checked = seen["capturedCents"] or 0, True
        else:
            await asyncio.sleep(WATCH_EVERY_S)


async def _consider(customer: Customer, order_id: str, question: dict[str, Any]) -> None:
    """Say yes, no or what else to a replacement, or nothing."""
    dice = customer.rng.random()
    if dice < customer.ignored_share:
        return
    try:
        if dice > ELSE_FROM:
            found = await customer.ask(_ALTERNATIVES, o=order_id, l=question["lineId"])
            for other in found["alternatives"][-1:]:
                choice = {"orderId": order_id, "lineId": question["lineId"], "itemId": other["itemId"]}
                await customer.ask(_CHOOSE, i=choice)
                return
        said = {"orderId": order_id, "replacementId": question["id"], "approve": dice < YES_BELOW}
        await customer.ask(_ANSWER, i=said)
    except (Refused, Unanswered, httpx.HTTPError):
        return  # withdrawn or timed out meanwhile, or nobody heard: then what was said when ordering counts


async def live(base_url: str, tally: Tally, rng: random.Random, pause_s: float, ignored_share: float = 0) -> None:
    """One customer's life: order, wait for the door bell, rest, order again."""
    customer = await sign_up(base_url, rng)
    customer.ignored_share = ignored_share
    while tally.claim():
        order = None
        try:
            order = await order_once(customer, tally)
        finally:
            if order is None:
                tally.give_back()
        if order is None:
            await asyncio.sleep(1 + pause_s)
            continue
        await watch(customer, order)
        if order.status == "delivered" and rng.random() < RATED:
            await customer.insist(_RATE, i={"orderId": order.order_id, "stars": rng.choice(STARS)})
        await asyncio.sleep(pause_s * rng.uniform(0.5, 1.5))


async def _fill_cart(customer: Customer) -> int:
    """Three to seven things from two departments, at least $15 of them; returns the cart's version."""
    rng = customer.rng
    departments = (await customer.ask(_SHELF, id=customer.store_id))["store"]["departments"]
    shelf: list[dict[str, Any]] = []
    for department in rng.sample(departments, min(2, len(departments))):
        found = await customer.ask(_SHELF, id=customer.store_id, department=department["slug"])
        shelf += found["store"]["items"]["nodes"]
    rng.shuffle(shelf)
    version, subtotal, wanted = 0, 0, rng.randint(3, 7)
    for taken, item in enumerate(shelf):
        if taken >= wanted and subtotal >= 1500:
            break
        quantity = str(rng.choice((0.5, 1, 1.25, 2))) if item["soldBy"] == "weight" else str(rng.randint(1, 3))
        line = {"storeId": customer.store_id, "itemId": item["id"], "quantity": quantity}
        try:
            cart = (await customer.ask(_LINE, i=line))["setCartLine"]["cart"]
        except Refused:
            continue  # sold out, or more than one may take: choose something else
        version, subtotal = cart["version"], cart["subtotalCents"]
    if not version:
        raise Refused("nothing_to_buy", "no item could be put into the cart")
    return await _without_what_sold_out(customer)


async def _without_what_sold_out(customer: Customer) -> int:
    """Take out what the store ran out of since; returns the cart's version."""
    cart = (await customer.ask(_CART, id=customer.store_id))["cart"]
    version: int = cart["version"]
    for line in cart["lines"]:
        if not line["isAvailable"]:
            gone = {"storeId": customer.store_id, "itemId": line["itemId"], "quantity": "0"}
            version = (await customer.ask(_LINE, i=gone))["setCartLine"]["cart"]["version"]
    return version
