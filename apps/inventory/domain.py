"""Quantities, and what may become of a reservation."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.inventory.errors import (
    QuantityInvalid,
    ReservationConsumed,
    ReservationDiffers,
    ReservationGone,
    ReservationNotCommitted,
    ReservationNotFound,
)

HELD, COMMITTED, CONSUMED, RELEASED, MISSING = "held", "committed", "consumed", "released", "missing"
"""``missing``: a shopper stood before an empty shelf, so nothing is reserved any more; the order goes on without it."""
STATES = (HELD, COMMITTED, CONSUMED, RELEASED, MISSING)
RESERVED_STATES = frozenset({HELD, COMMITTED})
"""In these the quantity counts as reserved on the shelf."""
LARGEST = Decimal("999999999.999")
HOURS_OF_WEEK = 168


def checked(quantities: Mapping[int, Decimal], *, zero: bool) -> dict[int, Decimal]:
    """``quantities`` in the order of item ids, which is the order of locking; raises ``QuantityInvalid``."""
    for quantity in quantities.values():
        if not quantity.is_finite() or quantity < 0 or quantity > LARGEST or (not quantity and not zero):
            raise QuantityInvalid("A quantity is a number above zero.")
        if quantity != quantity.quantize(Decimal("0.001")):
            raise QuantityInvalid("A quantity has three decimals at most.")
    return dict(sorted(quantities.items()))


def is_gone(states: Collection[str]) -> bool:
    """Whether a reservation was released, in whole or, while it ran out, in part: it may be made anew."""
    return RELEASED in states


def check_same(found: Mapping[int, tuple[str, Decimal]], wanted: Mapping[int, Decimal]) -> None:
    """Raises ``ReservationDiffers`` unless ``found`` (state and quantity by item) holds just ``wanted``."""
    if {item_id: quantity for item_id, (_, quantity) in found.items()} != dict(wanted):
        raise ReservationDiffers("This order has reserved other items or quantities.")


def must_commit(states: Collection[str]) -> bool:
    """Whether committing has something to do; False when it was done (and perhaps consumed since).

    Raises ``ReservationNotFound``, and ``ReservationGone`` when any of it was released.
    """
    if not states:
        raise ReservationNotFound("There is no reservation of this order.")
    if RELEASED in states:
        raise ReservationGone("The reservation was released.")
    return HELD in states


def must_release(states: Collection[str]) -> bool:
    """Whether releasing has something to do; False for no reservation and one that was released.

    Raises ``ReservationConsumed``.
    """
    if CONSUMED in states:
        raise ReservationConsumed("The goods have left the shelf.")
    return bool(RESERVED_STATES.intersection(states))


def must_consume(states: Collection[str]) -> bool:
    """Whether consuming has something to do; False when it was done.

    Raises ``ReservationNotFound``, ``ReservationGone``, ``ReservationNotCommitted``.
    """
    if not states:
        raise ReservationNotFound("There is no reservation of this order.")
    if RELEASED in states:
        raise ReservationGone("The reservation was released.")
    if HELD in states:
        raise ReservationNotCommitted("The order of this reservation is not confirmed.")
    return COMMITTED in states or MISSING in states


def check_changeable(states: Collection[str]) -> None:
    """Raises unless the order's reservation is committed and its goods are still on the shelf.

    ``ReservationNotFound``, ``ReservationGone``, ``ReservationNotCommitted``, ``ReservationConsumed``.
    """
    if CONSUMED in states:
        raise ReservationConsumed("The goods have left the shelf.")
    must_consume(states)


def check_holds(promised: Mapping[int, Decimal], given_back: Mapping[int, Decimal]) -> None:
    """Raises ``ReservationDiffers`` where more is given back of an item than is ``promised``."""
    if any(promised.get(item_id, Decimal(0)) < quantity for item_id, quantity in given_back.items()):
        raise ReservationDiffers("This order has not reserved so much.")


def hour_of_week(moment: datetime, *, timezone: str) -> int:
    """0 for the hour after midnight on Monday, by the store's clock, to 167."""
    local = moment.astimezone(ZoneInfo(timezone))
    return local.weekday() * 24 + local.hour
