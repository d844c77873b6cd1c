"""One search of the reference: its routes, who is near whom, and what a round takes out and puts back."""

import math
import time

from cython_ext.dispatch.problem import Problem
from cython_ext.dispatch.routes import NEVER, Plain, Route, best_insertion, made, one_more, walk

SLOTS = 64
"""Weighed routes remembered for each order."""
ENDS, ENDS_LAST = 4, 16
"""Routes to put an order last in, and for how many tries the choice of them is kept."""
ALIKE, DOORS = 20, 12
"""Orders like an order; orders whose door is near a store."""
FEW_SHOPPERS, WIDE = 48, 96
"""So many shoppers are all weighed; up to so many the ends are looked over each time."""
LOOSE_TRIED = 3
"""Orders nobody has that each round tries again."""
BLINK = 0.01
"""The chance that a place is passed over."""
STRINGS, LONGEST = 6, 6
"""At most so many strings of so many orders are taken out."""

_WORD = 0xFFFFFFFFFFFFFFFF


class Chance:
    """SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014): the same numbers in both implementations."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _WORD

    def __call__(self) -> float:
        """From 0 up to 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
        return float((z ^ (z >> 31)) >> 11) * (1.0 / 9007199254740992.0)

    def below(self, count: int) -> int:
        return int(self() * count)


