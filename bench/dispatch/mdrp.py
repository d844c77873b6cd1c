"""The engine as a policy for days of the Meal Delivery Routing Problem, and as a solver of its snapshots.

``make`` and ``solve`` have the shapes that the judge's ``bench.py`` and ``snapbench.py`` ask for. Nothing here knows
more than the rules allow: a day's orders once they are placed, its stores and its shifts.
"""

import time
from collections.abc import Callable
from typing import Any

from cython_ext.dispatch import engine, pay
from cython_ext.dispatch.demand import Demand
from cython_ext.dispatch.travel import Plane
from cython_ext.dispatch.types import Batch, Order, Plan, Request, Shopper, Stop, Weights

Command = tuple[str, Any]

DAYS = Weights(drive=0.02, wait=1.0, late=0.3, busy=0.3, unserved=400.0)
"""A day is judged by click-to-door first: a minute of it costs 1, one beyond the target 0.3 more."""
DOLLAR = 0.5
"""Minutes of click-to-door that a dollar of pay is worth."""
PACE = 1.5
"""Orders an hour that a shopper can expect."""
RADIUS_MINUTES = 1e6
MOST_IN_CAR = 4.0
SECONDS = 0.0015
ITERATIONS = 300


class Day:
    """One day: who was given what, and the plan of a minute ago."""

    def __init__(self, inst: Any, step: float, *, iterations: int, seconds: float, seed: int) -> None:
        self._inst, self._step = inst, step
        self._iterations, self._seconds, self._seed = iterations, seconds, seed
        self._travel = Plane(inst.speed, is_whole=True)
        self._demand = Demand(dict(inst.stores))
        self._orders: dict[str, Order] = {}
        self._given: dict[str, int] = dict.fromkeys(inst.couriers, 0)
        self._promised: dict[str, tuple[Stop, ...]] = {}
        self._counted: set[str] = set()
        self._known: dict[str, tuple[tuple[Any, ...], Shopper]] = {}
        self._previous: dict[str, tuple[Stop, ...]] = {}

    def __call__(self, now: float, open_orders: list[Any], couriers: list[Any]) -> list[Command]:
        inst = self._inst
        orders = [self._order(o) for o in open_orders]
        shoppers = []
        for view in couriers:
            is_inbound = view.state in ("queued", "inbound")
            if is_inbound:
                orders += [self._orders[order_id] for order_id in view.orders]
            shoppers.append(self._shopper(now, view, is_inbound))
        made = engine.plan(
            Request(
                now=now,
                orders=orders,
                shoppers=shoppers,
                travel=self._travel,
                weights=DAYS,
                half_pick=inst.pick_service / 2,
                half_drop=inst.drop_service / 2,
                radius_minutes=RADIUS_MINUTES,
                previous=self._previous,
                demand=self._demand,
            ),
            seed=self._seed,
            iterations=self._iterations,
            seconds=self._seconds,
        )
        self._previous = made.routes
        return self._commands(now, made, {view.id: view for view in couriers})

    def _order(self, order: Any) -> Order:
        known = self._orders.get(order.id)
        if known is None:
            self._demand.observe(order.store)
            known = self._orders[order.id] = Order(
                order_id=order.id,
                store_id=order.store,
                store=(order.sx, order.sy),
                door=(order.x, order.y),
                placed=order.placed,
                ready=order.ready,
                due=order.placed + self._inst.target,
            )
        return known

    def _shopper(self, now: float, view: Any, is_inbound: bool) -> Shopper:
        inst, shift = self._inst, self._inst.couriers[view.id]
        extra = pay.cost_of_more(
            done=self._given[view.id],
            an_order=inst.pay_order,
            guarantee=inst.pay_hour * (shift.off - shift.on) / 60,
            expected=PACE * max(0.0, shift.off - max(now, shift.on)) / 60,
            worth=DOLLAR,
        )
        state = (view.x, view.y, view.free_at, extra)
        if not is_inbound and view.id in self._known and self._known[view.id][0] == state:
            return self._known[view.id][1]
        route = self._promised[view.id] if is_inbound else ()
        shopper = Shopper(
            shopper_id=view.id,
            at=inst.stores[view.store] if is_inbound else (view.x, view.y),
            free=view.arrive_at if is_inbound else view.free_at,
            off=view.off,
            orders=MOST_IN_CAR,
            pay=extra,
            route=route,
            locked=next((i for i, stop in enumerate(route) if stop[0] == "drop"), 0) if route else 0,
        )
        if not is_inbound:
            self._known[view.id] = (state, shopper)
        return shopper

    def _commands(self, now: float, made: Plan, views: dict[str, Any]) -> list[Command]:
        out: list[Command] = []
        for batch in made.batches:
            if batch.number:
                continue
            view = views[batch.shopper_id]
            if view.state in ("queued", "inbound"):
                if self._promise(batch):
                    out.append(self._told(batch))
            elif view.free_at <= now and batch.leave_by <= now:
                store = self._orders[batch.visits[0].order_id].store_id
                if self._inst.travel(view.x, view.y, *self._inst.stores[store]):
                    # Who only walks to the store may still be given other orders when he is there.
                    out.append((view.id, ("MOVE", store)))
                else:
                    self._promise(batch)
                    out.append(self._told(batch))
        out += [(move.shopper_id, ("MOVE", move.store_id)) for move in made.moves]
        return out

    def _promise(self, batch: Batch) -> bool:
        """Whether this is news."""
        stops = tuple((visit.kind, visit.order_id) for visit in batch.visits)
        is_news = self._promised.get(batch.shopper_id) != stops
        self._promised[batch.shopper_id] = stops
        for order_id in batch.order_ids:
            if order_id not in self._counted:
                self._counted.add(order_id)
                self._given[batch.shopper_id] += 1
        return is_news

    @staticmethod
    def _told(batch: Batch) -> Command:
        return batch.shopper_id, [("P" if visit.kind == "pick" else "D", visit.order_id) for visit in batch.visits]


