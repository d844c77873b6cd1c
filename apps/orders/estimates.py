"""A cart as lines to be priced, the same for a preview and for the order made of it."""

from apps.carts.types import Cart
from apps.pricing.types import PricedLine


def priced(cart: Cart) -> list[PricedLine]:
    """The cart's lines at the items' prices, leaving out what the store has given up; lines count from 1."""
    return [
        PricedLine(
            line_ref=position,
            name=line.name,
            quantity=line.quantity,
            unit_price=line.item.price,
            tax_category=line.item.tax_category,
            deposit=line.item.deposit,
        )
        for position, line in enumerate(cart.lines, start=1)
        if line.item is not None
    ]
