"""Rules of the catalogue that need no database."""

import re
from collections.abc import Iterator
from datetime import datetime

from apps.catalog.types import FeedItem

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


def is_between(starts: datetime | None, moment: datetime, ends: datetime | None) -> bool:
    """``starts`` itself is in, ``ends`` is not; None is no limit."""
    return (starts is None or starts <= moment) and (ends is None or moment < ends)


def slug(text: str) -> str:
    """``Dairy & Eggs`` → ``dairy-eggs``; ``other`` for what has no letter or digit of the basic alphabet."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "")).strip("-") or "other"


def sale_faults(item: FeedItem) -> Iterator[tuple[str, str]]:
    """Column and reason of what is wrong with the item's sale."""
    if item.sale_price_cents is not None and not 0 < item.sale_price_cents < item.price_cents:
        yield "sale_price_per_unit", "is not below the price"
    starts, ends = item.sale_starts_at, item.sale_ends_at
    if starts is not None and ends is not None and starts >= ends:
        yield "sale_ends_at", "is not after the sale's start"
