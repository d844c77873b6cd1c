"""What an order holds or gives back: goods on the shelf, minutes of a window, lines of a cart."""

from datetime import timedelta

from apps.carts import selectors as carts
from apps.inventory import selectors as inventory
from apps.slots import selectors as slots
from apps.slots import services as slot_services
from tests.orders.factories import MORNING


def available(market):
    ids = market.item_ids
    found = inventory.available(store_id=market.store_id, item_ids=list(ids.values()))
    return {code: found[item_id] for code, item_id in ids.items()}


def free_minutes(market):
    return slots.window(store_id=market.store_id, window_id=market.window_ids[0]).free_minutes


def fill_window(market, minutes):
    slot_services.hold(
        store_id=market.store_id,
        window_id=market.window_ids[0],
        order_id=1,
        minutes=minutes,
        expires_at=MORNING + timedelta(days=1),
        now=MORNING,
    )


def contents(ready):
    cart = carts.cart(customer_id=ready.customer.id, store_id=ready.market.store_id)
    return {(line.item_id, line.quantity, line.note, line.replacement_policy) for line in cart.lines}
