"""Exchanging what two routes do from a moment on."""

import copy
import math

from cython_ext.dispatch.problem import LOADS, MOST_STOPS
from cython_ext.dispatch.routes import NEVER, Route, drop, ending, pick, walk
from cython_ext.dispatch.searching import Search


class Exchange:
    """Two routes that pass near each other change what they do from a moment on (2-opt*: J.-Y. Potvin and
    J.-M. Rousseau, Journal of the Operational Research Society 46(12), 1995), where both cars are empty."""

    def __init__(self, search: Search) -> None:
        self.search = search

    def __call__(self, heat: float) -> None:
        """The best exchange of two routes by chance, if the temperature lets it pass."""
        s = self.search
        order = s.chance.below(s.n)
        k = s.where[order]
        if not s.alike_n:
            return
        number = s.chance.below(s.alike_n)
        like = s.alike[order]
        other = s.where[like[number]] if number < len(like) else -1
        if k < 0 or other < 0 or k == other:
            return
        now = s.routes[k].cost + s.routes[other].cost
        best, chosen = NEVER, None
        for cut, orders in self._cuts(k):
            for other_cut, other_orders in self._cuts(other):
                if cut == len(s.routes[k].stops) and other_cut == len(s.routes[other].stops):
                    continue
                one = self._with_tail(k, cut, orders, s.routes[other], other_cut, best)
                if one >= best:
                    continue
                two = self._with_tail(other, other_cut, other_orders, s.routes[k], cut, best)
                if one + two < best:
                    best, chosen = one + two, (cut, other_cut)
        if chosen is None or not best < now - heat * math.log(s.chance() + 1e-300):
            return
        s.touched, s.gone = {}, []
        self._swap(k, chosen[0], other, chosen[1])
        s.keep()

    def _cuts(self, k: int) -> list[tuple[int, int]]:
        """(stop, orders not promised before it) where the car is empty and nothing behind is promised."""
        s = self.search
        stops, pin = s.routes[k].stops, s.p.pin
        promised = [i + 1 for i, stop in enumerate(stops) if pin[stop >> 1] >= 0]
        first = max([s.p.locked[k], *promised])
        in_car, orders, found = 0, 0, []
        for i in range(len(stops) + 1):
            if in_car == 0 and i >= first:
                found.append((i, orders))
            if i == len(stops):
                break
            if pin[stops[i] >> 1] >= 0:
                continue
            if stops[i] & 1:
                orders += 1
                in_car -= 1
            else:
                in_car += 1
        return found

    def _with_tail(self, k: int, cut: int, orders: int, other: Route, begin: int, most: float) -> float:
        """Cost of route k going on, from its cut, as the other does from ``begin``; NEVER where a rule refuses."""
        s = self.search
        p = s.p
        if cut + len(other.stops) - begin > MOST_STOPS:
            return NEVER
        state = copy.copy(s.routes[k].at[cut])
        limits = p.capacity[LOADS * k : LOADS * k + LOADS]
        for i, stop in enumerate(other.stops[begin:], begin):
            if stop & 1:
                drop(s.plain, state, stop >> 1)
                orders += 1
                if state.cost > most:
                    return NEVER
                continue
            if p.needs[stop >> 1] & ~p.skills[k] or not pick(s.plain, state, k, stop >> 1):
                return NEVER
            if any(other.at[i + 1].load[q] > limits[q] + 1e-9 for q in range(LOADS)):
                return NEVER
        return state.cost + ending(s.plain, k, state.leave, orders)

    def _swap(self, k: int, cut: int, other: int, other_cut: int) -> None:
        s = self.search
        route, along = s.touch(k), s.touch(other)
        s.cost -= route.cost + along.cost
        tail, other_tail = route.stops[cut:], along.stops[other_cut:]
        route.stops = route.stops[:cut] + other_tail
        along.stops = along.stops[:other_cut] + tail
        for stop in tail:
            s.where[stop >> 1] = other
        for stop in other_tail:
            s.where[stop >> 1] = k
        walk(s.plain, route, cut)
        walk(s.plain, along, other_cut)
        s.cost += route.cost + along.cost
