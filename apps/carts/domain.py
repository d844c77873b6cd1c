"""Rules of a cart that need no database."""

from datetime import date
from decimal import Decimal

from apps.carts.errors import (
    BirthDateMissing,
    NoteTooLong,
    NoteUnprintable,
    NotSoldInPieces,
    QuantityNotWhole,
    QuantityOutOfRange,
    ReplacementPolicyUnknown,
    UnderAge,
)
from apps.carts.types import BEST_MATCH, ITEM, REFUND

MAX_LINES = 150
MAX_NOTE = 200
DRINKING_AGE = 21
OLDEST = 130
DECIMALS = 3
"""Of a weight: what a shop's scale shows."""
REPLACEMENT_POLICIES = frozenset({BEST_MATCH, ITEM, REFUND})


def checked_quantity(quantity: Decimal, *, sold_by: str, most: int) -> Decimal:
    """``quantity`` of an item of which a cart may hold ``most``; zero takes it out.

    Raises ``QuantityOutOfRange`` below zero, above ``most``, or finer than ``DECIMALS``, and
    ``QuantityNotWhole`` for a part of a piece.
    """
    if not quantity.is_finite() or not 0 <= quantity <= most:
        raise QuantityOutOfRange(f"The quantity must be between 0 and {most}.")
    if sold_by == "count" and quantity != quantity.to_integral_value():
        raise QuantityNotWhole("This is sold by the piece: give a whole number.")
    if quantity != round(quantity, DECIMALS):
        raise QuantityOutOfRange(f"A weight has at most {DECIMALS} decimals.")
    return quantity


def weight_of(pieces: Decimal, *, par_weight: Decimal | None) -> Decimal:
    """What so many pieces usually weigh, to the gram's place that a scale shows.

    Raises ``NotSoldInPieces`` where nobody knows, ``QuantityNotWhole`` for a part of a piece.
    """
    if par_weight is None:
        raise NotSoldInPieces("This is sold by weight: give a weight.")
    if not pieces.is_finite() or pieces != pieces.to_integral_value():
        raise QuantityNotWhole("Give a whole number of pieces.")
    return round(pieces * par_weight, DECIMALS)


def check_age(birth_date: date | None, *, today: date, least: int) -> None:
    """Raises ``BirthDateMissing`` for no date and one that no living person has, ``UnderAge`` below ``least`` years.

    Born on 29 February one is a year older on 1 March.
    """
    if birth_date is None:
        raise BirthDateMissing(f"Your cart holds something that is sold from {least} years on: say when you were born.")
    age = today.year - birth_date.year - ((today.month, today.day) < (birth_date.month, birth_date.day))
    if not 0 <= age <= OLDEST:
        raise BirthDateMissing("That cannot be the day you were born: give it as year, month and day.")
    if age < least:
        raise UnderAge(f"Your cart holds something that is sold from {least} years on. Take it out to order the rest.")


def checked_note(note: str) -> str:
    """``note`` on one line, without blanks around it; raises ``NoteTooLong``, ``NoteUnprintable``."""
    note = " ".join(note.split())
    if len(note) > MAX_NOTE:
        raise NoteTooLong(f"A note has at most {MAX_NOTE} characters.")
    if not note.isprintable():
        raise NoteUnprintable("A note has no control characters.")
    return note


def checked_policy(policy: str) -> str:
    if policy not in REPLACEMENT_POLICIES:
        raise ReplacementPolicyUnknown("A replacement is best_match, item or refund.")
    return policy
