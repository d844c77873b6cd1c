from collections.abc import Iterable
from decimal import Decimal

from apps.carts import selectors, services
from apps.carts.types import Cart


def fill_cart(customer_id: int, store_id: int, lines: Iterable[tuple[int, Decimal | int | str]]) -> Cart:
    """The customer's cart at that store with those items: ``(item_id, quantity)``."""
    for item_id, quantity in lines:
        services.set_line(customer_id=customer_id, store_id=store_id, item_id=item_id, quantity=Decimal(quantity))
    return selectors.cart(customer_id=customer_id, store_id=store_id)
