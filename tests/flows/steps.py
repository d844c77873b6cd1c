"""The steps of one order, from the cart to the door, and a market to take them in."""

from collections.abc import Callable, Mapping
from typing import Any

import sharding
from apps.common import outbox
from apps.stores import selectors as stores
from tests.flows.people import Customer, Shopper
from tests.orders.factories import BANANAS, BEER, MILK, Market, make_market

ORDERED = {BANANAS: "2.5", MILK: "2", BEER: "1"}
OUTCOMES: Mapping[str, Mapping[str, str]] = {
    "Bananas": {"status": "found", "quantity": "2.75"},
    "Whole milk": {"status": "found", "quantity": "1"},
    "Root beer, 6 bottles": {"status": "to_refund", "reason": "wrong_price"},
}
"""Bananas are heavier than ordered, of two milks one is left, the root beer costs more on the shelf."""

Between = Callable[[], object]


def market_on(shard: str) -> Market:
    """A market whose store's rows live on ``shard``."""
    return next(market for market in iter(make_market, None) if sharding.alias_for("store", market.store_id) == shard)


def zone_of(store_id: int) -> int:
    return stores.store(store_id=store_id).zone_id


def buy(customer: Customer, market: Market, **changes: Any) -> str:
    """Fill the cart with ``ORDERED`` and place the order; its id. ``changes``: see ``Customer.request``."""
    wanted = {market.item_ids[code]: quantity for code, quantity in ORDERED.items()}
    version = customer.fill_cart(market.store_id, wanted)
    placed = customer.place(customer.request(market.store_id, version, **changes))
    assert (placed["status"], placed["rejectedCode"], placed["actionUrl"]) == ("brand_new", "", None)
    return str(placed["orderId"])


def take_offer(shopper: Shopper) -> Any:
    """Have the zones planned and accept; the offer."""
    offer = shopper.offer()
    shopper.call("post", f"offers/{offer['id']}/accept")
    return offer


def pick(
    shopper: Shopper,
    store_order_id: str,
    *,
    outcomes: Mapping[str, Mapping[str, str]] = OUTCOMES,
    between: Between = outbox.drain,
) -> None:
    """Everything up to the check-out."""
    order = shopper.call("post", f"orders/{store_order_id}/start-picking")
    between()
    assert {line["name"] for line in order["lines"]} == outcomes.keys()
    for line in order["lines"]:
        shopper.call("put", f"orders/{store_order_id}/lines/{line['id']}", outcomes[line["name"]])
        between()
    shopper.call("post", f"orders/{store_order_id}/checkout")
    between()


def bring(shopper: Shopper, store_order_id: str, pin: str, *, between: Between = outbox.drain) -> None:
    shopper.call("post", f"orders/{store_order_id}/start-delivery")
    between()
    shopper.call("post", f"orders/{store_order_id}/deliver", {"proof": {"kind": "pin", "pin": pin}})
    between()
