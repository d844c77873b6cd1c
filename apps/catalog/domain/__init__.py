"""Rules of the catalogue that need no database."""

import re

COUNT = "count"
WEIGHT = "weight"
WEIGHT_UNITS = frozenset({"lb", "kg"})
COST_UNITS = frozenset({"each", *WEIGHT_UNITS})
TAX_CATEGORIES = frozenset({"grocery", "general", "alcohol"})
MAX_PIECES = 99
MAX_WEIGHT = 50
"""Most of one item in a cart, in its ``cost_unit``, where the store sets no limit."""


def sold_by(cost_unit: str) -> str:
    return WEIGHT if cost_unit in WEIGHT_UNITS else COUNT


def most_in_cart(cost_unit: str) -> int:
    return MAX_WEIGHT if cost_unit in WEIGHT_UNITS else MAX_PIECES


def slug(text: str) -> str:
    """``Dairy & Eggs`` → ``dairy-eggs``; ``other`` for what has no letter or digit of the basic alphabet."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "")).strip("-") or "other"
