"""The numbers a feed may contain, and no others.

Python's own readers take ``NaN``, ``Infinity``, ``1e9999``, ``1_000`` and digits of every script;
a price list means none of these. Every function raises ValueError with the reason.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal

_PRICE = re.compile(r"\$?([0-9]{1,7})(?:\.([0-9]{1,2}))?")
_QUANTITY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")
_WHOLE = re.compile(r"[0-9]{1,6}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})")
_TRUE = frozenset({"true", "yes", "y", "1"})
_FALSE = frozenset({"false", "no", "n", "0"})


def cents(text: str) -> int:
    """``$2.15`` or ``2.15`` → 215. At most seven digits before the point."""
    match = _PRICE.fullmatch(text.strip(" "))
    if match is None:
        raise ValueError("is not a price such as 2.15")
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def price_cents(text: str) -> int:
    """``cents``, and more than nothing."""
    found = cents(text)
    if not found:
        raise ValueError("is not a price above zero")
    return found


def quantity(text: str) -> Decimal:
    """``0`` or more, at most three decimals."""
    stripped = text.strip(" ")
    if not _QUANTITY.fullmatch(stripped):
        raise ValueError("is not a quantity such as 1.250")
    return Decimal(stripped)


def whole(text: str) -> int:
    """``0`` to ``999999``."""
    stripped = text.strip(" ")
    if not _WHOLE.fullmatch(stripped):
        raise ValueError("is not a whole number")
    return int(stripped)


def moment(text: str) -> datetime:
    """ISO 8601 with its offset from UTC, such as ``2026-03-02T06:00-05:00``."""
    found = datetime.fromisoformat(text.strip(" ")) if _MOMENT.fullmatch(text.strip(" ")) else None
    if found is None:
        raise ValueError("is not a time such as 2026-03-02T06:00-05:00")
    return found.astimezone(UTC)


def flag(text: str) -> bool:
    word = text.strip(" ").lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("is neither true nor false")
    return word in _TRUE
