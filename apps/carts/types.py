from dataclasses import dataclass
from decimal import Decimal

from apps.catalog.types import Item
from apps.common.money import Money

BEST_MATCH = "best_match"
REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class CartLine:
    item_id: int
    name: str
    quantity: Decimal
    """In ``cost_unit``."""
    cost_unit: str
    sold_by: str
    unit_price: Money
    total: Money
    note: str
    replacement_policy: str
    """``best_match`` or ``refund``."""
    is_available: bool
    """The store sells the item and has this much of it now."""
    item: Item | None
    """What the line is about, as the store has it today; None for what it has given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineInput:
    """How much of one item a cart is to hold, in its ``cost_unit``; zero takes it out."""

    item_id: int
    quantity: Decimal
    note: str = ""
    replacement_policy: str = BEST_MATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Cart:
    """What a customer means to buy at one store, at today's prices."""

    id: int | None
    """None until something was put in."""
    store_id: int
    version: int
    """Grows with every change; 0 for a cart that never held anything."""
    lines: tuple[CartLine, ...]
    subtotal: Money
    minimum_age: int
    """In years, of who orders it; 0 where everybody may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CartSummary:
    id: int
    store_id: int
    version: int
    line_count: int