def make(
    inst: Any, step: float = 1, *, iterations: int = ITERATIONS, seconds: float = SECONDS, seed: int = 1
) -> Callable[[float, list[Any], list[Any]], list[Command]]:
    """A policy for ``bench.py day --policy … --step 1``; give ``seconds=0.0`` for one that no clock disturbs."""
    return Day(inst, step, iterations=iterations, seconds=seconds, seed=seed)


def solve(snapshot: dict[str, Any], limit: float) -> dict[str, list[list[str]]]:
    """A plan for a snapshot within so many seconds, reading and writing included."""
    began = time.perf_counter()
    request = snapshot_request(snapshot)
    reserve = 0.002 + 8e-6 * len(snapshot["orders"])
    left = limit - (time.perf_counter() - began) - reserve
    made = engine.plan(request, iterations=10**9, seconds=max(left, 1e-3))
    return {
        shopper: [["P" if kind == "pick" else "D", order_id] for kind, order_id in stops]
        for shopper, stops in made.routes.items()
    }


def snapshot_request(snapshot: dict[str, Any]) -> Request:
    now, target, most = snapshot["now"], snapshot["target"], float(snapshot["max_onboard"])
    stores = {store: (float(at[0]), float(at[1])) for store, at in snapshot["stores"].items()}
    return Request(
        now=now,
        orders=[
            Order(
                order_id=o["id"],
                store_id=o["store"],
                store=stores[o["store"]],
                door=(o["x"], o["y"]),
                placed=o["placed"],
                ready=o["ready"],
                due=o["placed"] + target,
            )
            for o in snapshot["orders"]
        ],
        shoppers=[
            Shopper(shopper_id=c["id"], at=(c["x"], c["y"]), free=c["free_at"], off=c["off"], orders=most)
            for c in snapshot["couriers"]
        ],
        travel=Plane(snapshot["speed"], is_whole=True),
        weights=Weights(late=snapshot["weights"]["late"], unserved=snapshot["weights"]["unassigned"]),
        half_pick=snapshot["pick_service"] / 2,
        half_drop=snapshot["drop_service"] / 2,
        radius_minutes=snapshot["radius_min"],
    )
