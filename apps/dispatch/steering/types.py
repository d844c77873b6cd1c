from dataclasses import dataclass
from datetime import datetime

from apps.common.geo import Point
from apps.common.money import Money
from apps.fulfilment.types import StoreOrder, WaitingOrder
from apps.stores.types import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Which operator decides something, when, why, and until when it stands (None: as long as is usual)."""

    operator_id: int
    reason: str
    now: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideOf:
    """An override as the history has it; ``outcome`` is empty while it stands."""

    id: int
    kind: str
    store_order_id: int
    order_id: int
    shopper_id: int | None
    batch_id: int | None
    reason: str
    operator_id: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedShopper:
    """A free shopper and how far it is to the store; ``is_forbidden`` while an override keeps the order from him."""

    shopper_id: int
    vehicle: str
    distance_m: int
    is_forbidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeredBatch:
    id: int
    status: str
    shopper_id: int | None
    """Whose it is, or who is asked."""
    pay: Money
    is_pinned: bool
    order_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeredOrder:
    """An order as somebody sees it who may decide instead of the planner."""

    order: StoreOrder
    store: Store
    batch: SteeredBatch | None
    together: tuple[WaitingOrder, ...]
    """Other orders of the store that wait and are in no batch."""
    free: tuple[AskedShopper, ...]
    """The nearest first."""
    history: tuple[OverrideOf, ...]
    """The latest first; those of the order's batch and of other shoppers for it among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatCell:
    """One H3 cell with a store. ``orders`` and ``shoppers`` are counted near it, by distance."""

    index: str
    level: int
    extra_pay: Money
    """What a batch of a store in the cell pays more."""
    orders: float
    shoppers: float
    boundary: tuple[Point, ...]
