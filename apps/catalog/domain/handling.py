"""What goods are like to carry: how heavy, whether they must stay cold, whether not everybody may carry them."""

from decimal import Decimal
from typing import Final

from apps.catalog.domain import WEIGHT_UNITS, sizes
from apps.catalog.types import Item

USUAL_PIECE: Final = Decimal("0.5")
"""Kilograms of a piece whose size does not say."""
COLD: Final = ("frozen", "dairy", "meat", "seafood", "deli", "chilled")
"""A department with one of these in its name is kept cold."""


def kilograms(item: Item, quantity: Decimal) -> Decimal:
    """By weight exactly; by count what the size says, the contents alone; else ``USUAL_PIECE`` a piece."""
    if item.cost_unit in WEIGHT_UNITS:
        return quantity * sizes.KILOGRAMS[item.cost_unit]
    measured = sizes.measured(item.size)
    if measured is None or measured[1] not in sizes.KILOGRAMS:
        return quantity * USUAL_PIECE
    amount, unit = measured
    return quantity * amount * sizes.KILOGRAMS[unit]


def is_cold(item: Item) -> bool:
    return any(word in item.department_slug for word in COLD)
