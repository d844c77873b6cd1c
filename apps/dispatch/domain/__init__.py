"""What a batch is, what it pays, and who is asked again. Plain numbers, no database.

Everything is counted in seconds and metres on straight lines; a drive takes ``travel_s``, which was
fitted to trips in a real city grid. Which orders go together is the engine's to say: ``zone_plan``.
"""

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise, permutations
from math import floor
from typing import Final, Literal

from apps.common import driving
from apps.common.geo import Point
from apps.dispatch.types import Why
from apps.fulfilment.types import WaitingOrder
from apps.shoppers.types import AvailableShopper
from cython_ext import geo


class BatchStatus(StrEnum):
    OPEN = "open"
    OFFERED = "offered"
    ACKNOWLEDGED = "acknowledged"
    PICKING = "picking"
    COMPLETED = "completed"
    CANCELED = "canceled"


class OfferStatus(StrEnum):
    SENT = "sent"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class StopState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    DROPPED = "dropped"


BATCH_TRANSITIONS: Final[Mapping[BatchStatus, frozenset[BatchStatus]]] = {
    BatchStatus.OPEN: frozenset({BatchStatus.OFFERED, BatchStatus.CANCELED}),
    BatchStatus.OFFERED: frozenset({BatchStatus.OPEN, BatchStatus.ACKNOWLEDGED, BatchStatus.CANCELED}),
    BatchStatus.ACKNOWLEDGED: frozenset(
        {BatchStatus.OPEN, BatchStatus.PICKING, BatchStatus.COMPLETED, BatchStatus.CANCELED}
    ),
    BatchStatus.PICKING: frozenset({BatchStatus.OPEN, BatchStatus.COMPLETED, BatchStatus.CANCELED}),
    BatchStatus.COMPLETED: frozenset(),
    BatchStatus.CANCELED: frozenset(),
}
OFFER_TRANSITIONS: Final[Mapping[OfferStatus, frozenset[OfferStatus]]] = {
    OfferStatus.SENT: frozenset(
        {OfferStatus.ACCEPTED, OfferStatus.DECLINED, OfferStatus.EXPIRED, OfferStatus.WITHDRAWN}
    ),
    OfferStatus.ACCEPTED: frozenset(),
    OfferStatus.DECLINED: frozenset(),
    OfferStatus.EXPIRED: frozenset(),
    OfferStatus.WITHDRAWN: frozenset(),
}
STOP_TRANSITIONS: Final[Mapping[StopState, frozenset[StopState]]] = {
    StopState.PENDING: frozenset({StopState.DONE, StopState.DROPPED}),
    StopState.DONE: frozenset(),
    StopState.DROPPED: frozenset(),
}
"""Where each may go from each state; ``services.moving`` asks, and is the only one that writes them."""

UNDER_WAY: Final = (BatchStatus.ACKNOWLEDGED, BatchStatus.PICKING)
"""A shopper has the batch and is not done with it."""

# Driving.
START_AND_PARK_S: Final = driving.START_AND_PARK_S
PER_KM_S: Final = driving.PER_KM_S
APPROACH_S: Final = 600.0
"""How long somebody takes to the store, before we know who."""

# Picking and handing over.
IN_STORE_S: Final = 300.0
PER_LINE_S: Final = 45.0
PER_UNIT_S: Final = 8.0
AT_DOOR_S: Final = 150.0

# Putting orders together.
MAX_ORDERS: Final = 3
MAX_UNITS: Final = 60
UNITS_IN: Final[Mapping[str, int]] = {"car": MAX_UNITS, "bike": 24, "foot": 12}
"""What each vehicle holds; an order of more than a car holds goes alone, by car."""

KILOGRAMS_IN: Final[Mapping[str, float]] = {"car": 120.0, "bike": 15.0, "foot": 8.0}
FRESH: Final = 0.1
"""What a minute in the car costs that something cold spends there, in minutes of driving."""

# Asking shoppers.
REACH_S: Final = 15 * 60.0
WIDER_S: Final = 5 * 60.0
"""By how much the circle grows with each refusal, and with every ``WIDEN_EVERY`` that the oldest order waits."""
WIDEN_EVERY: Final = timedelta(minutes=2)
ASK_AGAIN_AFTER: Final[Mapping[OfferStatus, timedelta]] = {
    OfferStatus.DECLINED: timedelta(minutes=15),
    OfferStatus.EXPIRED: timedelta(minutes=2),
    OfferStatus.WITHDRAWN: timedelta(0),
}
"""When a shopper may be asked for the same batch once more."""

