"""Stores with goods and windows, customers with addresses, cards and carts, for benchmarks of ordering."""

import json
import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any

from bench import _market

LINES = 10
DAYS_AHEAD = 2
SHOPPERS = 300_000
"""Of a window: nobody is refused for want of it."""
PLENTY = Decimal(1_000_000)
FILL = """mutation ($input: SetCartLinesInput!) {
  setCartLines(input: $input) { cart { version subtotalCents lines { itemId quantity totalCents isAvailable } } }
}"""
PLACE = """mutation ($input: PlaceOrderInput!) {
  placeOrder(input: $input) { orderId status actionUrl rejectedCode }
}"""


class Refused(RuntimeError):
    """An order that should have been placed was not; the answer is the message."""


@dataclass(frozen=True, slots=True)
class Customer:
    id: int
    address_id: int
    card_id: int
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(slots=True)
class Shop:
    """Several stores and who buys there. One customer orders at one store at a time."""

    goods: dict[int, list[int]]
    """Item ids by store id."""
    windows: dict[int, list[int]]
    customers: list[Customer]
    _store_of: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _chance: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311

    def customer(self) -> Customer:
        """Somebody, for good."""
        with self._lock:
            return self.customers.pop()

    @contextmanager
    def somebody(self) -> Iterator[Customer]:
        customer = self.customer()
        try:
            yield customer
        finally:
            with self._lock:
                self.customers.insert(0, customer)

    def filling(self, customer: Customer) -> bytes:
        store_id = self._store_of[customer.id] = self._chance.choice(list(self.goods))
        chosen = self._chance.sample(self.goods[store_id], LINES)
        lines = [{"itemId": str(item), "quantity": str(self._chance.randint(1, 4))} for item in chosen]
        return _body(FILL, {"storeId": str(store_id), "lines": lines})

    def filled(self, answer: dict[str, Any]) -> int:
        """The cart's version."""
        cart = _data(answer)["setCartLines"]["cart"]
        if len(cart["lines"]) != LINES:
            raise Refused(f"a cart of {len(cart['lines'])} lines")
        return int(cart["version"])

    def placing(self, customer: Customer, version: int) -> bytes:
        store_id = self._store_of[customer.id]
        asked = {
            "storeId": str(store_id),
            "cartVersion": version,
            "windowId": str(self._chance.choice(self.windows[store_id])),
            "addressId": str(customer.address_id),
            "cardId": str(customer.card_id),
            "tipCents": 500,
            "idempotencyKey": str(uuid.uuid4()),
        }
        return _body(PLACE, asked)

    def placed(self, answer: dict[str, Any]) -> int:
        """The order's id."""
        placed = _data(answer)["placeOrder"]
        if placed["status"] != "brand_new":
            raise Refused(str(placed))
        return int(placed["orderId"])

    def rare_item(self, number: int, units: int) -> tuple[int, int]:
        """Some store's, and one of its items of which just so many are there."""
        from apps.inventory import services

        store_id = sorted(self.goods)[number % len(self.goods)]
        item_id = self.goods[store_id][number]
        quantities = {item_id: Decimal(units) + _reserved(store_id, item_id)}
        services.set_on_hand(store_id=store_id, quantities=quantities, reason="count", now=datetime.now(UTC))
        return store_id, item_id

    def alias(self, store_id: int) -> str:
        import sharding

        return sharding.alias_for("store", store_id)


def settle(*, quick: bool) -> Shop:
    """Of all that the benchmark needs: 12 stores with 400 items each and 240 customers; a quarter of it when quick."""
    stores, items, customers = (3, 100, 60) if quick else (12, 400, 240)
    now = datetime.now(UTC)
    places = _market.settle(zones=1, stores=stores, shoppers=0, now=now).stores
    goods, windows = {}, {}
    for place in places:
        goods[place.id] = _goods(place.id, items, now)
        windows[place.id] = _windows(place.id, now)
    return Shop(goods, windows, _customers(customers, now))


