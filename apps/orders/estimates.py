"""A cart as lines to be priced, the same for a preview and for the order made of it."""

from collections.abc import Mapping

from apps.carts.types import Cart
from apps.catalog.types import Item
from apps.pricing.types import PricedLine


def priced(cart: Cart, items: Mapping[int, Item]) -> list[PricedLine]:
    """The cart's lines at the items' prices, leaving out what is not in ``items``; lines count from 1."""
    return [
        PricedLine(
            line_ref=position,
            name=line.name,
            quantity=line.quantity,
            unit_price=items[line.item_id].price,
            tax_category=items[line.item_id].tax_category,
            deposit=items[line.item_id].deposit,
        )
        for position, line in enumerate(cart.lines, start=1)
        if line.item_id in items
    ]
