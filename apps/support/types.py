"""Ratings and reports as other apps see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.common.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What the customer thought of a delivery. ``counts`` says whether it is in the shopper's rating."""

    order_id: int
    shopper_id: int | None
    stars: int
    tags: tuple[str, ...]
    words: str
    counts: bool
    rated_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueChange:
    """One step of a report's history; ``note`` is for the staff."""

    from_status: str
    to_status: str
    actor: str
    at: datetime
    reason: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What a customer reported about a delivered order, of one line or (``line_id`` None) of all of it."""

    id: int
    order_id: int
    customer_id: int
    store_id: int
    shopper_id: int | None
    line_id: int | None
    line_name: str
    kind: str
    kind_title: str
    quantity: Decimal | None
    """How much of the line; None without a line."""
    words: str
    status: str
    status_title: str
    fault: str
    """Whose it is, as far as is known: ``shopper``, ``store``, ``dispatch`` or ``nobody``."""
    waits_for: str
    """Why the rules left it to a person, a code of ``domain.Waits``; empty once it is decided."""
    reason: str
    """Why it was decided so, a code of ``domain.Reason``, and in words."""
    reason_title: str
    refund_quantity: Decimal | None
    refunded: Money | None
    opened_at: datetime
    decided_at: datetime | None
    photos: int
    """How many; they are numbered from 1."""
    history: tuple[IssueChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePage:
    issues: tuple[Issue, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Reports that wait for a person, the longest waiting first; ``missing_shards`` did not answer."""

    issues: tuple[Issue, ...]
    missing_shards: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportableLine:
    """A line that was charged. ``left`` of it was neither refunded nor reported; ``found`` was charged."""

    id: int
    name: str
    found: Decimal
    left: Decimal
    cost_unit: str
    sold_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterDelivery:
    """What a customer may still say of an order, and has said. The times are None for one that was not delivered."""

    rating: Rating | None
    issues: tuple[Issue, ...]
    rate_until: datetime | None
    report_until: datetime | None
    lines: tuple[ReportableLine, ...]


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What may be said, each code with its words for people, in the order of a form."""

    kinds: Mapping[str, str]
    tags: Mapping[str, str]
    upheld: Mapping[str, str]
    declined: Mapping[str, str]
    faults: Mapping[str, str]
    waits: Mapping[str, str]
    reasons: Mapping[str, str]
    most_photos: int
    longest_words: int
