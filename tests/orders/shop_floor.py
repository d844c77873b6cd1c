"""An order at its store, walked through by its shopper: what the store's events then do to it is the real thing."""

from datetime import datetime, timedelta

from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services
from apps.fulfilment.types import ProofInput, StoreOrder
from apps.orders import models
from apps.orders.types import Order
from apps.payments import models as payment_models
from tests.orders.factories import MORNING
from tests.orders.provider import Provider

SHOPPER = 7
MINUTE = timedelta(minutes=1)


def at_store(order: Order) -> StoreOrder:
    found = fulfilment.of_order(store_id=order.store_id, order_id=order.id)
    assert found is not None
    return found


def take(order: Order, *, now: datetime = MORNING) -> None:
    """A shopper has the order."""
    services.assign(
        store_id=order.store_id, store_order_ids=[at_store(order).id], shopper_id=SHOPPER, now=now + 5 * MINUTE
    )


def pick(order: Order, *, now: datetime = MORNING) -> None:
    """Everything as ordered in the bag."""
    take(order, now=now)
    services.start_picking(**_mine(order), now=now + 10 * MINUTE)
    for line in order.lines:
        services.mark_found(**_mine(order), line_id=line.id, quantity=line.quantity, now=now + 11 * MINUTE)


def pay(order: Order, *, now: datetime = MORNING) -> None:
    """At the till."""
    services.check_out(**_mine(order), now=now + 15 * MINUTE)


def check_out(order: Order, *, now: datetime = MORNING) -> None:
    """Picked and paid, and nothing has been told to the customer's order."""
    pick(order, now=now)
    pay(order, now=now)


def _mine(order: Order) -> dict[str, int]:
    return {"store_order_id": at_store(order).id, "shopper_id": SHOPPER}


def leave(order: Order, *, now: datetime = MORNING) -> None:
    services.start_delivery(store_order_id=at_store(order).id, shopper_id=SHOPPER, now=now + 20 * MINUTE)


def hand_over(order: Order, *, now: datetime = MORNING) -> None:
    services.deliver(
        store_order_id=at_store(order).id,
        shopper_id=SHOPPER,
        proof=ProofInput(kind="pin", pin=order.pin),
        now=now + 25 * MINUTE,
    )


def hold_only(provider: Provider, order_id: int, cents: int) -> None:
    """As if less had been held for the order: its goods come to more than was foreseen."""
    order = models.Order.objects.get(pk=order_id)
    models.Order.objects.filter(pk=order_id).update(authorise_cents=cents)
    held = payment_models.Payment.objects.filter(customer_id=order.customer_id, order_id=order_id, step="estimate")
    held.update(amount_cents=cents)
    for intent in provider.intents_of(order_id):
        provider.amounts[intent.id] = cents
