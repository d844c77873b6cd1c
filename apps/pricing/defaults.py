"""Fees and tax rates of an installation that has not set its own; whoever charges them has to check them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

FEES: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "code": "service",
        "label": "Service fee",
        "position": 1,
        "percent": Decimal(5),
        "minimum_cents": 199,
        "maximum_cents": 1_999,
    },
    {"code": "small_basket", "label": "Small basket", "position": 2, "flat_cents": 200, "goods_below_cents": 3_500},
    {"code": "bag", "label": "Bags", "position": 3, "flat_cents": 10},
    {"code": "priority", "label": "Priority", "position": 4, "flat_cents": 300, "priority_only": True},
    {"code": "heavy", "label": "Heavy order", "position": 5, "flat_cents": 500, "grams_above": 22_680},
    {"code": "distance", "label": "Long distance", "position": 6, "flat_cents": 299, "distance_above_m": 8_000},
)
"""22,680 g are 50 lb."""

ENDING_FEES: Final[Mapping[str, int]] = {"acknowledged": 500, "returned": 1_000}
"""In cents: canceled once a shopper has the order; brought back because nobody was there."""

# Statewide sales tax in percent, local taxes not included (they go in by postcode prefix).
# A second figure is the state's rate on groceries where it taxes them.
_STATES: Final = {
    "AL": ("4", "2"), "AK": ("0",), "AZ": ("5.6",), "AR": ("6.5", "0.125"), "CA": ("7.25",), "CO": ("2.9",),
    "CT": ("6.35",), "DE": ("0",), "DC": ("6",), "FL": ("6",), "GA": ("4",), "HI": ("4", "4"), "ID": ("6", "6"),
    "IL": ("6.25", "1"), "IN": ("7",), "IA": ("6",), "KS": ("6.5",), "KY": ("6",), "LA": ("5",), "ME": ("5.5",),
    "MD": ("6",), "MA": ("6.25",), "MI": ("6",), "MN": ("6.875",), "MS": ("7", "5"), "MO": ("4.225", "1.225"),
    "MT": ("0",), "NE": ("5.5",), "NV": ("6.85",), "NH": ("0",), "NJ": ("6.625",), "NM": ("4.875",), "NY": ("4",),
    "NC": ("4.75",), "ND": ("5",), "OH": ("5.75",), "OK": ("4.5",), "OR": ("0",), "PA": ("6",), "RI": ("7",),
    "SC": ("6",), "SD": ("4.2", "4.2"), "TN": ("7", "4"), "TX": ("6.25",), "UT": ("4.85", "3"), "VT": ("6",),
    "VA": ("4.3", "1"), "WA": ("6.5",), "WV": ("6",), "WI": ("5",), "WY": ("4",),
}  # fmt: skip
# State and local together, where the demo and its real stores are: Franklin County, Ohio.
_LOCAL: Final = (("OH", "432", "8"),)
_FULL: Final = ("alcohol", "general")


def tax_rates() -> list[tuple[str, str, str, Decimal]]:
    """``(state, postcode prefix, tax category, percent)`` of the 50 states and the capital."""
    rates = [(state, prefix, category, Decimal(rate)) for state, prefix, rate in _LOCAL for category in _FULL]
    for state, (percent, *grocery) in _STATES.items():
        rates += [(state, "", category, Decimal(percent)) for category in _FULL]
        rates += [(state, "", "grocery", Decimal(rate)) for rate in grocery]
    return sorted(rates)
