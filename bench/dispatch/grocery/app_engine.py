"""The engine as ``apps/dispatch`` uses it: its request, its weights, one store a batch, nobody asked before he must go.

``apps.dispatch.domain.zone_plan.request`` itself tells orders and shoppers. What these days know in their own words is
put in its place: kilograms, certificates, ends of shifts and paces; and, unless ``knows_idle_only``, when shoppers on
the way will be free.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from apps.common.geo import Point
from apps.common.money import Money
from apps.dispatch import domain
from apps.dispatch.domain import zone_plan
from apps.fulfilment.types import WaitingOrder
from apps.shoppers.types import AvailableShopper
from bench.dispatch.grocery.day import EARLY_MINUTES, Order, Shopper
from bench.dispatch.grocery.expecting import expected_end
from bench.dispatch.grocery.judge import STEP_MINUTES, Command, Idle, Stop
from bench.dispatch.grocery.zone import Zone
from cython_ext.dispatch import engine
from cython_ext.dispatch.types import Batch, Plan, Request
from cython_ext.dispatch.types import Stop as EngineStop

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
ROUNDS = 300
"""Of search a decision, however long they take, so that a day is the same every time. The app stops after 2,000 or 50
ms; that, and ten times as many, made no difference to these days."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A shopper, and where and when he is next to be had."""

    shopper: Shopper
    place: int
    free: float


class AppEngine:
    """A policy."""

    def __init__(self, zone: Zone, *, rounds: int = ROUNDS, knows_idle_only: bool = False) -> None:
        self._zone, self._rounds, self._knows_idle_only = zone, rounds, knows_idle_only
        self._stores = {store: Point(*zone.table.places[store]) for store in zone.stores}
        self._previous: Mapping[str, Sequence[EngineStop]] = {}
        self._under_way: dict[int, Worker] = {}

    def __call__(self, now: float, orders: list[Order], idle: list[Idle]) -> list[Command]:
        here = {view.shopper.shopper_id: Worker(view.shopper, view.place, now) for view in idle}
        self._under_way = {k: worker for k, worker in self._under_way.items() if k not in here}
        people = {str(k): worker for k, worker in (self._expected(now) | here).items()}
        commands: list[Command] = []
        routes: dict[str, tuple[EngineStop, ...]] = {}
        left = {str(order.order_id): order for order in orders}
        for _ in zone_plan.SHARES:
            if not left or not people or not idle:
                break
            told = _in_view(self._request(now, left.values(), people.values()))
            plan = engine.plan(told, iterations=self._rounds)
            routes.update(plan.routes)
            made, cut = _begun(plan, left, {str(k) for k in here})
            commands += made
            left = {order_id: order for order_id, order in left.items() if order_id in cut}
            people = {shopper_id: worker for shopper_id, worker in people.items() if shopper_id not in plan.routes}
        self._previous = routes
        self._note(now, orders, here, commands)
        return commands

    def _expected(self, now: float) -> dict[int, Worker]:
        """Those on the way; who should be back by now will be any minute."""
        if self._knows_idle_only:
            return {}
        coming = {k: replace(worker, free=max(worker.free, now + 1)) for k, worker in self._under_way.items()}
        return {k: worker for k, worker in coming.items() if worker.free < worker.shopper.off}

    def _note(self, now: float, orders: list[Order], here: dict[int, Worker], commands: list[Command]) -> None:
        known = {order.order_id: order for order in orders}
        for shopper_id, stops in commands:
            worker = here[shopper_id]
            ends = expected_end(self._zone, worker.shopper, worker.place, stops, known, now)
            self._under_way[shopper_id] = Worker(worker.shopper, known[stops[-1][1]].door, ends)

    def _request(self, now: float, orders: Collection[Order], people: Collection[Worker]) -> Request:
        zone = zone_plan.Zone(
            stores=self._stores,
            now=_moment(now),
            early=timedelta(minutes=EARLY_MINUTES),
            travel=self._zone.table,
        )
        told = zone_plan.request(
            [self._waiting(order) for order in orders],
            [self._available(worker) for worker in people],
            zone=zone,
            previous=self._previous,
        )
        return replace(
            told,
            orders=[
                replace(one, kilograms=order.kilograms, needs=order.needs)
                for one, order in zip(told.orders, orders, strict=True)
            ],
            shoppers=[
                replace(
                    one,
                    free=worker.free - now,
                    off=worker.shopper.off - now,
                    pace=worker.shopper.pace,
                    kilograms=worker.shopper.kilograms,
                    skills=worker.shopper.skills,
                )
                for one, worker in zip(told.shoppers, people, strict=True)
            ],
        )

    def _waiting(self, order: Order) -> WaitingOrder:
        return WaitingOrder(
            id=order.order_id,
            store_id=order.store,
            order_id=order.order_id,
            drop=Point(*self._zone.table.places[order.door]),
            line_count=order.lines,
            unit_count=order.units,
            window_starts_at=_moment(order.starts),
            window_ends_at=_moment(order.ends),
            tip=Money(0),
            projected_at=_moment(order.placed),
        )

    def _available(self, worker: Worker) -> AvailableShopper:
        place = Point(*self._zone.table.places[worker.place])
        return AvailableShopper(shopper_id=worker.shopper.shopper_id, point=place, vehicle="car")


def _in_view(told: Request) -> Request:
    """The most urgent of those whose time has nearly come, as many as the app looks at."""
    ahead = zone_plan.HALF_PICK + domain.APPROACH_S / 60 + zone_plan.LOOK_AHEAD
    near = [order for order in told.orders if order.ready - order.shop_minutes <= ahead]
    near.sort(key=lambda order: (order.due, int(order.order_id)))
    return replace(told, orders=near[: zone_plan.PER_SHOPPER * len(told.shoppers)])


def _begun(plan: Plan, orders: Mapping[str, Order], here: Collection[str]) -> tuple[list[Command], set[str]]:
    """What is begun now, and what is cut off from it to be planned again."""
    commands, cut = list[Command](), set[str]()
    for batch in plan.batches:
        if batch.number == 0 and batch.shopper_id in here and batch.leave_by <= STEP_MINUTES:
            stops = _first_store(batch, orders)
            commands.append((int(batch.shopper_id), stops))
            cut.update(order_id for order_id in batch.order_ids if ("drop", int(order_id)) not in stops)
    return commands, cut


def _first_store(batch: Batch, orders: Mapping[str, Order]) -> list[Stop]:
    """The part of a trip that is taken from the first store at once."""
    store = orders[batch.visits[0].order_id].store
    first = takewhile(lambda visit: visit.kind == "pick" and orders[visit.order_id].store == store, batch.visits)
    taken = {visit.order_id for visit in first}
    return [(visit.kind, int(visit.order_id)) for visit in batch.visits if visit.order_id in taken]


def _moment(minutes: float) -> datetime:
    return MIDNIGHT + timedelta(minutes=minutes)
