"""Walking a route, and the best place for one more order: what ``_routes.pyx`` computes, written to be read.

*Times.* A shopper leaves where he is when he is free. At a store he arrives, spends half the pickup service and the
minutes in the store that the order asks of him (times his pace), waits until the order is ready, *acts* (takes it),
and leaves half a service later. Pickups in a row at one store are one stop: one service, taken at the latest of them.
At a door he arrives, spends half the drop service, waits until the delivery window opens, acts, and leaves half a
service later.

*Rules.* No pickup after the shift, the first stop within the radius, never more in the car than it holds, no order
without the skills it needs. What is pinned to a shopper is promised already: no rule refuses it, but nothing new may
put its pickup off beyond the shift.

*Cost.* For each minute driven ``drive``; for each order ``wait`` a minute from being placed to the door, ``late`` a
minute after it was due, ``fresh`` a minute in the car; for the route ``busy`` a minute of the shift it takes, and
what the shopper is paid for that many orders more.
"""

import copy
import math
from array import array
from dataclasses import dataclass, field

from cython_ext.dispatch.problem import LOADS, MOST_STOPS, PAY_STEPS, Problem

NEVER = 1e18


class Plain:
    """A problem with its travel times, as numbers of single precision (so that both implementations see the same)."""

    def __init__(self, problem: Problem) -> None:
        self.p = problem
        self._places = len(problem.x)
        self._legs: dict[tuple[int, int], float] = {}

    def leg(self, a: int, b: int) -> float:
        """Minutes from place a to place b."""
        p = self.p
        if p.matrix:
            return p.matrix[a * self._places + b]
        known = self._legs.get((a, b))
        if known is None:
            dx, dy = p.x[a] - p.x[b], p.y[a] - p.y[b]
            way = math.sqrt(dx * dx + dy * dy) / p.speed
            known = self._legs[a, b] = array("f", (float(math.ceil(way)) if p.is_whole else way,))[0]
        return known


@dataclass(slots=True)
class State:
    """A shopper on his way: when he last acted and left, where, and what it has cost so far."""

    leave: float
    act: float
    cost: float
    node: int
    is_picking: bool = False
    is_first: bool = True
    is_promised: bool = False
    load: tuple[float, ...] = (0.0,) * LOADS


@dataclass(slots=True)
class Route:
    """Stops of one shopper; ``at[k]`` is the state before stop k, ``at[-1]`` the end."""

    shopper: int
    stops: list[int] = field(default_factory=list)
    at: list[State] = field(default_factory=list)
    orders: int = 0
    cost: float = 0.0
    end: float = 0.0
    version: int = 0


def pick(plain: Plain, state: State, shopper: int, order: int) -> bool:
    """Go on to the pickup; False when a rule refuses it."""
    p, place = plain.p, plain.p.order_store[order]
    if state.is_picking and state.node == place:
        act = state.act + p.shop[order] * p.pace[shopper]
    else:
        way = plain.leg(state.node, place)
        if state.is_first and way > p.radius and not state.is_promised:
            return False
        state.cost += p.drive * way
        act = state.leave + way + p.half_pick + p.shop[order] * p.pace[shopper]
    act = max(act, p.ready[order])
    if act > p.off[shopper] and not state.is_promised:
        return False
    state.cost -= p.fresh[order] * act
    state.act, state.leave, state.node = act, act + p.half_pick, place
    state.is_picking, state.is_first = True, False
    return True


def drop(plain: Plain, state: State, order: int) -> None:
    """Go on to the door."""
    p, place = plain.p, plain.p.order_door[order]
    way = plain.leg(state.node, place)
    act = max(state.leave + way + p.half_drop, p.opens[order])
    state.cost += p.drive * way + p.wait[order] * (act - p.placed[order]) + p.fresh[order] * act
    if act > p.due[order]:
        state.cost += p.late[order] * (act - p.due[order])
    state.act, state.leave, state.node = act, act + p.half_drop, place
    state.is_picking, state.is_first = False, False


def advance(plain: Plain, state: State, shopper: int, stop: int) -> bool:
    if stop & 1:
        drop(plain, state, stop >> 1)
        return True
    return pick(plain, state, shopper, stop >> 1)


def ending(plain: Plain, shopper: int, leave: float, orders: int) -> float:
    """What it costs to be done then, having taken so many orders that were not promised before."""
    p = plain.p
    if orders == 0:
        return 0.0
    paid = p.pay[shopper * PAY_STEPS + min(orders, PAY_STEPS - 1)]
    return paid + p.busy * (min(leave, p.off[shopper]) - p.free[shopper])


def one_more(plain: Plain, route: Route) -> float:
    """What the shopper is paid for one order more."""
    first = route.shopper * PAY_STEPS + min(route.orders, PAY_STEPS - 2)
    return plain.p.pay[first + 1] - plain.p.pay[first]


def has_room(plain: Plain, route: Route, order: int, k: int) -> bool:
    p = plain.p
    return all(
        route.at[k].load[q] + p.load[LOADS * order + q] <= p.capacity[LOADS * route.shopper + q] + 1e-9
        for q in range(LOADS)
    )


