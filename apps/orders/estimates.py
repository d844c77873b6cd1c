"""A cart as lines to be priced, and what they pay on top: the same for a preview and for the order made of it."""

from collections.abc import Sequence
from datetime import datetime

from apps.carts.types import Cart
from apps.common.geo import Point
from apps.common.money import Money
from apps.orders import domain, models
from apps.pricing import selectors as pricing
from apps.pricing.types import Discount, Fees, PricedLine
from apps.slots.types import Window
from apps.stores import selectors as stores
from apps.stores.types import Store

PRIORITY = "priority"
"""The kind of window whose orders go before others."""


def fees(*, store: Store, window: Window | None, point: Point | None, now: datetime) -> Fees:
    """Fees and rates in that window to that point; of a window or an address not chosen yet nothing is charged."""
    return pricing.fees_for(
        store=store,
        window_fee=window.fee if window else Money(0, store.currency),
        is_priority=window is not None and window.kind == PRIORITY,
        distance_m=stores.distance_m(store=store, point=point) if point else 0,
        now=now,
    )


def discounts(
    *, customer_id: int, store: Store, lines: Sequence[PricedLine], code: str, now: datetime
) -> tuple[Discount, ...]:
    """The customer's promotions; see ``pricing.discounts``, which raises their refusals."""

    def has_ordered() -> bool:
        came_to_nothing = [str(status) for status in sorted(domain.UNDONE)]
        return models.Order.objects.filter(customer_id=customer_id).exclude(status__in=came_to_nothing).exists()

    return pricing.discounts(
        customer_id=customer_id, store=store, lines=lines, code=code, now=now, has_ordered=has_ordered
    )


def priced(cart: Cart) -> list[PricedLine]:
    """The cart's lines at the items' prices, leaving out what the store has given up; lines count from 1."""
    return [
        PricedLine(
            line_ref=position,
            name=line.name,
            quantity=line.quantity,
            unit_price=line.item.list_price,
            sale_price=line.item.price,
            unit_grams=line.item.unit_grams,
            department=line.item.department_slug,
            item_code=line.item.lookup_code,
            tax_category=line.item.tax_category,
            deposit=line.item.deposit,
        )
        for position, line in enumerate(cart.lines, start=1)
        if line.item is not None
    ]
