from dataclasses import dataclass
from datetime import date, datetime

from apps.common.geo import Point
from apps.common.money import Money

TIPS = ("tip", "tip_lowered")
"""Kinds of earnings that come from customers; the rest is pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper:
    id: int
    name: str
    zone_id: int
    vehicle: str
    state: str
    is_online: bool
    online_since: datetime | None
    shift_ends_at: datetime | None
    """Nothing is to be picked up later; None while offline."""
    pace: float
    """Multiplies minutes in the store; 1 until something is known."""
    rating: float
    """Stars, 1 to 5, of the last ``domain.RECENT_RATINGS`` rated deliveries; what is usual until there are some."""
    ratings: int
    """How many that are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableShopper:
    """Online, heard of lately, without any live assignment."""

    shopper_id: int
    point: Point
    vehicle: str
    shift_ends_at: datetime | None = None
    """None for who went online before anybody asked for it."""
    certificates: frozenset[str] = frozenset()
    """Kinds that are valid now."""
    pace: float = 1.0
    """Multiplies minutes in the store; 0.8 is a fast one."""
    waiting_since: datetime | None = None
    """Since when they are online and had no turn: no offer, whatever they said to it, and no batch that ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certification:
    """Days are inclusive; ``checked_by`` is the id of the user who saw the paper."""

    id: int
    kind: str
    valid_from: date
    valid_until: date
    checked_by: int
    checked_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyShopper:
    """Online and heard of lately, with a batch in hand."""

    shopper: AvailableShopper
    batch_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Who works in a zone; shoppers who are being asked are in neither."""

    available: tuple[AvailableShopper, ...]
    busy: tuple[BusyShopper, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One batch a shopper is asked for or works on; the batch itself lives on the store's shard."""

    id: int
    shopper_id: int
    batch_id: int
    store_id: int
    offer_id: int | None
    state: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    id: int
    batch_id: int
    order_id: int | None
    kind: str
    amount: Money
    earned_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningsPage:
    """``total`` is of everything the shopper ever earned, not of this page; ``tips`` is the customers' part of it."""

    earnings: tuple[Earning, ...]
    total: Money
    tips: Money
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """A tip in a shopper's earnings; ``id`` is the earning's."""

    id: int
    shopper_id: int
    order_id: int
    cents: int
