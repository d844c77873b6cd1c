from dataclasses import dataclass
from datetime import date, datetime, time

from apps.common.geo import Point
from apps.common.money import Money
from apps.common.tables import RowError


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A market in which shoppers are dispatched: everything within ``radius_m`` of ``point``."""

    id: int
    name: str
    point: Point
    radius_m: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    id: int
    retailer_id: int
    retailer_name: str
    code: str
    """``<chain>-<number>``, lower case: what people and feeds call the store."""
    name: str
    address: str
    city: str
    state: str
    postcode: str
    point: Point
    timezone: str
    """IANA name, such as America/New_York."""
    currency: str
    zone_id: int
    delivery_radius_m: int
    minimum_basket: Money
    is_paused: bool
    """It takes no orders now."""
    paused_until: datetime | None = None
    """When the pause ends by itself; None: when somebody ends it."""
    checks_receipts: bool = False
    """Shoppers enter the total of the till's receipt, and count the bags, before they leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningHours:
    """Local time of the store. ``closes`` at or before ``opens`` means on the next day."""

    weekday: int
    """Monday is 0."""
    opens: time
    closes: time


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialDay:
    """A date on which these hours count instead of the weekday's; None for both: closed."""

    date: date
    opens: time | None
    closes: time | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStore:
    """A store as a directory file names it."""

    line: int
    chain: str
    number: str
    name: str
    address: str
    city: str
    state: str
    postcode: str
    point: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryReport:
    rows: int
    created: int
    updated: int
    unchanged: int
    elsewhere: int
    """Rows outside the metro that was asked for."""
    assumed_timezones: tuple[str, ...]
    """States without a time zone of ours, which got the default."""
    errors: tuple[RowError, ...]
