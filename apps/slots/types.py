from dataclasses import dataclass
from datetime import datetime

from apps.common.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time in which a store's orders are delivered."""

    id: int
    store_id: int
    starts_at: datetime
    ends_at: datetime
    kind: str
    """``immediate`` (running now) or ``scheduled``."""
    fee: Money
    cutoff_at: datetime
    """From then on it takes no orders."""
    free_minutes: int
    """Shopper-minutes that are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a store's day is cut into windows."""

    length_minutes: int = 60
    capacity_minutes: int = 600
    """Of shoppers together: ten shoppers have 600 in an hour."""
    lead_minutes: int = 60
    """Orders are taken until this long before the start."""
    fee_cents: int = 399
    immediate_length_minutes: int = 120
    """0 for a store without immediate delivery."""
    immediate_capacity_minutes: int = 600
    immediate_fee_cents: int = 599


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWindow:
    starts_at: datetime
    ends_at: datetime
    kind: str
    cutoff_at: datetime
    capacity_minutes: int
    fee_cents: int
