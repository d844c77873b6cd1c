"""What goods are like to carry: how heavy, whether they must stay cold, whether not everybody may carry them."""

from decimal import Decimal
from typing import Final

from apps.catalog.domain import WEIGHT_UNITS, sizes
from apps.catalog.types import Item

KILOGRAMS: Final = {
    "kg": Decimal(1),
    "lb": Decimal("0.45359237"),
    "g": Decimal("0.001"),
    "oz": Decimal("0.028349523125"),
    # US customary measures of what is poured, as if it were water
    "l": Decimal(1),
    "ml": Decimal("0.001"),
    "fl oz": Decimal("0.0295735295625"),
    "pt": Decimal("0.473176473"),
    "pint": Decimal("0.473176473"),
    "qt": Decimal("0.946352946"),
    "quart": Decimal("0.946352946"),
    "gal": Decimal("3.785411784"),
}
USUAL_PIECE: Final = Decimal("0.5")
"""Kilograms of a piece whose size does not say."""
COLD: Final = ("frozen", "dairy", "meat", "seafood", "deli", "chilled")
"""A department with one of these in its name is kept cold."""


def kilograms(item: Item, quantity: Decimal) -> Decimal:
    """By weight exactly; by count what the size says, the contents alone; else ``USUAL_PIECE`` a piece."""
    if item.cost_unit in WEIGHT_UNITS:
        return quantity * KILOGRAMS[item.cost_unit]
    measured = sizes.measured(item.size)
    if measured is None or measured[1] not in KILOGRAMS:
        return quantity * USUAL_PIECE
    amount, unit = measured
    return quantity * amount * KILOGRAMS[unit]


def is_cold(item: Item) -> bool:
    return any(word in item.department_slug for word in COLD)