# Deadlines of those who may have died.
CLAIM_GRACE: Final = timedelta(seconds=30)
"""How long a claim outlives its offer."""
ACCEPTING_FOR: Final = timedelta(minutes=5)
"""How long the shopper stays theirs while word of the acceptance travels between shards."""
START_WITHIN: Final = timedelta(minutes=30)
"""An accepted batch that is not begun by then is offered to others."""
SILENT_FOR: Final = timedelta(minutes=15)
"""Who has neither sent a position nor done anything for so long works no more: others go on with the orders."""
PLAN_EVERY: Final = timedelta(seconds=3)
KEEP_ROUTES: Final = timedelta(minutes=2)
"""A plan older than that is no help to the next."""
LEASE: Final = timedelta(seconds=10)
"""How long a planner has its zone for itself; one that died blocks it no longer than that."""


@dataclass(frozen=True, slots=True)
class PayRule:
    """What a batch pays, tips aside, in cents: every row counts once per what it names."""

    batch: int = 500
    further_order: int = 250
    line: int = 15
    unit: int = 5
    km: int = 60
    minute: int = 25
    """Of work that comes to nothing: the batch is canceled, or taken away once the picking has begun."""

    def cents(self, *, orders: int, lines: int, units: int, route_m: float) -> int:
        drive = floor(self.km * route_m / 1000 + 0.5)
        return self.batch + self.further_order * (orders - 1) + self.line * lines + self.unit * units + drive

    def work_cents(self, worked: timedelta, *, most: int) -> int:
        """For the time from the acceptance on, half a cent up; never above ``most``, what the whole batch pays."""
        return max(0, min(most, floor(worked / timedelta(minutes=1) * self.minute + 0.5)))


PAY: Final = PayRule()
_KINDS: Final[tuple[Literal["pick"], Literal["drop"]]] = ("pick", "drop")


@dataclass(frozen=True, slots=True)
class Step:
    kind: Literal["pick", "drop"]
    order: WaitingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Orders of one store, all taken, then handed over, in this sequence. ``route_m`` is from it to the last door."""

    store_id: int
    store: Point
    steps: tuple[Step, ...]
    route_m: float
    slack_s: float
    """By how much the tightest order would be early, if somebody were sent now. Negative: late."""

    @property
    def orders(self) -> tuple[WaitingOrder, ...]:
        """In the sequence of their doors."""
        return tuple(step.order for step in self.steps if step.kind == "drop")

    @property
    def pay_cents(self) -> int:
        return PAY.cents(
            orders=len(self.orders),
            lines=sum(order.line_count for order in self.orders),
            units=sum(order.unit_count for order in self.orders),
            route_m=self.route_m,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A route that needs a shopper. ``batch_id`` is None while no batch was made of it.

    ``assigned_as`` is the id of the batch to be, where an operator assigned it.
    """

    route: Route
    batch_id: int | None = None
    assigned_as: int | None = None
    refusals: int = 0
    excluded: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """``why`` is None for a batch that was made before. ``peak_cents`` come on top of the route's pay."""

    job: Job
    shopper_id: int
    approach_m: float
    why: Why | None = None
    peak_cents: int = 0

    @property
    def distance_m(self) -> int:
        return round(self.approach_m + self.job.route.route_m)


def travel_s(distance_m: float) -> float:
    return driving.travel_s(distance_m)


def picking_s(orders: Collection[WaitingOrder]) -> float:
    lines = sum(order.line_count - order.lines_done for order in orders)
    units = sum(order.unit_count - order.units_done for order in orders)
    return IN_STORE_S + PER_LINE_S * lines + PER_UNIT_S * units


def route(store_id: int, store: Point, orders: Sequence[WaitingOrder], *, now: datetime) -> Route:
    """The orders by the shortest sequence of doors that makes nobody late; where all do, the least late one."""
    sequences = (_driven(store_id, store, sequence, now=now) for sequence in permutations(orders))
    return max(sequences, key=lambda found: (min(found.slack_s, 0.0), -found.route_m))


