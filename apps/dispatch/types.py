from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from apps.common.geo import Point
from apps.common.money import Money
from apps.dispatch.steering.types import By as By
from apps.dispatch.steering.types import HeatCell as HeatCell
from apps.dispatch.steering.types import SteeredOrder as SteeredOrder
from apps.fulfilment.types import Standing, StoreOrder
from apps.orders.types import DropOff
from apps.shoppers.types import AvailableShopper
from apps.stores.types import Store, Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What one run of a zone's planner saw and did."""

    zone_id: int
    is_skipped: bool = False
    """Another planner is at work on the zone."""
    is_deposed: bool = False
    """It took too long: another planner has taken the zone over, and the rest of the offers were not made."""
    waiting_orders: int = 0
    free_shoppers: int = 0
    offers_sent: int = 0
    offers_lost: int = 0
    """Planned, but somebody else was faster: with the shopper or with an order."""
    out_of_reach: int = 0
    """Batches that were refused, and for which no shopper is near enough, or none that may be asked (again)."""
    held: Mapping[str, int] = field(default_factory=dict)
    """Orders that are in no batch, by the code of the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a shopper is asked to take. ``distance_m`` is from where they were to the last door.

    ``pay`` is all that is promised, ``peak`` the part of it that is paid because shoppers are short there.
    """

    id: int
    batch_id: int
    store: Store
    order_count: int
    items: int
    units: int
    distance_m: int
    pay: Money
    peak: Money
    tips: Money
    sent_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """When an order will be at its door: one in ten is there before ``earliest``, one in ten after ``latest``.

    As told when the batch entered its stage: a slow shopper's may be past.
    """

    earliest: datetime
    likely: datetime
    latest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """``kind`` pick or drop, ``state`` pending, done or dropped. ``point`` is None where a door is no place."""

    sequence: int
    kind: str
    store_order_id: int
    order_id: int
    point: Point | None
    state: str
    eta: Eta | None = None
    """Of a door that the shopper has still to go to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """``drop_off`` is None when the shopper has no business knowing it: the order is handed over, or canceled."""

    order: StoreOrder
    drop_off: DropOff | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentBatch:
    id: int
    status: str
    store: Store
    pay: Money
    peak: Money
    """Of ``pay``."""
    tips: Money
    distance_m: int
    stops: tuple[Stop, ...]
    orders: tuple[BatchOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch for the people who run the market."""

    id: int
    store_id: int
    zone_id: int
    status: str
    shopper_id: int | None
    pay: Money
    distance_m: int
    created_at: datetime
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What an order would have cost with this shopper, everything else as planned; None: with nobody."""

    shopper_id: int | None
    cost: float
    """In the planner's own unit, about a minute of driving."""
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """How a batch was chosen, as the planner saw it when it made it; to whom it went in the end may be another."""

    leave_by: datetime
    """Until then nothing was lost by waiting for a better batch."""
    minutes: float
    """From setting out to the last door behind them."""
    drive_minutes: float
    late_minutes: float
    """Over all orders, beyond what nobody could have avoided any more."""
    cut_orders: int
    """Orders that the trip would have gone on to take. The minutes are still those of the whole trip."""
    alternatives: Mapping[int, tuple[Alternative, ...]]
    """By store order id, the cheapest first; 5 at most, the chosen one and nobody among them. Empty when a turn had so
    many batches to make that there was no time."""
    by_operator: str = ""
    """The reason an operator gave who decided it instead of the planner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneBatch:
    """A batch as it stood at some moment: ``open`` (nobody is asked), ``offered`` to, or ``taken`` by, the shopper."""

    id: int
    store_id: int
    state: Literal["open", "offered", "taken"]
    shopper_id: int | None
    pay: Money
    peak: Money
    """Of ``pay``."""
    created_at: datetime
    orders: tuple[Standing, ...]
    """In the order of their drops; those dropped later are missing."""
    why: Why | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePicture:
    """A zone at some moment, for the people who run it. ``loose`` orders are in no batch."""

    zone: Zone
    at: datetime
    stores: tuple[Store, ...]
    batches: tuple[ZoneBatch, ...]
    loose: tuple[Standing, ...]
    idle: tuple[AvailableShopper, ...] | None
    """Who could be offered work; None for a moment that is past, as positions are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    offer_id: int
    batch_id: int
    store_id: int
