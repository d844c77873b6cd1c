"""Runs a policy through a day, a decision a minute, and refuses what it may not do.

    policy(now, orders, idle) -> [(shopper_id, [("pick", 7), ("pick", 9), ("drop", 9), ("drop", 7)]), ...]

``orders`` are placed and nobody's yet, ``idle`` stand somewhere with nothing to do. Whoever is given a trip leaves at
once and is back among the idle when it is done. What shoppers and orders really take in the store is known to the
judge alone; rules are therefore held against what is told. Nothing here knows how any policy reckons.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.dispatch.grocery import day as days
from bench.dispatch.grocery.day import Day, Order, Shopper

Stop = tuple[Literal["pick", "drop"], int]
STEP_MINUTES = 1.0


@dataclass(frozen=True, slots=True)
class Idle:
    shopper: Shopper
    place: int


Command = tuple[int, Sequence[Stop]]
Policy = Callable[[float, list[Order], list[Idle]], list[Command]]


@dataclass(frozen=True, slots=True)
class Visit:
    """``at`` is when the order is taken or handed over, ``leave`` when the shopper drives on."""

    kind: Literal["pick", "drop"]
    order_id: int
    place: int
    arrive: float
    at: float
    leave: float


@dataclass(frozen=True, slots=True)
class Trip:
    """From where a shopper stood to his last door."""

    shopper_id: int
    began: float
    start: int
    visits: tuple[Visit, ...]

    @property
    def ended(self) -> float:
        return self.visits[-1].leave

    @property
    def order_ids(self) -> list[int]:
        return [visit.order_id for visit in self.visits if visit.kind == "drop"]


@dataclass(slots=True)
class Log:
    trips: list[Trip] = field(default_factory=list)
    decision_ms: list[float] = field(default_factory=list)
    """Of decisions with an order open and somebody idle."""


class Foul(Exception):
    """The policy asked for what is not allowed."""


def run(day: Day, policy: Policy, *, step: float = STEP_MINUTES) -> Log:
    """Raises ``Foul`` at the first one."""
    log = Log()
    place = {k: shopper.home for k, shopper in day.shoppers.items()}
    free_at = {k: shopper.on for k, shopper in day.shoppers.items()}
    taken = set[int]()
    now = 0.0
    last = max(shopper.off for shopper in day.shoppers.values())
    while now <= last:
        orders = [order for order in day.orders.values() if order.placed <= now and order.order_id not in taken]
        idle = [Idle(s, place[k]) for k, s in day.shoppers.items() if free_at[k] <= now < s.off]
        began = time.perf_counter()
        commands = policy(now, orders, idle)
        if orders and idle:
            log.decision_ms.append(1000 * (time.perf_counter() - began))
        waiting = {order.order_id: order for order in orders}
        ready = {view.shopper.shopper_id: view for view in idle}
        for shopper_id, stops in commands:
            view = ready.pop(shopper_id, None)
            if view is None:
                raise Foul(f"shopper {shopper_id} is not idle at {now}")
            check(view, stops, waiting, day, now)
            trip = driven(view, stops, day, now)
            log.trips.append(trip)
            for order_id in trip.order_ids:
                taken.add(order_id)
                del waiting[order_id]
            place[shopper_id], free_at[shopper_id] = trip.visits[-1].place, trip.ended
        now += step
    return log


def check(view: Idle, stops: Sequence[Stop], waiting: dict[int, Order], day: Day, now: float) -> None:
    """Raises ``Foul`` for a trip that this shopper may not be given now."""
    shopper, aboard, done = view.shopper, dict[int, Order](), set[int]()
    if not stops:
        raise Foul("a trip without a stop")
    at, place, is_picking = now, view.place, False
    for kind, order_id in stops:
        order = waiting.get(order_id)
        if order is None:
            raise Foul(f"order {order_id} is not open at {now}")
        if kind == "drop":
            if order_id not in aboard:
                raise Foul(f"order {order_id} is dropped without being aboard")
            del aboard[order_id]
            done.add(order_id)
            at = max(at + day.zone.table.minutes(place, order.door) + days.DOOR_MINUTES / 2, order.opens)
            at, place, is_picking = at + days.DOOR_MINUTES / 2, order.door, False
            continue
        if order_id in aboard or order_id in done:
            raise Foul(f"order {order_id} is picked up twice")
        if not order.needs <= shopper.skills:
            raise Foul(f"shopper {shopper.shopper_id} may not carry order {order_id}")
        aboard[order_id] = order
        if len(aboard) > shopper.orders:
            raise Foul(f"shopper {shopper.shopper_id} has more orders than allowed")
        if sum(held.units for held in aboard.values()) > shopper.units:
            raise Foul(f"shopper {shopper.shopper_id} has more than the car holds")
        if sum(held.kilograms for held in aboard.values()) > shopper.kilograms + 1e-6:
            raise Foul(f"shopper {shopper.shopper_id} carries too much")
        if not (is_picking and place == order.store):
            at += day.zone.table.minutes(place, order.store) + days.STORE_MINUTES
        at, place, is_picking = at + order.shop_minutes * shopper.pace, order.store, True
        if at - days.STORE_MINUTES / 2 > shopper.off + 1e-3:
            raise Foul(f"shopper {shopper.shopper_id} picks up order {order_id} after the shift")
    if aboard:
        raise Foul(f"orders {sorted(aboard)} are picked up and never dropped")


def driven(view: Idle, stops: Sequence[Stop], day: Day, now: float) -> Trip:
    """What becomes of the trip. What happens at a stop happens in the middle of the minutes it takes to park, walk in
    and out; a store's are spent once for all orders taken there in a row."""
    visits: list[Visit] = []
    leave, place = now, view.place
    pace = day.true_pace[view.shopper.shopper_id]
    for kind, order_id in stops:
        order = day.orders[order_id]
        if kind == "drop":
            arrive = leave + day.zone.table.minutes(place, order.door)
            at = max(arrive + days.DOOR_MINUTES / 2, order.opens)
            place, leave = order.door, at + days.DOOR_MINUTES / 2
        else:
            if visits and visits[-1].kind == "pick" and visits[-1].place == order.store:
                arrive, begin = visits[-1].arrive, visits[-1].at
            else:
                arrive = leave + day.zone.table.minutes(place, order.store)
                begin = arrive + days.STORE_MINUTES / 2
            at = begin + order.shop_minutes * pace * day.snags[order_id]
            place, leave = order.store, at + days.STORE_MINUTES / 2
        visits.append(Visit(kind, order_id, place, arrive, at, leave))
    return Trip(view.shopper.shopper_id, now, view.place, tuple(visits))
