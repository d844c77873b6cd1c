"""What the pages' templates need beyond Django's own."""

import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import template

from apps.orders.types import OrderLine
from apps.web import wording

register = template.Library()

_SYMBOLS = {
    "produce": ("produce", "fruit", "vegetable"),
    "dairy": ("dairy", "egg", "milk", "cheese", "yogurt"),
    "bakery": ("bakery", "bread", "breakfast", "cereal"),
    "meat": ("meat", "seafood", "deli", "poultry", "fish"),
    "frozen": ("frozen", "ice"),
    "drinks": ("drink", "beverage", "wine", "beer", "alcohol", "coffee", "tea", "water"),
    "snacks": ("snack", "sweet", "chip", "candy", "cookie"),
    "household": ("household", "home", "clean", "personal", "baby", "pet", "health", "paper"),
}


@register.filter
def tone(name: str) -> int:
    """A hue (degrees) that is always the same for the same name, so that a product keeps its colour."""
    return zlib.crc32(name.encode()) % 360


@register.filter
def symbol(department: str) -> str:
    """Id of the drawing that stands for a department; a jar where none fits."""
    lowered = department.lower()
    return next((name for name, words in _SYMBOLS.items() if any(word in lowered for word in words)), "pantry")


@register.filter
def at(mapping: Mapping[Any, Any], key: object) -> Any:
    """``mapping[key]``, or None."""
    return mapping.get(key)


@register.filter
def plain(quantity: Decimal | int) -> str:
    """A quantity without trailing zeros: 2, 1.5."""
    return f"{Decimal(quantity).normalize():f}"


@register.filter
def outcome(line: OrderLine) -> str:
    """What became of a line, where that is not just what was ordered."""
    return wording.outcome(line)
