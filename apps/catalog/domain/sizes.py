"""What a name says about the size of the pack, and what that makes the price of an ounce."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from apps.catalog.domain import WEIGHT_UNITS
from apps.common.money import Money

_AMOUNT = r"[0-9]{1,4}(?:\.[0-9]{1,3})?"
_UNIT = r"fl\.?\s?oz|oz|lbs?|kg|g|ml|lit(?:er|re)s?|l|gal(?:lon)?|pt|pint|qt|quart|counts?|ct|pack|pk"
_MEASURE = re.compile(rf"(?<![.\d])(?<!\. )({_AMOUNT})\s?-?({_UNIT})\b\.?", re.IGNORECASE)
_PER_WEIGHT = re.compile(r"(?P<name>.+?),\s*per (?P<unit>lb|kg)", re.IGNORECASE)
# A pack of packs first (", 6 pack, 12 fl oz Bottles"), then whatever follows the last comma and looks like a size.
_PACK = re.compile(
    rf"(?P<name>.+?)\s?(?:,|-)\s?(?P<size>{_AMOUNT}[\s-]?(?:{_UNIT})\b[^,]*,\s?[0-9][^,]*)", re.IGNORECASE
)
_AFTER_COMMA = re.compile(r"(?P<name>.+),\s*(?P<size>[0-9][^,]*|size [^,]+|each|ea)", re.IGNORECASE)
_AT_THE_END = re.compile(rf"(?P<name>.+?)\s(?P<size>{_AMOUNT}\s?(?:{_UNIT})\.?)", re.IGNORECASE)

_NAMES = {
    **dict.fromkeys(("lb", "lbs"), "lb"),
    **dict.fromkeys(("l", "liter", "liters", "litre", "litres"), "l"),
    **dict.fromkeys(("gal", "gallon"), "gal"),
    **dict.fromkeys(("pt", "pint"), "pt"),
    **dict.fromkeys(("qt", "quart"), "qt"),
    **dict.fromkeys(("ct", "count", "counts", "pack", "pk"), "ct"),
}
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
"""Of one unit."""
_PER_HUNDRED = frozenset({"g", "ml"})


def split_name(text: str) -> tuple[str, str, str | None]:
    """``(name, size, unit it is weighed in)`` of a name that ends in its size.

    ``Bananas, per lb`` → ``("Bananas", "", "lb")``; ``Kettle Chips, 8 oz`` → ``("Kettle Chips", "8 oz", None)``;
    a name without a size comes back whole.
    """
    if match := _PER_WEIGHT.fullmatch(text):
        return match["name"], "", match["unit"].lower()
    for pattern in (_PACK, _AFTER_COMMA, _AT_THE_END):
        if match := pattern.fullmatch(text):
            return match["name"].rstrip(" -,"), match["size"], None
    return text, "", None


def unit_price_text(*, price: Money, cost_unit: str, size: str) -> str:
    """The price of one ounce, pound, piece …, such as ``26.9¢/oz``; empty where ``size`` does not say."""
    if cost_unit in WEIGHT_UNITS:
        return f"{price}/{cost_unit}"
    found = measured(size)
    if found is None:
        return ""
    amount, unit = found
    each = price.cents / amount
    if unit in _PER_HUNDRED:
        each, unit = each * 100, f"100 {unit}"
    if each >= 100:
        return f"{Money(int(each.to_integral_value(ROUND_HALF_UP)), price.currency)}/{unit}"
    return f"{each.quantize(Decimal('0.1'), ROUND_HALF_UP)}¢/{unit}"


def unit_grams(*, cost_unit: str, size: str) -> int:
    """What one ``cost_unit`` weighs, without its packing; 0 where ``size`` does not say."""
    found = (Decimal(1), cost_unit) if cost_unit in WEIGHT_UNITS else measured(size)
    if found is None:
        return 0
    amount, unit = found
    return int((amount * 1000 * KILOGRAMS.get(unit, Decimal(0))).to_integral_value(ROUND_HALF_UP))


def measured(size: str) -> tuple[Decimal, str] | None:
    """Total amount and its unit in ``6 pack, 12 fl oz`` (72 fl oz); None for no amount or a single piece."""
    found = [(Decimal(amount), _unit(unit)) for amount, unit in _MEASURE.findall(size)]
    pieces = [amount for amount, unit in found if unit == "ct"]
    measures = [(amount, unit) for amount, unit in found if unit != "ct"]
    if not measures:
        measures, pieces = [(amount, "ct") for amount in pieces[:1] if amount > 1], []
    if not measures or not measures[0][0] or 0 in pieces:
        return None
    amount, unit = measures[0]
    return amount * (pieces[0] if pieces else 1), unit


def _unit(text: str) -> str:
    plain = re.sub(r"[\s.]", "", text.lower())
    return "fl oz" if plain == "floz" else _NAMES.get(plain, plain)
