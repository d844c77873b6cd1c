"""Read one line of a store's feed, in either of the two layouts we know.

*ALDI's* export (``sku, name, formatted_price, price_unit, categories …``) and the field's own columns
(``lookup_code, name, cost_price_per_unit, cost_unit, par_weight, available, balance_on_hand …``).
Whatever is wrong with a line is told by column; a line is taken whole or not at all.
"""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import TypeVar

from apps.catalog import domain
from apps.catalog.domain import numbers, sizes
from apps.catalog.types import FeedItem
from apps.common import tables
from apps.common.tables import RowError

T = TypeVar("T")
Reader = Callable[[tables.Row], "FeedItem | tuple[RowError, ...]"]

_WEIGHED = ("lb", "lb.", "lb est.")
_UNITS = {"": "each", "each": "each", "ea": "each", "ea.": "each", "lb": "lb", "lbs": "lb", "kg": "kg"}
_OTHER = "Other"


def reader_for(columns: Collection[str]) -> Reader:
    """How to read lines under this header; raises ``tables.Unreadable`` for a layout we do not know."""
    present = set(columns)
    if present >= {"sku", "name", "formatted_price"}:
        return _aldi
    if present >= {"lookup_code", "cost_price_per_unit"} and present & {"name", "item_name"}:
        return _own
    raise tables.Unreadable(
        "The header names neither lookup_code, name and cost_price_per_unit nor sku, name and formatted_price."
    )


class _Cells:
    """The cells of one line; reading a wrong one notes why and gives back the default."""

    def __init__(self, row: tables.Row) -> None:
        self.line = row.line
        self.errors: list[RowError] = []
        self._cells: Mapping[str, str] = row.cells

    def read(self, column: str, how: Callable[[str], T], default: T, *, required: bool = False) -> T:
        raw = self._cells.get(column, "")
        if not raw.strip():
            if required:
                self.refuse(column, "is empty")
            return default
        try:
            return how(raw)
        except ValueError as error:
            self.refuse(column, str(error))
            return default

    def text(self, column: str, longest: int, *, required: bool = False) -> str:
        return self.read(column, lambda raw: tables.plain_text(raw, longest=longest), "", required=required)

    def refuse(self, column: str, reason: str) -> None:
        value = tables.harmless(self._cells.get(column, ""))
        self.errors.append(RowError(line=self.line, column=column, value=value, reason=reason))


def _aldi(row: tables.Row) -> FeedItem | tuple[RowError, ...]:
    cells = _Cells(row)
    name, size, weighed_in = sizes.split_name(cells.text("name", 200, required=True))
    if len(size) > 60:
        cells.refuse("name", "ends in a size longer than 60 characters")
    price_unit = cells.text("price_unit", 40).lower()
    if not size and weighed_in is None and price_unit in _WEIGHED:
        weighed_in = "lb"
    department, _, aisle = cells.text("categories", 160).partition(", ")
    alcoholic = department == "Alcohol"
    snap = cells.read("snap_eligible", numbers.flag, default=False)
    item = FeedItem(
        line=row.line,
        code_column="sku",
        lookup_code=cells.text("sku", 64, required=True),
        name=name,
        brand=cells.text("brand_name", 100),
        size=size,
        department=department[:80] or _OTHER,
        aisle=aisle[:80],
        cost_unit=weighed_in or "each",
        price_cents=cells.read("formatted_price", numbers.price_cents, 0, required=True),
        tax_category="alcohol" if alcoholic else "grocery" if snap else "general",
        alcoholic=alcoholic,
        snap=snap,
    )
    return tuple(cells.errors) or item


def _own(row: tables.Row) -> FeedItem | tuple[RowError, ...]:
    cells = _Cells(row)
    name = "name" if "name" in row.cells else "item_name"
    alcoholic = cells.read("alcoholic", numbers.flag, default=False)
    cost_unit = cells.read("cost_unit", _cost_unit, "each")
    item = FeedItem(
        line=row.line,
        lookup_code=cells.text("lookup_code", 64, required=True),
        name=cells.text(name, 200, required=True),
        brand=cells.text("brand_name", 100),
        size=cells.text("size", 60),
        department=cells.text("department", 80) or _OTHER,
        aisle=cells.text("aisle", 80),
        rank=cells.read("rank", numbers.whole, 0),
        cost_unit=cost_unit,
        price_cents=cells.read("cost_price_per_unit", numbers.price_cents, 0, required=True),
        sale_price_cents=cells.read("sale_price_per_unit", numbers.price_cents, None),
        sale_starts_at=cells.read("sale_starts_at", numbers.moment, None),
        sale_ends_at=cells.read("sale_ends_at", numbers.moment, None),
        par_weight=cells.read("par_weight", _par_weight, None),
        max_in_cart=cells.read("max_in_cart", _limit, None),
        tax_category=cells.read("tax_category", _tax_category, "alcohol" if alcoholic else "general"),
        deposit_cents=cells.read("bottle_deposit", numbers.cents, 0),
        alcoholic=alcoholic,
        snap=cells.read("snap_eligible", numbers.flag, default=False),
        available=cells.read("available", numbers.flag, default=True),
        balance_on_hand=cells.read("balance_on_hand", numbers.quantity, None),
    )
    if item.balance_on_hand is not None and domain.sold_by(cost_unit) == domain.COUNT and item.balance_on_hand % 1:
        cells.refuse("balance_on_hand", "is not whole, though the item is sold by count")
    for column, reason in domain.sale_faults(item):
        cells.refuse(column, reason)
    return tuple(cells.errors) or item


def _cost_unit(text: str) -> str:
    found = _UNITS.get(text.strip().lower())
    if found is None:
        raise ValueError("is not each, lb or kg")
    return found


def _par_weight(text: str) -> Decimal | None:
    found = numbers.quantity(text)
    if not 0 < found < 1000:
        raise ValueError("is not a weight above 0 and below 1000")
    return found


def _limit(text: str) -> int | None:
    found = numbers.whole(text)
    if not 0 < found < 1000:
        raise ValueError("is not a number from 1 to 999")
    return found


def _tax_category(text: str) -> str:
    found = text.strip().lower()
    if found not in domain.TAX_CATEGORIES:
        raise ValueError(f"is not {', '.join(sorted(domain.TAX_CATEGORIES))}")
    return found
