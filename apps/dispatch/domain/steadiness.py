"""Plans that change only for something worth changing for.

Travel times and positions change a little with every turn, and of two plans about as good now one is the better and now
the other. Whom a held order goes to should not follow that. So a new plan is compared with the last one group by group:
the shoppers between whom orders have changed hands, and nobody else. What such a change gains has to be worth
``WORTH``; where it is not, the group keeps what it had, and what is new finds the best place in it.
"""

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cython_ext.dispatch import engine
from cython_ext.dispatch.travel import Grid, Point, Travel
from cython_ext.dispatch.types import Plan, Request, Stop

WORTH: Final = 3.0
"""In the planner's unit: a shopper's drive that is two minutes shorter, or an order that is half a minute less late."""
MOST_GROUPS: Final = 50
"""Compared in one plan; a zone that changes in more places than that has changed."""

Routes = Mapping[str, Sequence[Stop]]


def plan(request: Request, *, iterations: int, seconds: float) -> Plan:
    """The engine's plan, but for changes since ``request.previous`` that gain less than ``WORTH``.

    ``seconds`` bounds the search; the comparison takes some milliseconds more.
    """
    request = replace(request, travel=OneGrid(request.travel))
    made = engine.plan(request, iterations=iterations, seconds=seconds)
    groups = list(_changed(request, made.routes))
    if not groups or len(groups) > MOST_GROUPS:
        return made
    routes: dict[str, Sequence[Stop]] = dict(made.routes)
    is_any_kept = False
    for group in groups:
        kept = _of_group(request, group, request.previous, made.routes)
        if kept.cost - _of_group(request, group, made.routes, request.previous).cost < WORTH:
            for shopper_id in group:
                routes.pop(shopper_id, None)
            routes.update(kept.routes)
            is_any_kept = True
    return engine.plan(replace(request, previous=routes), iterations=0) if is_any_kept else made


def _changed(request: Request, routes: Routes) -> Iterator[frozenset[str]]:
    """Groups of shoppers between whom orders have changed hands. A shopper or an order that is gone changes none."""
    present = {shopper.shopper_id for shopper in request.shoppers}
    orders = {order.order_id for order in request.orders}
    now = _takers(routes)
    group_of: dict[str, set[str]] = {}
    for order_id, before in _takers(request.previous).items():
        after = now.get(order_id, before)
        if after == before or order_id not in orders or before not in present:
            continue
        joined = group_of.get(before, {before}) | group_of.get(after, {after})
        group_of.update(dict.fromkeys(joined, joined))
    yield from sorted({frozenset(group) for group in group_of.values()}, key=min)


def _takers(routes: Routes) -> dict[str, str]:
    return {order_id: shopper_id for shopper_id, stops in routes.items() for _, order_id in stops}


def _of_group(request: Request, group: Collection[str], routes: Routes, others: Routes) -> Plan:
    """What the group does and costs by ``routes``, with all orders that it has there or by ``others``."""
    mine = {order_id for each in (routes, others) for one in group for _, order_id in each.get(one, ())}
    return engine.plan(
        replace(
            request,
            orders=[order for order in request.orders if order.order_id in mine],
            shoppers=[shopper for shopper in request.shoppers if shopper.shopper_id in group],
            previous={shopper_id: routes[shopper_id] for shopper_id in group if shopper_id in routes},
        ),
        iterations=0,
    )


@dataclass(slots=True)
class OneGrid:
    """A travel-time source that is asked once: what it said for all places holds for some of them."""

    source: Travel
    _number: dict[Point, int] = field(default_factory=dict)
    _grid: Grid | None = None

    def grid(self, places: Sequence[Point], now: float) -> Grid:
        if self._grid is None or any(place not in self._number for place in places):
            self._number = {place: i for i, place in enumerate(places)}
            self._grid = self.source.grid(places, now)
            return self._grid
        numbers, whole = [self._number[place] for place in places], self._grid
        count = len(whole.x)
        return replace(
            whole,
            x=array("d", [whole.x[i] for i in numbers]),
            y=array("d", [whole.y[i] for i in numbers]),
            matrix=array("f", [whole.matrix[i * count + j] for i in numbers for j in numbers] if whole.matrix else ()),
        )