def matches(jobs: Sequence[Job], shoppers: Sequence[AvailableShopper], *, now: datetime) -> list[Match]:
    """A shopper for each job that can have one: the most urgent job first, the nearest for it who may take it."""
    free = {shopper.shopper_id: shopper for shopper in shoppers}
    found: list[Match] = []
    for job in sorted(jobs, key=lambda job: (job.route.slack_s, job.route.orders[0].id)):
        candidates = [shopper_id for shopper_id in free if shopper_id not in job.excluded]
        distances = _distances_m(job.route.store, [free[shopper_id].point for shopper_id in candidates])
        reach = reach_s(job.route.orders, refusals=job.refusals, now=now)
        able = (
            (approach_m, shopper_id)
            for approach_m, shopper_id in zip(distances, candidates, strict=True)
            if travel_s(approach_m) <= reach and _may_take(job.route.orders, free[shopper_id], approach_m, now=now)
        )
        nearest = min(able, default=None)
        if nearest is None:
            continue
        approach_m, shopper_id = nearest
        del free[shopper_id]
        found.append(Match(job=job, shopper_id=shopper_id, approach_m=approach_m))
    return found


def _may_take(orders: Collection[WaitingOrder], shopper: AvailableShopper, approach_m: float, *, now: datetime) -> bool:
    """What the engine sees to for those it plans: it all fits, is allowed, and is picked up before the shift ends."""
    units, kilograms = (sum(loads) for loads in zip(*map(load, orders), strict=True))
    picked_at = now + timedelta(seconds=travel_s(approach_m) + shopper.pace * picking_s(orders))
    fits = units <= UNITS_IN.get(shopper.vehicle, MAX_UNITS) and kilograms <= KILOGRAMS_IN.get(
        shopper.vehicle, KILOGRAMS_IN["car"]
    )
    is_allowed = all(order.needs <= shopper.certificates for order in orders)
    return fits and is_allowed and (shopper.shift_ends_at is None or picked_at <= shopper.shift_ends_at)


def load(order: WaitingOrder) -> tuple[int, float]:
    """Units and kilograms. More than a car holds counts as a full one: somebody has to take it."""
    return min(order.unit_count, MAX_UNITS), min(order.kilograms, KILOGRAMS_IN["car"])


def reach_s(orders: Collection[WaitingOrder], *, refusals: int, now: datetime) -> float:
    """How long a drive to the store may be: the longer they are refused and wait, the longer."""
    waited = now - min(order.projected_at for order in orders)
    return REACH_S + WIDER_S * (refusals + max(0, waited // WIDEN_EVERY))


def excluded(asked: Collection[tuple[int, OfferStatus, datetime]], *, now: datetime) -> frozenset[int]:
    """Shoppers who are not asked again yet, of ``(shopper id, how their offer ended, when it was sent)``."""
    return frozenset(
        shopper_id
        for shopper_id, outcome, sent_at in asked
        if now - sent_at < ASK_AGAIN_AFTER.get(outcome, timedelta.max)
    )


def door(order: WaitingOrder) -> Point:
    """Raises ValueError for an order without a position: hold it before it comes this far."""
    if order.drop is None:
        raise ValueError(f"order {order.order_id} has no position; hold it until its address is located")
    return order.drop


def route_m(store: Point, orders: Iterable[WaitingOrder]) -> float:
    """Metres from the store through the doors."""
    places = [store, *map(door, orders)]
    return sum(distance_m(here, there) for here, there in pairwise(places))


def distance_m(here: Point, there: Point) -> float:
    return _distances_m(here, [there])[0]


def _driven(store_id: int, store: Point, sequence: Sequence[WaitingOrder], *, now: datetime) -> Route:
    at, place, slack_s = APPROACH_S + picking_s(sequence), store, float("inf")
    for order in sequence:
        at += travel_s(distance_m(place, door(order)))
        slack_s = min(slack_s, (order.window_ends_at - now).total_seconds() - at)
        at += AT_DOOR_S
        place = door(order)
    steps = tuple(Step(kind, order) for kind in _KINDS for order in sequence)
    return Route(store_id=store_id, store=store, steps=steps, route_m=route_m(store, sequence), slack_s=slack_s)


def _distances_m(here: Point, points: Sequence[Point]) -> Sequence[float]:
    if not points:
        return ()
    lats, lngs = array("d", [point.lat for point in points]), array("d", [point.lng for point in points])
    return geo.distances_m(here.lat, here.lng, lats, lngs)
