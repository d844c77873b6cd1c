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
    """``immediate`` or ``priority`` (both running now), or ``scheduled``."""
    fee: Money
    cutoff_at: datetime
    """From then on it takes no orders."""
    free_minutes: int
    """Shopper-minutes that are left."""
    is_withdrawn: bool = False
    """The store is closed then; it takes no orders any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """An order in a window that was withdrawn: somebody has to move it, or call it off."""

    order_id: int
    store_id: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """``shoppers`` more on that weekday (Monday is 0), from one full hour of the store's clock to another."""

    weekday: int
    from_hour: int
    to_hour: int
    """24 is midnight."""
    shoppers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a store's day is cut into windows, and who is expected to work in it."""

    length_minutes: int = 60
    lead_minutes: int = 60
    """Orders are taken until this long before the start."""
    fee_cents: int = 399
    immediate_length_minutes: int = 120
    """0 for a store without immediate delivery."""
    immediate_fee_cents: int = 599
    priority_length_minutes: int = 75
    """0 for a store without priority delivery."""
    priority_every_minutes: int = 30
    priority_fee_cents: int = 999
    shoppers: int = 20
    """Expected in every hour that no shift names."""
    shifts: tuple[Shift, ...] = ()
    """Those of one hour add up."""
    immediate_percent: int = 40
    """Of the shoppers' time, for immediate orders; likewise ``priority_percent``. The rest is for scheduled ones."""
    priority_percent: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWindow:
    starts_at: datetime
    ends_at: datetime
    kind: str
    cutoff_at: datetime
    capacity_minutes: int
    fee_cents: int
