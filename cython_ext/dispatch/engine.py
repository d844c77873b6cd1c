"""From a request to a plan: batches with their times, what is held and why, who should wait elsewhere."""

from array import array
from collections.abc import Iterator, Sequence

from cython_ext.dispatch import choices, search, stand_by, timetables
from cython_ext.dispatch.building import Built, build
from cython_ext.dispatch.problem import LOADS, Coverage, Problem
from cython_ext.dispatch.routes import Plain
from cython_ext.dispatch.types import Alternative, Batch, Held, Move, Order, Plan, Request, Stop, Visit

SOON_MINUTES = 20.0
"""Shoppers free within this time count where the next orders are expected."""


def plan(request: Request, *, seed: int = 1, iterations: int = 400, seconds: float = 0.0) -> Plan:
    """The best plan found in so many rounds and, where ``seconds`` is above 0, that time.

    Deterministic by seed as long as the rounds end in time; anytime: after no rounds at all it is valid. Orders and
    shoppers that make no sense are held or ignored with a reason, never raised.
    """
    built = build(request)
    answer = search(built.problem, built.warm, seed=seed, iterations=iterations, seconds=seconds)
    tables = timetables(built.problem, answer.routes)
    batches: list[Batch] = []
    routes: dict[str, tuple[Stop, ...]] = {}
    served: set[int] = set()
    plain = Plain(built.problem)
    for k, stops in enumerate(answer.routes):
        if stops:
            routes[built.shoppers[k].shopper_id] = _named(built.orders, stops)
            batches += _batches(built, plain, k, stops, tables[k])
            served.update(stop >> 1 for stop in stops)
    left = [i for i in range(len(built.orders)) if i not in served]
    reasons = _Reasons(built, plain)
    held = built.held + [reasons.held(i) for i in left]
    return Plan(
        batches=tuple(batches),
        held=tuple(held),
        moves=_moves(request, built, answer.routes),
        ignored=tuple(built.ignored),
        routes=routes,
        cost=answer.cost,
        iterations=answer.iterations,
        problem=built.problem,
        order_ids=tuple(order.order_id for order in built.orders),
        shopper_ids=tuple(shopper.shopper_id for shopper in built.shoppers),
    )


def why(made: Plan, order_id: str, *, most: int = 5) -> tuple[Alternative, ...]:
    """What the order would have cost with each of the cheapest shoppers and left out, everything else as planned.

    Cheapest first; the chosen one is always among them. KeyError for an order that the plan did not weigh.
    """
    order = dict(zip(made.order_ids, range(len(made.order_ids)), strict=True))[order_id]
    number = {order_id: i for i, order_id in enumerate(made.order_ids)}
    routes = [
        [2 * number[name] + (kind == "drop") for kind, name in made.routes.get(shopper_id, ())]
        for shopper_id in made.shopper_ids
    ]
    chosen = next((k for k, stops in enumerate(routes) if 2 * order + 1 in stops), None)
    found = choices(made.problem, routes, order)
    listed = [choice for i, choice in enumerate(found) if i < most or choice.shopper == chosen]
    weighed = [Alternative(made.shopper_ids[one.shopper], one.cost, one.shopper == chosen) for one in listed]
    weighed.append(Alternative(None, made.problem.unserved[order], chosen is None))
    return tuple(sorted(weighed, key=lambda alternative: (alternative.cost, not alternative.is_chosen)))


def _named(orders: list[Order], stops: Sequence[int]) -> tuple[Stop, ...]:
    return tuple(("drop" if stop & 1 else "pick", orders[stop >> 1].order_id) for stop in stops)


def _batches(
    built: Built, plain: Plain, shopper: int, stops: list[int], times: list[tuple[float, float]]
) -> list[Batch]:
    """The route cut where the car is empty."""
    problem, batches = built.problem, list[Batch]()
    node, leave = problem.shopper_place[shopper], problem.free[shopper]
    in_car = {stop >> 1 for i, stop in enumerate(stops) if stop & 1 and stop - 1 not in stops[:i]}
    begin, drive, late = 0, 0.0, 0.0
    began_at, began_leave = node, leave
    for i, stop in enumerate(stops):
        order = stop >> 1
        place = problem.order_door[order] if stop & 1 else problem.order_store[order]
        drive += plain.leg(node, place) if i == begin or not _joins(problem, stops, i) else 0.0
        node = place
        if not stop & 1:
            in_car.add(order)
            continue
        in_car.discard(order)
        late += max(0.0, times[i][0] - problem.due[order])
        if in_car:
            continue
        part = slice(begin, i + 1)
        spare = _spare(plain, shopper, stops[part], times[part], began_at, began_leave)
        visits = tuple(
            Visit("drop" if s & 1 else "pick", built.orders[s >> 1].order_id, act, left)
            for s, (act, left) in zip(stops[part], times[part], strict=True)
        )
        name = built.shoppers[shopper].shopper_id
        batches.append(Batch(name, len(batches), visits, began_leave, began_leave + spare, drive, late))
        begin, drive, late = i + 1, 0.0, 0.0
        began_at, began_leave = node, times[i][1]
    return batches


