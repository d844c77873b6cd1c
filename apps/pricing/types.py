from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from apps.common.money import Money

ITEM = "item"
FEE = "fee"
TAX = "tax"
DEPOSIT = "deposit"
DISCOUNT = "discount"
TIP = "tip"
REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLine:
    """How much of one item is bought, at which price; before picking what was ordered, afterwards what was found."""

    line_ref: int
    """The caller's own name for the line, handed back in its charges."""
    name: str
    quantity: Decimal
    """In the unit of ``unit_price``."""
    unit_price: Money
    tax_category: str
    deposit: Money
    """Per unit, such as per bottle."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What an order at one store pays on top of its goods."""

    currency: str
    fees: tuple[Fee, ...]
    tax_percent: Mapping[str, Decimal]
    """Percent by tax category; a category that is missing is not taxed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    kind: str
    label: str
    amount: Money
    line_ref: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    charges: tuple[Charge, ...]
    total: Money
    """The sum of the charges, nothing else."""

    def of(self, kind: str) -> Money:
        """What the charges of one kind come to."""
        return Money.total((c.amount for c in self.charges if c.kind == kind), self.total.currency)