class Search:
    """One search: the routes, who is near whom, and what the running round has changed."""

    def __init__(self, problem: Problem, warm: list[list[int]], seed: int) -> None:
        self.plain, self.p = Plain(problem), problem
        self.n, self.m = len(problem.placed), len(problem.free)
        self.chance = Chance(seed)
        self.version = 1
        self.cost = 0.0
        for unserved in problem.unserved:
            self.cost += unserved
        self.where = [-1] * self.n
        self.routes: list[Route] = []
        self.touched: dict[int, Route] = {}
        self.gone: list[int] = []
        self.loose: list[int] = []
        self.slots: dict[tuple[int, int], tuple[int, int, float, int, int]] = {}
        self.is_wide = True
        self.ends: dict[int, list[int]] = {}
        self.ends_age = [0] * self.n
        for shopper in range(self.m):
            self._load(shopper, warm[shopper])
        self.alike, self.doors = _neighbours(self.plain)
        self.alike_n = min(ALIKE, self.n)
        self.best: list[list[int]] = []
        self.best_cost = NEVER

    def _load(self, shopper: int, stops: list[int]) -> None:
        """Start from this route; from what is pinned of it, when it is no longer allowed."""
        self.version += 1
        route, is_allowed = made(self.plain, shopper, list(stops))
        if not is_allowed:
            route, _ = made(self.plain, shopper, [stop for stop in stops if self.p.pin[stop >> 1] >= 0])
        route.version = self.version
        self.routes.append(route)
        self.cost += route.cost
        for stop in route.stops:
            if self.where[stop >> 1] < 0:
                self.where[stop >> 1] = shopper
                self.cost -= self.p.unserved[stop >> 1]

    # -------------------------------------------------------------- changing routes

    def touch(self, k: int) -> Route:
        """Before a route changes in this round: keep what it was."""
        route = self.routes[k]
        if k not in self.touched:
            self.touched[k] = Route(
                k, list(route.stops), list(route.at), route.orders, route.cost, route.end, route.version
            )
        self.version += 1
        route.version = self.version
        return route

    def take_out(self, order: int) -> None:
        route = self.touch(self.where[order])
        self.cost -= route.cost
        first = next(i for i, stop in enumerate(route.stops) if stop >> 1 == order)
        route.stops = [stop for stop in route.stops if stop >> 1 != order]
        self._lose(order)
        if not walk(self.plain, route, first):
            # Without its beginning the rest starts too far away.
            for stop in route.stops:
                if self.p.pin[stop >> 1] < 0 and self.where[stop >> 1] >= 0:
                    self._lose(stop >> 1)
            route.stops = [stop for stop in route.stops if self.p.pin[stop >> 1] >= 0]
            walk(self.plain, route, 0)
        self.cost += route.cost

    def _lose(self, order: int) -> None:
        self.where[order] = -1
        self.cost += self.p.unserved[order]
        self.gone.append(order)

    def put_in(self, order: int, k: int, i: int, j: int) -> None:
        route = self.touch(k)
        self.cost -= route.cost
        route.stops[j:j] = [2 * order + 1]
        route.stops[i:i] = [2 * order]
        walk(self.plain, route, i)
        self.cost += route.cost - self.p.unserved[order]
        self.where[order] = k

    # -------------------------------------------------------------- putting one order in

    def _best_ends(self, order: int) -> list[int]:
        """The routes that look cheapest to put the order last in, by the straight line."""
        p = self.p
        store = p.order_store[order]
        pace, direct = 1 / p.speed, self.plain.leg(store, p.order_door[order])
        rest = p.half_pick + p.half_drop + direct
        guesses = []
        for k, route in enumerate(self.routes):
            end = route.at[-1]
            dx, dy = p.x[end.node] - p.x[store], p.y[end.node] - p.y[store]
            way = math.sqrt(dx * dx + dy * dy) * pace
            act = max(end.leave + way + p.half_pick, p.ready[order])
            is_in_reach = way <= (NEVER if route.stops else p.radius)
            refused = 1e9 if act > p.off[k] or not is_in_reach else 0.0
            over = max(act + rest - p.due[order], 0.0)
            guess = (
                p.drive * (way + direct)
                + p.late[order] * over
                + p.wait[order] * (act + rest - p.placed[order])
                + p.busy * (act + rest - end.leave)
                + one_more(self.plain, route)
                + refused
            )
            guesses.append((guess, k))
        return [k for _, k in sorted(guesses)[:ENDS]]

    def _weighed(self, order: int, k: int, limit: float) -> tuple[float, int, int]:
        slot = self.slots.get((order, k % SLOTS))
        version = self.routes[k].version
        if slot is None or slot[:2] != (k, version) or (slot[3] < 0 and slot[2] < limit):
            slot = (k, version, *best_insertion(self.plain, self.routes[k], order, limit))
            self.slots[order, k % SLOTS] = slot
        return slot[2:]

    def _candidates(self, order: int) -> list[int]:
        """Shoppers to weigh for the order, the likeliest first, some more than once; -1 for none."""
        if self.p.pin[order] >= 0:
            return [self.p.pin[order]]
        if self.m <= FEW_SHOPPERS:
            return list(range(self.m))
        if self.is_wide or self.ends_age[order] <= 0:
            self.ends_age[order] = ENDS_LAST
            self.ends[order] = self._best_ends(order)
        self.ends_age[order] -= 1
        changed = [] if self.is_wide else list(self.touched)
        like = [self.where[other] for other in self.alike[order]]
        near = [self.where[other] for other in self.doors[self.p.order_store[order]]]
        return changed + self.ends[order] + like + near

    def insert(self, order: int, blink: float) -> None:
        """Put the order where it costs least, if that costs less than leaving it out."""
        best, who = self.p.unserved[order], -1
        if self.p.pin[order] >= 0:
            blink = 0.0
        seen = {-1}
        for k in self._candidates(order):
            if k in seen:
                continue
            seen.add(k)
            if blink > 0 and self.chance() < blink:
                continue
            cost, i, _ = self._weighed(order, k, best)
            if i >= 0 and cost < best:
                best, who = cost, k
        if who >= 0:
            _, i, j = self._weighed(order, who, NEVER)
            self.put_in(order, who, i, j)

    # -------------------------------------------------------------- ruin and recreate

    def ruin(self) -> None:
        """Take strings of orders like a chosen one out of the routes they are in."""
        self.gone = []
        seed = self.chance.below(self.n)
        strings = 1 + self.chance.below(STRINGS)
        seen = {-1}
        for order in (seed, *self.alike[seed]):
            if strings == 0:
                break
            if self.where[order] in seen:
                continue
            seen.add(self.where[order])
            stops = self.routes[self.where[order]].stops
            inside = [stop >> 1 for stop in stops if not stop & 1 and self.p.pin[stop >> 1] < 0]
            if not inside:
                continue
            strings -= 1
            at = inside.index(order) if order in inside else 0
            length = 1 + self.chance.below(min(len(inside), LONGEST))
            first = max(0, min(at - self.chance.below(length), len(inside) - length))
            for taken in inside[first : first + length]:
                if self.where[taken] >= 0:
                    self.take_out(taken)

    def add_loose(self) -> None:
        """Let some of the orders that nobody has be tried as well."""
        count = len(self.loose)
        tried = self.loose[:]
        if count > LOOSE_TRIED:
            tried = [self.loose[self.chance.below(count)] for _ in range(LOOSE_TRIED)]
        for order in tried:
            if order not in self.gone:
                self.gone.append(order)

    def arrange(self) -> None:
        """In what order to put back: by chance, by promise, farthest first, or by when they are ready."""
        p, how = self.p, self.chance.below(8)
        if how < 3:
            keys = [self.chance() for _ in self.gone]
        elif how < 5:
            keys = [p.due[order] for order in self.gone]
        elif how < 7:
            keys = [-self.plain.leg(p.order_store[order], p.order_door[order]) for order in self.gone]
        else:
            keys = [p.ready[order] for order in self.gone]
        self.gone = [order for _, order in sorted(zip(keys, self.gone, strict=True), key=lambda pair: pair[0])]

    def _note_loose(self, order: int) -> None:
        if self.where[order] < 0 and order not in self.loose:
            self.loose.append(order)
        elif self.where[order] >= 0 and order in self.loose:
            # The last one takes the place of the one that leaves.
            self.loose[self.loose.index(order)] = self.loose[-1]
            self.loose.pop()

    def remember(self) -> None:
        self.best = [list(route.stops) for route in self.routes]
        self.best_cost = self.cost

    def build(self, until: float) -> None:
        """Put in everybody who is in no route yet, by when they are ready; those left at the deadline stay out."""
        todo = sorted((order for order in range(self.n) if self.where[order] < 0), key=lambda o: (self.p.ready[o], o))
        self.is_wide = True
        for number, order in enumerate(todo):
            if until <= 0 or number % 16 or time.monotonic() < until:
                self.insert(order, 0.0)
            self._note_loose(order)
        self.remember()

    def keep(self) -> None:
        for order in self.gone:
            self._note_loose(order)
        if self.cost < self.best_cost - 1e-9:
            self.remember()

    def undo(self, before: float) -> None:
        for order in self.gone:
            self.where[order] = -1
        for k, route in self.touched.items():
            self.routes[k] = route
            for stop in route.stops:
                self.where[stop >> 1] = k
        self.cost = before


def _neighbours(plain: Plain) -> tuple[list[list[int]], dict[int, list[int]]]:
    """For each order those like it (stores and doors near each other); for each store the orders with a door near."""
    p, leg = plain.p, plain.leg
    at_store: dict[int, list[int]] = {}
    for order, store in enumerate(p.order_store):
        at_store.setdefault(store, []).append(order)
    rows = list(at_store)
    doors, alike = {}, [[0]] * len(p.placed)
    for store in rows:
        by_door = sorted((leg(door, store), order) for order, door in enumerate(p.order_door))
        doors[store] = [order for _, order in by_door[:DOORS]]
        stores = sorted((leg(store, other), row) for row, other in enumerate(rows))
        for order in at_store[store]:
            found: list[tuple[float, int]] = []
            for far, row in stores:
                if len(found) > 6 * min(ALIKE, len(p.placed)):
                    break
                found += [
                    (far + leg(p.order_door[order], p.order_door[other]), other)
                    for other in at_store[rows[row]]
                    if other != order
                ]
            alike[order] = [other for _, other in sorted(found)[:ALIKE]]
    return alike, doors
