"""What happened in the demo before today: orders placed, picked and delivered by the same services as real ones.

Each past day is lived in order with the clock set back: customers order, the planner makes offers,
shoppers accept, pick and deliver, the events are relayed, and the payments sandbox is charged.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
from django.conf import settings

from apps.accounts import selectors as accounts_selectors
from apps.accounts import services as accounts
from apps.accounts.types import AddressInput
from apps.backoffice.demo import city, sayings
from apps.backoffice.demo.people import CUSTOMER, SHOPPERS
from apps.carts import selectors as carts_selectors
from apps.carts import services as carts
from apps.catalog import selectors as catalog
from apps.common import clock, outbox
from apps.common.errors import DomainError
from apps.common.money import Money
from apps.dispatch import selectors as dispatch_selectors
from apps.dispatch import services as dispatch
from apps.fulfilment import selectors as fulfilment_selectors
from apps.fulfilment import services as fulfilment
from apps.fulfilment.types import PickLine, ProofInput, StoreOrder
from apps.inventory import selectors as inventory
from apps.orders import selectors as orders_selectors
from apps.orders import services as orders
from apps.payments import services as payments
from apps.shoppers import services as shoppers
from apps.slots import selectors as slots
from apps.stores import selectors as directory

NEIGHBOURS = (
    "Ada Moss",
    "Ben Okafor",
    "Carla Ruiz",
    "Dmitri Vale",
    "Esther Lund",
    "Farid Aziz",
    "Greta Holm",
    "Hana Sato",
)
ORDERS_A_DAY = 12
TEST_CARD = "pm_card_visa"


@dataclass(frozen=True, slots=True)
class _Neighbour:
    customer_id: int
    address_id: int
    card_id: int


OF_AGE = date(1980, 5, 17)
"""When everybody in the demo was born, as they say at a check-out with beer or wine in it."""


def write(*, count: int, now: datetime) -> int:
    """Bring the demo's history up to ``count`` delivered orders; returns how many were added.

    The one-tap customer and eight neighbours order; a demo that has any history keeps the one it has.
    """
    first = accounts_selectors.user_id_by_email(email=CUSTOMER)
    if first is None or count <= 0 or orders_selectors.orders(customer_id=first, limit=1).orders:
        return 0
    rng = random.Random(20_25)  # noqa: S311 (the same history in every demo)
    days = -(-count // ORDERS_A_DAY)
    city.open_past_windows(days=days + 1, now=now)
    customers = list(_neighbours(first, now=now))
    delivered = 0
    with _everybody_online(), outbox.nudges_together():  # workers live today, and would date the past so
        for day in range(days, 0, -1):
            wanted = min(ORDERS_A_DAY, count - delivered)
            delivered += _one_day(customers, wanted, rng, noon=now - timedelta(days=day))
        sayings.write(customer_ids=[one.customer_id for one in customers], rng=rng, now=now)
    return delivered


@contextmanager
def _everybody_online() -> Iterator[None]:
    yield
    for shopper_id in _shopper_ids():
        shoppers.go_offline(shopper_id=shopper_id)


def _shopper_ids() -> list[int]:
    emails = [f"shopper-{number:02}@demo.example" for number in range(1, SHOPPERS + 1)]
    return [found for email in emails if (found := accounts_selectors.user_id_by_email(email=email))]


def _neighbours(first: int, *, now: datetime) -> Iterator[_Neighbour]:
    people = [(first, accounts_selectors.addresses(customer_id=first)[0].id)]
    for number, name in enumerate(NEIGHBOURS):
        email = f"neighbour-{number + 1}@demo.example"
        customer_id = accounts_selectors.user_id_by_email(email=email) or accounts.sign_up(
            email=email, password=settings.DEMO_PASSWORD, name=name, now=now
        )
        address = AddressInput(
            label="Home",
            line1=f"{10 + 7 * number} {city.STREETS[number % len(city.STREETS)]}",
            line2="",
            city=city.NAME,
            state=city.STATE,
            postcode="43901",
            lat=city.place(400 * number - 1500, 350 * (number % 5) - 700).lat,
            lng=city.place(400 * number - 1500, 350 * (number % 5) - 700).lng,
            instructions="",
        )
        people.append((customer_id, accounts.add_address(customer_id=customer_id, address=address, now=now)))
    for customer_id, address_id in people:
        yield _Neighbour(
            customer_id, address_id, payments.add_card(customer_id=customer_id, payment_method=TEST_CARD, now=now)
        )


def _one_day(customers: list[_Neighbour], wanted: int, rng: random.Random, *, noon: datetime) -> int:
    placed = []
    with clock.shifted_to(noon):
        for n in range(wanted):
            order_id = _order(customers[n % len(customers)], rng, now=noon)
            placed += [order_id] if order_id else []
    _tell(noon)
    shopper_ids = _shopper_ids()
    for round_number in range(4):
        at = noon + timedelta(minutes=10 + 5 * round_number)
        for shopper_id in shopper_ids:
            where = city.place(rng.uniform(-3000, 3000), rng.uniform(-3000, 3000))
            shoppers.go_online(shopper_id=shopper_id, point=where, now=at)
        zone_id = directory.store(store_id=city.store_ids()[0]).zone_id
        with clock.shifted_to(at):
            if not dispatch.plan(zone_id=zone_id, now=at).offers_sent:
                break
        for shopper_id in shopper_ids:
            _work(shopper_id, rng, now=at)
    city.restock(now=noon + timedelta(hours=8))
    return len(placed)


def _order(customer: _Neighbour, rng: random.Random, *, now: datetime) -> int | None:
    """One order of four to nine things, or None when the marketplace had a reason to refuse."""
    store_id = rng.choice(city.store_ids()[:4])
    shelf = catalog.items(store_id=store_id, department=None, limit=48).items
    stocked = inventory.available(store_id=store_id, item_ids=[item.id for item in shelf])
    try:
        for item in rng.sample([item for item in shelf if stocked.get(item.id, 0) > 5], rng.randint(4, 9)):
            quantity = Decimal("1.5") if item.sold_by == "weight" else Decimal(rng.randint(1, 3))
            carts.set_line(customer_id=customer.customer_id, store_id=store_id, item_id=item.id, quantity=quantity)
        cart = carts_selectors.cart(customer_id=customer.customer_id, store_id=store_id)
        window = slots.open_windows(store_id=store_id, now=now, minutes=30)[0]
        placed = orders.place(
            customer_id=customer.customer_id,
            store_id=store_id,
            cart_version=cart.version,
            window_id=window.id,
            address_id=customer.address_id,
            card_id=customer.card_id,
            tip=Money(rng.choice((0, 300, 500))),
            idempotency_key=f"history-{now:%Y%m%d}-{customer.customer_id}-{cart.version}",
            birth_date=OF_AGE,
            now=now,
        )
    except (DomainError, IndexError):
        return None
    return placed.order_id if placed.status == "brand_new" else None


def _work(shopper_id: int, rng: random.Random, *, now: datetime) -> None:
    """Accept what is offered and do it all."""
    for offer in dispatch_selectors.offers_of(shopper_id=shopper_id, now=now):
        dispatch.accept(offer_id=offer.id, shopper_id=shopper_id, now=now + timedelta(seconds=20))
    _tell(now)
    batch = dispatch_selectors.current_batch(shopper_id=shopper_id)
    for entry in batch.orders if batch else ():
        _pick_and_bring(entry.order, shopper_id, rng, now=now)
    _tell(now + timedelta(minutes=50))


def _pick_and_bring(order: StoreOrder, shopper_id: int, rng: random.Random, *, now: datetime) -> None:
    mine: dict[str, Any] = {"store_order_id": order.id, "shopper_id": shopper_id}
    fulfilment.start_picking(**mine, now=now + timedelta(minutes=6))
    for number, line in enumerate(order.lines):
        at = now + timedelta(minutes=8 + 2 * number)
        if rng.random() < 0.04:
            fulfilment.mark_refund(**mine, line_id=line.id, reason="out_of_stock", now=at)
            continue
        off = Decimal(rng.randint(-60, 90)) / 1000 if line.sold_by == "weight" else Decimal(0)
        fulfilment.mark_found(**mine, line_id=line.id, quantity=line.quantity * (1 + off), now=at)
    fulfilment.check_out(**mine, now=now + timedelta(minutes=30))
    total_cents = sum(line.unit_price.times(line.found_quantity).cents for line in _picked(order, shopper_id))
    if total_cents:
        fulfilment.enter_receipt(**mine, total_cents=total_cents, attempt=1, now=now + timedelta(minutes=32))
        fulfilment.count_bags(**mine, count=1 + len(order.lines) // 4, now=now + timedelta(minutes=33))
    fulfilment.start_delivery(**mine, now=now + timedelta(minutes=35))
    pin = orders_selectors.order_for_staff(order_id=order.order_id).pin
    fulfilment.deliver(**mine, proof=ProofInput(kind="pin", pin=pin), now=now + timedelta(minutes=50))


def _picked(order: StoreOrder, shopper_id: int) -> tuple[PickLine, ...]:
    return fulfilment_selectors.store_order(store_order_id=order.id, shopper_id=shopper_id).lines


def _tell(moment: datetime) -> None:
    """Relay every event as if it were ``moment``."""
    with clock.shifted_to(moment):
        outbox.drain()


def sandbox_is_up() -> bool:
    """Whether the payments sandbox answers; history needs it, for every order is really charged there."""
    try:
        return httpx.get(f"{settings.STRIPE_API_BASE}/_sandbox/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
