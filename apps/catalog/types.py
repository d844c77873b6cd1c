from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.common.money import Money
from apps.common.tables import RowError

__all__ = ["Department", "FeedItem", "FeedReport", "Item", "Page", "RowError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A product as one store sells it."""

    id: int
    store_id: int
    product_id: int
    lookup_code: str
    name: str
    brand: str
    size: str
    department: str
    department_slug: str
    aisle: str
    rank: int
    """Order within the aisle."""
    cost_unit: str
    """``each``, ``lb`` or ``kg``: what ``price`` and quantities are of."""
    sold_by: str
    """``count`` (whole numbers) or ``weight`` (up to three decimals)."""
    price: Money
    """What it costs at the moment it was asked for: the sale price while there is a sale."""
    list_price: Money
    """What it costs without a sale."""
    sale_ends_at: datetime | None
    """When the price goes up again, if it is known to."""
    unit_grams: int
    """What one ``cost_unit`` weighs; 0 where the size does not say."""
    par_weight: Decimal | None
    """What one piece usually weighs, in ``cost_unit``, where that is known."""
    max_in_cart: int
    tax_category: str
    """``grocery``, ``general`` or ``alcohol``."""
    deposit: Money
    alcoholic: bool
    snap: bool
    in_assortment: bool
    unit_price_text: str
    """Such as ``26.9¢/oz``; empty where the size does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What it takes to carry some goods together."""

    kilograms: Decimal
    """Estimated where goods are sold by the piece and their size does not say."""
    has_alcohol: bool
    is_cold: bool
    """Something of it must stay cold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    slug: str
    name: str
    item_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    items: tuple[Item, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedItem:
    """What a feed, or a person, says an item is."""

    lookup_code: str
    name: str
    price_cents: int
    line: int = 0
    """Where it stands in the file, 0 when there is none."""
    code_column: str = "lookup_code"
    """What the file calls the lookup code."""
    brand: str = ""
    size: str = ""
    department: str = "Other"
    aisle: str = ""
    rank: int = 0
    cost_unit: str = "each"
    sale_price_cents: int | None = None
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None
    """A sale without a start is on already, without an end it goes on."""
    par_weight: Decimal | None = None
    max_in_cart: int | None = None
    tax_category: str = "general"
    deposit_cents: int = 0
    alcoholic: bool = False
    snap: bool = False
    available: bool = True
    balance_on_hand: Decimal | None = None
    """Stock in ``cost_unit``; None when the feed says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReport:
    run_id: int
    rows: int
    created: int
    updated: int
    unchanged: int
    errors: tuple[RowError, ...]
    balances: Mapping[int, Decimal | None]
    """The stock that the feed states, by item id, for every item it names."""

    @property
    def bad_rows(self) -> int:
        return self.rows - self.created - self.updated - self.unchanged
