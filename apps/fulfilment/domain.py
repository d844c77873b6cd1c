"""The rules of picking and handing over that need no database."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from apps.common.money import Money
from apps.fulfilment.errors import FoundQuantityInvalid, ReplacementInvalid
from apps.inventory.types import Outcome
from apps.orders.types import LineReason


class Status(StrEnum):
    WAITING = "waiting"
    ASSIGNED = "assigned"
    PICKING = "picking"
    CHECKOUT = "checkout"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    CANCELED = "canceled"


OPEN = (Status.WAITING, Status.ASSIGNED, Status.PICKING, Status.CHECKOUT)
"""The store still has the goods."""


TO_BE_PICKED = (Status.ASSIGNED, Status.PICKING)
"""With a shopper, who may still be relieved of it: nothing of it is paid for, or has left the store."""


class LineStatus(StrEnum):
    NOT_PICKED = "not_picked"
    FOUND = "found"
    REPLACED = "replaced"
    TO_REFUND = "to_refund"


class ReceiptState(StrEnum):
    RECOUNT = "recount"
    """It differs by more than the tolerance: the shopper looks again."""
    PASSED = "passed"
    FLAGGED = "flagged"
    """It differs, and the shopper has read the same twice: the order goes on, and a person looks at it."""


S = Status

TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    S.WAITING: frozenset({S.ASSIGNED, S.CANCELED}),
    S.ASSIGNED: frozenset({S.WAITING, S.PICKING, S.CANCELED}),
    S.PICKING: frozenset({S.WAITING, S.CHECKOUT, S.CANCELED}),
    S.CHECKOUT: frozenset({S.DELIVERING, S.CANCELED}),
    S.DELIVERING: frozenset({S.DELIVERED, S.CANCELED}),  # nobody was there: it comes back
    S.DELIVERED: frozenset(),
    S.CANCELED: frozenset(),
}
"""Where a store order may go from each state; every guarded update asks ``before`` what it may start from."""

IN_THE_BAG: Final = frozenset({LineStatus.FOUND, LineStatus.REPLACED})
"""Something is brought for the line: what was ordered, or another item."""

LINE_TRANSITIONS: Final[Mapping[LineStatus, frozenset[LineStatus]]] = {
    LineStatus.NOT_PICKED: frozenset({LineStatus.FOUND, LineStatus.REPLACED, LineStatus.TO_REFUND}),
    LineStatus.FOUND: frozenset({LineStatus.NOT_PICKED, LineStatus.TO_REFUND}),
    LineStatus.REPLACED: frozenset({LineStatus.NOT_PICKED, LineStatus.FOUND, LineStatus.TO_REFUND}),
    LineStatus.TO_REFUND: frozenset({LineStatus.NOT_PICKED, LineStatus.FOUND}),
}
"""What may become of a line until check-out. Something proposed for it, or asked for, makes it one to be picked again;
only the customer's answer to that makes it replaced."""

STAGES: Final = (S.WAITING, S.ASSIGNED, S.PICKING, S.CHECKOUT, S.DELIVERING, S.DELIVERED)
"""The way of an order to the door."""

_RUNS: Final = re.compile(r"[0-9]+|[^0-9]+")

WEIGHT_TOLERANCE: Final = Decimal("0.15")
MOST_OF_OWN: Final = 20
"""Pieces of something that the shopper found and the catalogue does not know."""
MOST_CENTS_OF_OWN: Final = 500_00
"""What one of those may cost."""

EDITABLE: Final = frozenset({S.WAITING, S.ASSIGNED, S.PICKING})
"""The customer may change the list."""
EMPTY_SHELF: Final = frozenset({LineReason.OUT_OF_STOCK, LineReason.POOR_QUALITY})
"""Reasons that say that nobody else will find the item either."""
NOT_THE_SHELFS_FAULT: Final = frozenset({LineReason.TAKEN_OUT, LineReason.NOT_PAID_FOR})
"""These say nothing about what was there."""
NOT_BROUGHT: Final = frozenset(LineReason) - NOT_THE_SHELFS_FAULT - {LineReason.NOT_REPLACED}
"""Reasons that a shopper may give."""

RECEIPT_TOLERANCE: Final = (Decimal("0.01"), 50)
"""By which share of the goods, and at least how many cents, a receipt may differ. Tills round each weighed line by

themselves, and scales are read to a hundredth of a pound: some cents a line. A wrong item or a wrong count is more.
"""
MOST_RECEIPT_CENTS: Final = 1_000_000_00
MAX_ATTEMPTS: Final = 1_000
MAX_BAGS: Final = 99


def before(status: Status) -> frozenset[Status]:
    """The states from which ``status`` may be reached."""
    return frozenset(origin for origin, following in TRANSITIONS.items() if status in following)


