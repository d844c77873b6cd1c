from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Stock of one item, in its ``cost_unit``."""

    on_hand: Decimal
    reserved: Decimal
    is_missing: bool = False
    """A shopper found none of it on the shelf, and nobody has counted since."""

    @property
    def available(self) -> Decimal:
        return Decimal(0) if self.is_missing else self.on_hand - self.reserved


class Outcome(StrEnum):
    """What became of an item that an order asked for."""

    FOUND = "found"
    PARTLY = "partly"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRate:
    """Of ``asked`` orders, in how many the item was there, and in how many less of it than was ordered."""

    asked: int
    found: int
    partly: int
