"""From a request to flat arrays: who can take part at all, and why others cannot."""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cython_ext.dispatch.problem import MOST_STOPS, PAY_STEPS, Problem
from cython_ext.dispatch.types import ANY_LOAD, Held, Order, Point, Request, Shopper, Stop

_MOST_SKILLS = 31


@dataclass(slots=True)
class Built:
    """A problem, whom its numbers stand for, and the routes to start from."""

    problem: Problem
    orders: list[Order]
    shoppers: list[Shopper]
    warm: list[list[int]]
    held: list[Held]
    ignored: list[tuple[str, str]]


def build(request: Request) -> Built:
    ignored: list[tuple[str, str]] = []
    shoppers = _usable_shoppers(request.shoppers, ignored)
    held: list[Held] = []
    orders = _usable_orders(request.orders, held)
    number = {order.order_id: i for i, order in enumerate(orders)}
    shoppers = _with_known_routes(shoppers, number, ignored)
    pin = array("i", [-1]) * len(orders)
    for k, shopper in enumerate(shoppers):
        for _, order_id in shopper.route:
            pin[number[order_id]] = k
    problem = _problem(request, orders, shoppers, pin)
    return Built(problem, orders, shoppers, _warm(request, shoppers, number, pin), held, ignored)


def _is_place(place: Point | None) -> bool:
    return place is not None and math.isfinite(place[0] + place[1])


def _usable_orders(orders: Sequence[Order], held: list[Held]) -> list[Order]:
    usable, seen = [], set[str]()
    for order in orders:
        times = order.placed + order.ready + order.due + order.opens + order.shop_minutes + order.fresh
        if order.order_id in seen:
            held.append(Held(order.order_id, "twice", "The request names this order more than once; the first counts."))
            continue
        seen.add(order.order_id)
        if not _is_place(order.store):
            held.append(Held(order.order_id, "store_unplaced", "Its store has no position; set the store's."))
        elif not _is_place(order.door):
            held.append(Held(order.order_id, "door_unplaced", "Its address has no position; locate the address."))
        elif not math.isfinite(times) or not order.kilograms + order.litres < ANY_LOAD or order.shop_minutes < 0:
            held.append(Held(order.order_id, "not_a_number", "A time or load of it is no usable number; correct it."))
        else:
            usable.append(order)
    return usable


def _usable_shoppers(shoppers: Sequence[Shopper], ignored: list[tuple[str, str]]) -> list[Shopper]:
    usable, seen = [], set[str]()
    for shopper in shoppers:
        numbers = (shopper.free, shopper.off, shopper.pace, shopper.orders, shopper.kilograms, shopper.litres)
        if shopper.shopper_id in seen:
            ignored.append((shopper.shopper_id, "named more than once; the first counts"))
        elif not _is_place(shopper.at):
            ignored.append((shopper.shopper_id, "has no position"))
        elif not math.isfinite(sum(numbers, sum(shopper.pay))) or shopper.pace < 0:
            ignored.append((shopper.shopper_id, "has a time, pace, capacity or pay that is no usable number"))
        elif len(shopper.route) > MOST_STOPS:
            ignored.append((shopper.shopper_id, f"has a promised route of more than {MOST_STOPS} stops"))
        else:
            usable.append(shopper)
        seen.add(shopper.shopper_id)
    return usable


def _with_known_routes(
    shoppers: list[Shopper], number: dict[str, int], ignored: list[tuple[str, str]]
) -> list[Shopper]:
    """Without those whose promised route makes no sense: an unknown order, one of another's, or stops out of order."""
    usable, taken = [], set[str]()
    for shopper in shoppers:
        if not shopper.route:
            usable.append(shopper)
            continue
        mine = {order_id for _, order_id in shopper.route}
        if mine - number.keys():
            ignored.append((shopper.shopper_id, "is promised an order that the request does not hold"))
        elif mine & taken:
            ignored.append((shopper.shopper_id, "is promised an order that another shopper is promised too"))
        elif not _is_complete(shopper.route):
            ignored.append((shopper.shopper_id, "has a promised route in which a stop is missing or out of order"))
        else:
            taken |= mine
            usable.append(shopper)
    return usable


def _is_complete(route: Iterable[Stop]) -> bool:
    picked, dropped = set[str](), set[str]()
    for kind, order_id in route:
        if order_id in dropped or (kind == "pick" and order_id in picked):
            return False
        (picked if kind == "pick" else dropped).add(order_id)
    return picked <= dropped