def has_reached(status: str, stage: Status) -> bool:
    """Whether an order in ``status`` is at ``stage`` of its way to the door, or past it. Never for a canceled one."""
    return status in STAGES and STAGES.index(Status(status)) >= STAGES.index(stage)


def checked_found(found: Decimal, *, ordered: Decimal, sold_by: str) -> Decimal:
    """``found`` when a shopper may have found that much of a line; raises ``FoundQuantityInvalid``.

    By count: whole pieces, no more than were ordered. By weight: up to 15 % more, three decimals.
    """
    most = ordered * (1 + WEIGHT_TOLERANCE) if sold_by == "weight" else ordered
    if not found.is_finite() or not 0 < found <= most:
        raise FoundQuantityInvalid(f"More than 0 and at most {most.normalize():f} can be taken for this line.")
    if sold_by == "count" and found != found.to_integral_value():
        raise FoundQuantityInvalid("This item is sold by the piece: send a whole number.")
    if found != found.quantize(Decimal("0.001")):
        raise FoundQuantityInvalid("A weight has at most three decimals.")
    return found


def checked_offered(quantity: Decimal, *, sold_by: str, most: int) -> Decimal:
    """``quantity`` when so much of something may be proposed as a replacement; raises ``ReplacementInvalid``."""
    if not quantity.is_finite() or not 0 < quantity <= most:
        raise ReplacementInvalid(f"Propose more than 0 and at most {most}.")
    if sold_by == "count" and quantity != quantity.to_integral_value():
        raise ReplacementInvalid("This item is sold by the piece: send a whole number.")
    if quantity != quantity.quantize(Decimal("0.001")):
        raise ReplacementInvalid("A weight has at most three decimals.")
    return quantity


def checked_text(text: str, *, longest: int) -> str:
    """``text`` without blanks around it; raises ``ReplacementInvalid`` where it is not one line of that length."""
    text = text.strip()
    if len(text) > longest or not text.isprintable():
        raise ReplacementInvalid(f"Names and codes are one line of at most {longest} characters.")
    return text


def aisle_key(aisle: str, rank: int) -> tuple[list[tuple[int, str]], int]:
    """Sorts lines as one walks: aisle 2 before aisle 10, what has no aisle last, then by rank within the aisle."""
    parts = [(int(part), "") if part.isascii() and part.isdigit() else (10**9, part) for part in _RUNS.findall(aisle)]
    return parts or [(10**10, "")], rank


def taken(lines: Iterable[tuple[int, str, Decimal]]) -> dict[int, Decimal]:
    """Quantity that left the shelf, by item, of ``(item id, line status, found quantity)``."""
    quantities: dict[int, Decimal] = {}
    for item_id, status, found in lines:
        if status == LineStatus.FOUND:
            quantities[item_id] = quantities.get(item_id, Decimal(0)) + found
    return quantities


def receipt_is_right(entered_cents: int, expected_cents: int) -> bool:
    """Whether what the till asked for is what the goods come to, within ``RECEIPT_TOLERANCE``."""
    share, least = RECEIPT_TOLERANCE
    return abs(entered_cents - expected_cents) <= max(least, int(expected_cents * share))


def receipt_state(entered_cents: int, expected_cents: int, *, is_confirmed: bool) -> ReceiptState:
    """What to do about an entry; ``is_confirmed`` if the shopper has read the same the time before."""
    if receipt_is_right(entered_cents, expected_cents):
        return ReceiptState.PASSED
    return ReceiptState.FLAGGED if is_confirmed else ReceiptState.RECOUNT


def goods_cents(lines: Iterable[tuple[str, Decimal, int]]) -> int:
    """What goods in the bag come to at the till, before tax and deposits, of ``(line status, quantity, cents a unit)``.

    Of a replaced line, quantity and price are those of what is brought instead.
    """
    prices = (Money(cents).times(quantity) for status, quantity, cents in lines if status in IN_THE_BAG)
    return sum(price.cents for price in prices)


def outcome(status: str, found: Decimal, *, ordered: Decimal, sold_by: str) -> Outcome:
    """What a line says of its item's being there; of something weighed, 15 % less than ordered is all of it."""
    if status != LineStatus.FOUND:
        return Outcome.NOT_FOUND
    least = ordered * (1 - WEIGHT_TOLERANCE) if sold_by == "weight" else ordered
    return Outcome.PARTLY if found < least else Outcome.FOUND


def needs(*, has_alcohol: bool) -> frozenset[str]:
    """Kinds of certificates that an order's shopper must have."""
    return frozenset({"alcohol"}) if has_alcohol else frozenset()


def unit_count(lines: Iterable[tuple[str, Decimal]]) -> int:
    """Things to take off shelves: pieces by count, one for each weighed line. Of ``(sold_by, quantity)``."""
    return sum(int(quantity) if sold_by == "count" else 1 for sold_by, quantity in lines)
