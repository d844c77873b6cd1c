from dataclasses import dataclass
from decimal import Decimal

from apps.catalog.types import Item
from apps.common.money import Money

BEST_MATCH = "best_match"
REFUND = "refund"
ITEM = "item"
"""What is wanted when an item is out: something like it, the money back, or one item in particular."""


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
    """``best_match``, ``item`` or ``refund``."""
    replacement_item_id: int | None
    """For ``item``: which one."""
    replacement_name: str
    pieces: int | None
    """How many pieces were asked for of something weighed; ``quantity`` is what they usually weigh."""
    price_before: Money | None
    """What a unit cost when the line was put in, where that is not ``unit_price``."""
    is_available: bool
    """The store sells the item and has this much of it now."""
    item: Item | None
    """What the line is about, as the store has it today; None for what it has given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineInput:
    """How much of one item a cart is to hold, in its ``cost_unit``; zero takes it out.

    With ``in_pieces`` the quantity of something weighed is a number of pieces of its par weight. Without a
    ``replacement_policy`` it is what this customer chose last for the item; ``best_match`` at first.
    """

    item_id: int
    quantity: Decimal
    in_pieces: bool = False
    note: str = ""
    replacement_policy: str | None = None
    replacement_item_id: int | None = None


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
