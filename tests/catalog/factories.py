"""``make_item(store_id)`` for any test that sells something."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from apps.catalog import selectors, services
from apps.catalog.types import FeedItem, Item
from apps.inventory import services as inventory

_numbers = itertools.count(1)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def make_item(
    store_id: int,
    *,
    price_cents: int = 250,
    on_hand: Decimal | int | str | None = 40,
    cost_unit: str = "each",
    **fields: Any,
) -> Item:
    """An item of the store with stock (None: never counted); ``fields`` are those of ``FeedItem``."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "lookup_code": f"test-{number:06}",
        "name": f"Item {number}",
        "department": "Pantry",
        "aisle": "Aisle 1",
        "tax_category": "grocery",
    }
    item = FeedItem(price_cents=price_cents, cost_unit=cost_unit, **(values | fields))
    item_id = services.put_item(store_id=store_id, item=item, now=NOW)
    if on_hand is not None:
        inventory.set_on_hand(store_id=store_id, quantities={item_id: Decimal(on_hand)}, reason="test", now=NOW)
    return selectors.items_by_id(store_id=store_id, item_ids=[item_id])[item_id]
