from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.common.money import Money

ITEM = "item"
FEE = "fee"
TAX = "tax"
DEPOSIT = "deposit"
DISCOUNT = "discount"
TIP = "tip"
REFUND = "refund"
FORGIVEN = "forgiven"
"""What the card would not pay, and the platform does; below zero. No stage of the pricing makes it."""

SALE = "sale"
SURGE = "surge"
"""Codes of charges: a sale is a ``DISCOUNT``, a surge a ``FEE``."""


ACKNOWLEDGED = "acknowledged"
RETURNED = "returned"
ENDINGS = (ACKNOWLEDGED, RETURNED)
"""What an order may end by that costs a fee: canceled by its customer once a shopper has it, or nobody was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLine:
    """How much of one item is bought, at which price; before picking what was ordered, afterwards what was found."""

    line_ref: int
    """The caller's own name for the line, handed back in its charges."""
    name: str
    quantity: Decimal
    """In the unit of ``unit_price``."""
    unit_price: Money
    """On the shelf."""
    sale_price: Money | None = None
    """What is paid instead, where there is a sale; at most ``unit_price``."""
    tax_category: str
    deposit: Money
    """Per unit, such as per bottle."""
    department: str = ""
    """Its slug, and the code by which the store knows the item: what promotions go by."""
    item_code: str = ""
    unit_grams: int = 0
    """What one unit weighs; 0 where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A flat amount and a share of the goods together, within limits."""

    code: str
    label: str
    flat: Money
    percent: Decimal = Decimal(0)
    minimum: Money | None = None
    maximum: Money | None = None
    tax_category: str = "service"
    goods_below: Money | None = None
    """Only for goods that come to less than this, at sale prices and before promotions."""
    grams_above: int | None = None
    """Only for goods that weigh more than this, as far as their weight is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """What a promotion takes off the lines it is for: ``amount`` and ``percent`` of them, one of which is 0."""

    code: str
    label: str
    amount: Money
    percent: Decimal = Decimal(0)
    line_refs: frozenset[int]
    promotion_id: int
    most_uses: int | None = None
    """By one customer; None for no limit, and for an order that has its promotions already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """``code`` is what the customer types; a promotion without one is everybody's."""

    id: int
    code: str
    label: str
    amount: Money
    percent: Decimal
    minimum_cents: int
    store_id: int | None
    retailer_id: int | None
    departments: frozenset[str]
    item_codes: frozenset[str]
    per_customer_limit: int | None
    first_order_only: bool
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What an order at one store pays on top of its goods, and what it is let off."""

    currency: str
    fees: tuple[Fee, ...]
    tax_percent: Mapping[str, Decimal]
    """Percent by tax category; a category that is missing is not taxed."""
    surge_percent: Decimal = Decimal(0)
    """Of all fees together."""
    discounts: tuple[Discount, ...] = ()
    """In the order in which they are taken off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    kind: str
    code: str
    """The stage that made it: ``item``, ``sale``, a promotion's or a fee's code, ``deposit``, a tax category, …"""
    label: str
    amount: Money
    line_ref: int | None = None
    base: Money | None = None
    """What it is a percentage of, for taxes and the surge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    charges: tuple[Charge, ...]
    total: Money
    """The sum of the charges, nothing else."""

    def of(self, kind: str) -> Money:
        """What the charges of one kind come to."""
        return Money.total((c.amount for c in self.charges if c.kind == kind), self.total.currency)
