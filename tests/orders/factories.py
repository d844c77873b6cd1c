"""A market to order in, built through the services: a store with goods and windows, customers with cards and carts.

Other apps' tests take an order from here that went through everything, ``make_placed_order()``, and the
fixture ``provider`` of this folder's conftest, which plays the payment provider.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import sharding
from apps.accounts import services as accounts
from apps.accounts.types import AddressInput
from apps.carts import selectors as carts
from apps.carts import services as cart_services
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common import outbox
from apps.common.geo import Point
from apps.common.money import Money
from apps.inventory import services as inventory
from apps.orders import selectors, services
from apps.orders.types import Order, PickedLine, Placed
from apps.payments import services as payments
from apps.slots import selectors as slots
from apps.slots import services as slot_services
from tests.stores.factories import COLUMBUS, make_store

MORNING = datetime(2026, 3, 2, 15, tzinfo=UTC)
"""A Monday, ten o'clock in Columbus."""
PASSWORD = "seven-ripe-bananas-42"
PAYS, DECLINES, ASKS = "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"
"""Cards by what their bank answers; see ``apps.payments.fake``."""
BANANAS, MILK, BEER = "4011", "milk", "beer"
_number = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One store with three items: bananas by the pound, milk by the piece, beer with a deposit."""

    store_id: int
    item_ids: Mapping[str, int]
    window_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    id: int
    address_id: int
    card_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Everything ``place`` asks for."""

    market: Market
    customer: Customer
    cart_version: int

    def place(self, *, now: datetime = MORNING, key: str = "", **changes: object) -> Placed:
        request: dict[str, object] = {
            "customer_id": self.customer.id,
            "store_id": self.market.store_id,
            "cart_version": self.cart_version,
            "window_id": self.market.window_ids[0],
            "address_id": self.customer.address_id,
            "card_id": self.customer.card_id,
            "tip": Money(300),
            "idempotency_key": key,
            "now": now,
        }
        return services.place(**{**request, **changes})  # type: ignore[arg-type]


def make_market(*, now: datetime = MORNING, stock: Mapping[str, str] | None = None) -> Market:
    """Stock defaults to plenty; the first window opens after ``now`` and is a scheduled one."""
    store_id = make_store(minimum_basket_cents=500).id
    goods = [
        FeedItem(
            lookup_code=BANANAS,
            name="Bananas",
            price_cents=59,
            cost_unit="lb",
            department="Produce",
            aisle="1",
            rank=1,
            tax_category="grocery",
        ),
        FeedItem(
            lookup_code=MILK,
            name="Whole milk",
            price_cents=349,
            department="Dairy",
            aisle="7",
            rank=2,
            tax_category="grocery",
        ),
        FeedItem(
            lookup_code=BEER,
            name="Root beer, 6 bottles",
            price_cents=1099,
            department="Drinks",
            aisle="9",
            rank=3,
            tax_category="general",
            deposit_cents=60,
        ),
    ]
    item_ids = {item.lookup_code: catalog.put_item(store_id=store_id, item=item, now=now) for item in goods}
    set_stock(store_id, item_ids, stock or {BANANAS: "500", MILK: "500", BEER: "500"}, now=now)
    slot_services.open_windows(store_id=store_id, first_day=now.date(), days=2, now=now)
    windows = slots.open_windows(store_id=store_id, now=now, minutes=1)
    scheduled = [window.id for window in windows if window.kind == "scheduled"]
    return Market(store_id=store_id, item_ids=item_ids, window_ids=tuple(scheduled))


def set_stock(store_id: int, item_ids: Mapping[str, int], stock: Mapping[str, str], *, now: datetime) -> None:
    quantities = {item_ids[code]: Decimal(quantity) for code, quantity in stock.items()}
    inventory.set_on_hand(store_id=store_id, quantities=quantities, reason="count", now=now)


def make_customer(*, card: str = PAYS, point: Point = COLUMBUS, now: datetime = MORNING) -> Customer:
    customer_id = accounts.sign_up(
        email=f"customer{next(_number)}@example.com", password=PASSWORD, name="Ada Byron", now=now
    )
    address = AddressInput(
        line1="20 Spring Street",
        city="Columbus",
        state="OH",
        postcode="43215",
        lat=point.lat,
        lng=point.lng,
        instructions="Blue door",
    )
    return Customer(
        id=customer_id,
        address_id=accounts.add_address(customer_id=customer_id, address=address, now=now),
        card_id=payments.add_card(customer_id=customer_id, payment_method=card, now=now),
    )


def fill_cart(customer: Customer, market: Market, quantities: Mapping[str, str] | None = None) -> int:
    """Put goods into the cart (2.5 lb of bananas, 2 milk and 1 beer unless said otherwise); the cart's version."""
    for code, quantity in (quantities or {BANANAS: "2.5", MILK: "2", BEER: "1"}).items():
        cart_services.set_line(
            customer_id=customer.id,
            store_id=market.store_id,
            item_id=market.item_ids[code],
            quantity=Decimal(quantity),
        )
    return carts.cart(customer_id=customer.id, store_id=market.store_id).version


def make_ready(
    *,
    market: Market | None = None,
    customer: Customer | None = None,
    quantities: Mapping[str, str] | None = None,
    now: datetime = MORNING,
) -> Ready:
    market = market or make_market(now=now)
    customer = customer or make_customer(now=now)
    return Ready(market=market, customer=customer, cart_version=fill_cart(customer, market, quantities))


def make_placed_order(
    *,
    market: Market | None = None,
    customer: Customer | None = None,
    quantities: Mapping[str, str] | None = None,
    now: datetime = MORNING,
    drain: bool = True,
) -> Order:
    """A ``brand_new`` order, its events delivered (unless not ``drain``)."""
    placed = make_ready(market=market, customer=customer, quantities=quantities, now=now).place(now=now)
    assert placed.status == "brand_new", placed
    if drain:
        outbox.drain()
    return selectors.order_for_staff(order_id=placed.order_id)


def bring_to(order: Order, status: str, *, now: datetime = MORNING, found: Mapping[int, str] | None = None) -> Order:
    """Take a brand-new order along the usual way up to ``status``; ``found`` by line id, else as ordered."""
    found = found or {}
    for step in ("acknowledged", "picking", "checkout", "delivering", "delivered"):
        now += timedelta(minutes=5)
        if step == "checkout":
            lines = [
                PickedLine(
                    line_id=line.id,
                    status="to_refund" if found.get(line.id) == "0" else "found",
                    found_quantity=Decimal(found.get(line.id, str(line.quantity))),
                )
                for line in order.lines
            ]
            services.finalise(order_id=order.id, now=now, lines=lines)
        else:
            services.transition(order_id=order.id, to=step, actor="shopper:7", now=now)
        if step == status:
            break
    return selectors.order_for_staff(order_id=order.id)


def relay_once() -> None:
    """One round of the relay over every database, as if a day later; failing messages stay for the next."""
    for alias in sharding.all_aliases():
        outbox.relay(using=alias, now=datetime.now(UTC) + timedelta(days=1))