def _problem(request: Request, orders: list[Order], shoppers: list[Shopper], pin: "array[int]") -> Problem:
    weights, now = request.weights, request.now
    places: list[Point] = []
    store_place: dict[str, int] = {}
    for order in orders:
        if order.store_id not in store_place:
            store_place[order.store_id] = len(places)
            places.append(order.store or (0.0, 0.0))
    doors = len(places)
    places += [order.door or (0.0, 0.0) for order in orders]
    homes = len(places)
    places += [shopper.at or (0.0, 0.0) for shopper in shoppers]
    grid = request.travel.grid(places, now)
    bits = _bits(orders, shoppers)
    count = len(orders)
    return Problem(
        x=grid.x,
        y=grid.y,
        speed=grid.speed,
        is_whole=grid.is_whole,
        matrix=grid.matrix,
        half_pick=request.half_pick,
        half_drop=request.half_drop,
        radius=request.radius_minutes,
        drive=weights.drive,
        busy=weights.busy,
        order_store=array("i", [store_place[order.store_id] for order in orders]),
        order_door=array("i", range(doors, homes)),
        placed=array("d", [order.placed for order in orders]),
        ready=array("d", [order.ready for order in orders]),
        opens=array("d", [order.opens for order in orders]),
        due=array("d", [order.due for order in orders]),
        shop=array("d", [order.shop_minutes for order in orders]),
        load=array("d", [load for order in orders for load in (1.0, order.kilograms, order.litres)]),
        needs=array("i", [sum(bits[need] for need in order.needs) if order.needs else 0 for order in orders]),
        wait=array("d", [weights.wait]) * count,
        late=array("d", [weights.late]) * count,
        fresh=array("d", [order.fresh for order in orders]),
        unserved=array("d", [weights.unserved]) * count,
        pin=pin,
        shopper_place=array("i", range(homes, homes + len(shoppers))),
        free=array("d", [max(now, shopper.free) for shopper in shoppers]),
        off=array("d", [shopper.off for shopper in shoppers]),
        pace=array("d", [shopper.pace for shopper in shoppers]),
        capacity=array("d", [room for s in shoppers for room in (s.orders, s.kilograms, s.litres)]),
        skills=array("i", [sum(bits.get(skill, 0) for skill in s.skills) if s.skills else 0 for s in shoppers]),
        pay=array("d", [pay for shopper in shoppers for pay in _pay_steps(shopper.pay)]),
        locked=array("i", [shopper.locked for shopper in shoppers]),
    )


def _pay_steps(pay: tuple[float, ...]) -> tuple[float, ...]:
    """Nothing for no order; beyond what is told, as much as for the last one told."""
    if len(pay) == PAY_STEPS - 1:
        return (0.0, *pay)
    steps = [0.0, *pay[: PAY_STEPS - 1]]
    rise = steps[-1] - steps[-2] if len(steps) > 1 else 0.0
    while len(steps) < PAY_STEPS:
        steps.append(steps[-1] + rise)
    return tuple(steps)


def _bits(orders: list[Order], shoppers: list[Shopper]) -> dict[str, int]:
    """A bit for each need of an order. ValueError beyond 31 kinds: nobody tells so many certificates apart."""
    needs = sorted({need for order in orders for need in order.needs})
    if len(needs) > _MOST_SKILLS:
        raise ValueError(f"{len(needs)} kinds of needs; at most {_MOST_SKILLS} are told apart: group some of them")
    return {need: 1 << i for i, need in enumerate(needs)}


def _warm(request: Request, shoppers: list[Shopper], number: dict[str, int], pin: "array[int]") -> list[list[int]]:
    """The last plan as far as it still holds; what is promised in any case, first."""
    warm, taken = [], set[int]()
    for shopper in shoppers:
        stops = [2 * number[order_id] + (kind == "drop") for kind, order_id in shopper.route]
        before = request.previous.get(shopper.shopper_id)
        if not before:
            warm.append(stops)
            continue
        known = [(kind, number[order_id]) for kind, order_id in before if order_id in number]
        loose = [2 * i + (kind == "drop") for kind, i in known if pin[i] < 0 and i not in taken]
        loose = _whole(loose)
        if len(stops) + len(loose) <= MOST_STOPS:
            stops += loose
            taken.update(stop >> 1 for stop in loose)
        warm.append(stops)
    return warm


def _whole(stops: list[int]) -> list[int]:
    """Only the orders that are picked up and, later, dropped."""
    held, good = set[int](), set[int]()
    for stop in stops:
        if not stop & 1:
            held.add(stop >> 1)
        elif stop >> 1 in held:
            good.add(stop >> 1)
    seen = set[int]()
    whole = []
    for stop in stops:
        if stop >> 1 in good and stop not in seen:
            seen.add(stop)
            whole.append(stop)
    return whole