def _joins(problem: Problem, stops: Sequence[int], i: int) -> bool:
    """Another pickup at the store where the shopper is."""
    if stops[i] & 1 or stops[i - 1] & 1:
        return False
    return problem.order_store[stops[i] >> 1] == problem.order_store[stops[i - 1] >> 1]


def _spare(
    plain: Plain, shopper: int, stops: Sequence[int], times: Sequence[tuple[float, float]], node: int, leave: float
) -> float:
    """Minutes for which the shopper would only wait at the first store."""
    p = plain.p
    if stops[0] & 1:
        return 0.0
    act = leave + plain.leg(node, p.order_store[stops[0] >> 1]) + p.half_pick
    last = 0
    for i, stop in enumerate(stops):
        if i and not _joins(p, stops, i):
            break
        act += p.shop[stop >> 1] * p.pace[shopper]
        last = i
    return max(0.0, times[last][0] - act)


class _Reasons:
    """Why nobody takes an order: what a shopper with nothing else to do would be refused, or that others pay more."""

    def __init__(self, built: Built, plain: Plain) -> None:
        self._built, self._plain = built, plain
        self._near: dict[int, tuple[list[int], Iterator[int]]] = {}

    def held(self, order: int) -> Held:
        p, name = self._plain.p, self._built.orders[order].order_id
        if not len(p.free):
            return Held(name, "no_shopper", "Nobody is on shift; it waits for the first who comes.")
        store = p.order_store[order]
        could = (k for k in self._near_to(store) if self._is_skilled(k, order) and self._has_room(k, order))
        if any(self._first_pick(k, order) <= p.off[k] for k in could):
            return Held(
                name, "waits", "Everybody who could come is better used for others; it is tried again next time."
            )
        skilled = [k for k in range(len(p.free)) if self._is_skilled(k, order)]
        if not skilled:
            needs = ", ".join(sorted(self._built.orders[order].needs))
            return Held(name, "no_skill", f"Nobody on shift has all of: {needs}.")
        roomy = {k for k in skilled if self._has_room(k, order)}
        if not roomy:
            return Held(name, "too_big", "No car of those on shift holds it; it needs a bigger one or two trips.")
        if roomy.isdisjoint(self._near_to(store)):
            return Held(name, "too_far", f"Nobody is within {p.radius:g} minutes of its store.")
        return Held(name, "shifts_end", "It is not ready before the shifts of all who could come end.")

    def _near_to(self, store: int) -> Iterator[int]:
        """Shoppers within the radius, each looked at once for all orders of the store, and only as far as asked."""
        p = self._plain.p
        found, rest = self._near.setdefault(store, ([], iter(range(len(p.free)))))
        yield from found
        for k in rest:
            if self._plain.leg(p.shopper_place[k], store) <= p.radius:
                found.append(k)
                yield k

    def _is_skilled(self, k: int, order: int) -> bool:
        p = self._plain.p
        return not p.needs[order] & ~p.skills[k]

    def _has_room(self, k: int, order: int) -> bool:
        p = self._plain.p
        return all(p.load[LOADS * order + q] <= p.capacity[LOADS * k + q] for q in range(LOADS))

    def _first_pick(self, k: int, order: int) -> float:
        p = self._plain.p
        way = self._plain.leg(p.shopper_place[k], p.order_store[order])
        return max(p.free[k] + way + p.half_pick + p.shop[order] * p.pace[k], p.ready[order])


def _moves(request: Request, built: Built, routes: list[list[int]]) -> tuple[Move, ...]:
    if request.demand is None or not request.demand.stores:
        return ()
    places = request.demand.stores
    idle = [k for k, stops in enumerate(routes) if not stops and built.problem.free[k] <= request.now + SOON_MINUTES]
    may_move = array("i", [built.problem.free[k] <= request.now for k in idle])
    if not any(may_move):
        return ()
    grid = request.travel.grid([*places.values(), *(built.shoppers[k].at or (0.0, 0.0) for k in idle)], request.now)
    shares, count = request.demand.shares(), len(places)
    coverage = Coverage(
        x=grid.x[:count],
        y=grid.y[:count],
        share=array("d", [shares[store] for store in places]),
        delays=request.demand.delays(request.half_pick),
        at_x=grid.x[count:],
        at_y=grid.y[count:],
        away=array("d", [built.problem.free[k] - request.now for k in idle]),
        may_move=may_move,
        speed=grid.speed,
        is_whole=grid.is_whole,
    )
    names = list(places)
    return tuple(
        Move(built.shoppers[idle[k]].shopper_id, names[store], gain)
        for k, store, gain in stand_by(coverage, turn=int(request.now))
    )