def made(plain: Plain, shopper: int, stops: list[int]) -> tuple[Route, bool]:
    """The route, and whether it is allowed (when not, its times end where it is refused)."""
    p = plain.p
    aboard = [stop >> 1 for i, stop in enumerate(stops) if stop & 1 and stop - 1 not in stops[:i]]
    load = [0.0] * LOADS
    for order in aboard:
        for q in range(LOADS):
            load[q] += p.load[LOADS * order + q]
    begin = State(p.free[shopper], 0.0, 0.0, p.shopper_place[shopper], load=tuple(load))
    route = Route(shopper, stops, [begin])
    return route, walk(plain, route, 0)


def walk(plain: Plain, route: Route, k: int) -> bool:
    """Bring the times from stop k on up to date; False when a rule refuses a stop."""
    p, shopper = plain.p, route.shopper
    state = copy.copy(route.at[k])
    del route.at[k + 1 :]
    for stop in route.stops[k:]:
        order = stop >> 1
        state.is_promised = p.pin[order] >= 0
        if not advance(plain, state, shopper, stop):
            return False
        sign = -1.0 if stop & 1 else 1.0
        state.load = tuple(state.load[q] + sign * p.load[LOADS * order + q] for q in range(LOADS))
        if not stop & 1 and not state.is_promised:
            limits = p.capacity[LOADS * shopper : LOADS * shopper + LOADS]
            if any(state.load[q] > limits[q] + 1e-9 for q in range(LOADS)):
                return False
        state.is_promised = False
        route.at.append(copy.copy(state))
    route.orders = sum(1 for stop in route.stops if stop & 1 and p.pin[stop >> 1] < 0)
    route.end = ending(plain, shopper, state.leave, route.orders)
    route.cost = state.cost + route.end
    return True


def breaks_promise(plain: Plain, route: Route, state: State, k: int) -> bool:
    """Whether a promised pickup (stop k) would be put off beyond the shift, or farther beyond it."""
    return not route.stops[k] & 1 and state.act > plain.p.off[route.shopper] and state.act > route.at[k + 1].act


def finished(plain: Plain, route: Route, state: State, k: int, bound: float) -> float:
    """Cost of the route when it goes on in this state before stop k with one more order; NEVER when beyond bound."""
    for i in range(k, len(route.stops)):
        state.is_promised = plain.p.pin[route.stops[i] >> 1] >= 0
        if not advance(plain, state, route.shopper, route.stops[i]) or breaks_promise(plain, route, state, i):
            return NEVER
        if state.leave == route.at[i + 1].leave:
            # From here on everything is as it was.
            rest = route.at[-1].cost - route.at[i + 1].cost
            return state.cost + rest + ending(plain, route.shopper, route.at[-1].leave, route.orders + 1)
        if state.cost - route.at[i + 1].cost > bound:
            return NEVER
    return state.cost + ending(plain, route.shopper, state.leave, route.orders + 1)


def best_insertion(plain: Plain, route: Route, order: int, limit: float) -> tuple[float, int, int]:
    """(cost, i, j): the cheapest stops to pick up and to drop before; i is -1 when nothing costs less than limit."""
    p, shopper, count = plain.p, route.shopper, len(route.stops)
    place, door = p.order_store[order], p.order_door[order]
    best, best_i, best_j = limit, -1, -1
    if p.needs[order] & ~p.skills[shopper] or count + 2 > MOST_STOPS or p.pin[order] not in (-1, shopper):
        return NEVER, -1, -1
    more, direct = one_more(plain, route), plain.leg(place, door)
    for i in range(min(p.locked[shopper], count), count + 1):
        following = route.stops[i] if i < count else -1
        # Behind a pickup of the same store is as good as before it, and joins it.
        if i < count and not following & 1 and p.order_store[following >> 1] == place:
            continue
        if not has_room(plain, route, order, i):
            continue
        state = copy.copy(route.at[i])
        if not pick(plain, state, shopper, order):
            if state.is_first:
                continue
            break
        if _least_pick(plain, route, state, order, i, more, direct) >= best:
            continue
        for j in range(i, count + 1):
            if j > i:
                passed = route.stops[j - 1]
                state.is_promised = p.pin[passed >> 1] >= 0
                if not advance(plain, state, shopper, passed) or breaks_promise(plain, route, state, j - 1):
                    break
                if not passed & 1 and not has_room(plain, route, order, j):
                    break
                if state.cost - route.at[j].cost + more >= best:
                    break
            dropped = copy.copy(state)
            drop(plain, dropped, order)
            if j < count:
                on = route.at[j + 1].node
                longer = plain.leg(door, on) - plain.leg(route.at[j].node, on)
                if dropped.cost - route.at[j].cost + more + p.drive * longer >= best:
                    continue
            cost = finished(plain, route, dropped, j, best + route.end) - route.cost
            if cost < best:
                best, best_i, best_j = cost, i, j
    return best, best_i, best_j


def _least_pick(plain: Plain, route: Route, state: State, order: int, i: int, more: float, direct: float) -> float:
    """No drop of the order after this pickup costs less."""
    p, place = plain.p, plain.p.order_store[order]
    arrival = state.leave + direct + p.half_drop
    least = (
        state.cost - route.at[i].cost + more + (p.wait[order] * (arrival - p.placed[order]) + p.fresh[order] * arrival)
    )
    if arrival > p.due[order]:
        least += p.late[order] * (arrival - p.due[order])
    if i < len(route.stops):
        on = route.at[i + 1].node
        least += p.drive * (plain.leg(place, on) - plain.leg(route.at[i].node, on))
    else:
        least += p.drive * direct
    return least
