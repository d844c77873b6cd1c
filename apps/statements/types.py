"""What stores and shoppers are told about their money. All amounts are whole cents of one currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A day, a week from Monday on, or a month, by somebody's clock; ``ends_at`` is not in it."""

    period: str
    first: date
    last: date
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one order did to a store's balance, or one batch to a shopper's, in the time of the statement."""

    ref: int
    """The order's or batch's id."""
    at: datetime
    """Of the last that was booked for it in that time."""
    cents: Mapping[str, int]
    """By column; those of ``Statement.columns`` come to ``net``, the others are for information."""
    net: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Money that was sent to them, or (below zero) taken back."""

    transfer_id: int
    payout: str
    """The provider's name for the transfer."""
    day: date
    """For which it was sent, UTC."""
    at: datetime
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """``opening + total.net - what was moved = closing``; both balances are what is owed to them."""

    party_kind: str
    """``store`` or ``shopper``."""
    party_id: int
    span: Span
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    """Columns for information: money of the same orders that is not theirs."""
    opening: int
    rows: tuple[Row, ...]
    """One page of them, by id."""
    totals: Mapping[str, int]
    """Of all rows, not of this page."""
    net: int
    moves: tuple[Move, ...]
    moved: int
    closing: int
    next_cursor: str | None