def _goods(store_id: int, count: int, now: datetime) -> list[int]:
    import sharding
    from apps.catalog.services import merging
    from apps.catalog.types import FeedItem
    from apps.inventory import services as inventory
    from apps.stores import selectors as stores

    items = [
        FeedItem(
            lookup_code=f"item-{n}",
            name=f"Thing {n}",
            price_cents=199 + 7 * n % 1_500,
            cost_unit="lb" if n % 8 == 0 else "each",
            department=f"Department {n % 12}",
            aisle=str(n % 20),
            rank=n,
            tax_category="grocery" if n % 5 else "general",
            deposit_cents=10 if n % 11 == 0 else 0,
        )
        for n in range(count)
    ]
    product_ids = merging.product_ids(retailer_id=stores.store(store_id=store_id).retailer_id, items=items)
    with sharding.atomic(sharding.home("store", store_id)):
        merged = merging.merge(store_id=store_id, items=items, product_ids=product_ids, now=now)
    found = list(merged.item_ids.values())
    inventory.set_on_hand(store_id=store_id, quantities=dict.fromkeys(found, PLENTY), reason="count", now=now)
    return found


def _windows(store_id: int, now: datetime) -> list[int]:
    from apps.slots import selectors, services
    from apps.slots.types import Plan
    from apps.stores import services as stores
    from apps.stores.types import OpeningHours

    always = [OpeningHours(weekday=weekday, opens=clock(0), closes=clock(23, 59)) for weekday in range(7)]
    stores.set_hours(store_id=store_id, hours=always)
    plan = Plan(shoppers=SHOPPERS)
    services.open_windows(store_id=store_id, first_day=now.date(), days=1 + DAYS_AHEAD, plan=plan, now=now)
    return [window.id for window in selectors.open_windows(store_id=store_id, now=now, minutes=1)]


def _customers(count: int, now: datetime) -> list[Customer]:
    """They live in the middle of the zone, where every store delivers."""
    from django.test import override_settings

    from apps.accounts import services as accounts
    from apps.accounts.types import AddressInput
    from apps.payments import services as payments
    from apps.pricing import services as pricing
    from apps.stores.models import Zone

    pricing.seed_defaults()
    zone = Zone.objects.get()
    middle = _market.Place(zone.pk, zone.pk, zone.lat, zone.lng)
    chance = random.Random(3)  # noqa: S311
    made = []
    # Nobody attacks their passwords; hashing them as if would take a minute.
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        for n in range(count):
            password = "seven-ripe-bananas-42"  # noqa: S105
            user_id = accounts.sign_up(email=f"buyer{n}@example.com", password=password, name=f"Buyer {n}", now=now)
            accounts.finish_sign_up(user_id=user_id)
            lat, lng = middle.near(1, chance)
            address = AddressInput(
                line1=f"{n} N High St", city="Columbus", state="OH", postcode="43215", lat=lat, lng=lng
            )
            address_id = accounts.add_address(customer_id=user_id, address=address, now=now)
            card_id = payments.add_card(customer_id=user_id, payment_method="pm_card_visa", now=now)
            made.append((user_id, address_id, card_id))
    tokens = _market.tokens([user_id for user_id, *_ in made], now, app="customer-app", scope="customer")
    return [Customer(user_id, address_id, card_id, tokens[user_id]) for user_id, address_id, card_id in made]


def _reserved(store_id: int, item_id: int) -> Decimal:
    from apps.inventory.models import StockLevel

    return StockLevel.objects.get(store_id=store_id, item_id=item_id).reserved


def _body(query: str, given: dict[str, Any]) -> bytes:
    return json.dumps({"query": query, "variables": {"input": given}}).encode()


def _data(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("errors"):
        raise Refused(str(answer["errors"]))
    found: dict[str, Any] = answer["data"]
    return found
