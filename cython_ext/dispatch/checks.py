"""What either implementation refuses, in the same words."""

import math
from array import array
from collections.abc import Sequence

from cython_ext.dispatch.problem import LOADS, MOST_STOPS, PAY_STEPS, Problem

_ORDERS = ("order_store", "order_door", "ready", "opens", "due", "shop", "needs", "wait", "late", "fresh")
_SHOPPERS = ("shopper_place", "off", "pace", "skills", "locked")


def check(problem: Problem) -> None:
    """ValueError when lengths differ, a place does not exist or a number is none."""
    orders, shoppers, places = len(problem.placed), len(problem.free), len(problem.x)
    sizes = dict.fromkeys((*_ORDERS, "unserved", "pin", "placed"), orders) | dict.fromkeys(_SHOPPERS, shoppers)
    sizes |= {"y": places, "load": LOADS * orders, "capacity": LOADS * shoppers, "pay": PAY_STEPS * shoppers}
    for name, size in sizes.items():
        if len(getattr(problem, name)) != size:
            raise ValueError(f"{name} has {len(getattr(problem, name))} items; {size} are needed")
    if len(problem.matrix) not in (0, places * places):
        raise ValueError(f"matrix has {len(problem.matrix)} items; {places * places} are needed, or none")
    _check_places(problem, places)
    if not problem.speed > 0:
        raise ValueError(f"speed is {problem.speed}; it must be above 0")
    for name in ("x", "y", "placed", "ready", "opens", "due", "shop", "free", "off", "pace", "capacity", "load"):
        # One sum instead of a look at each number: infinities and NaN stay in it.
        if not math.isfinite(math.fsum(getattr(problem, name))):
            raise ValueError(f"{name} holds a number that is not finite; leave such orders and shoppers out")


def _check_places(problem: Problem, places: int) -> None:
    for name in ("order_store", "order_door", "shopper_place"):
        values: array[int] = getattr(problem, name)
        if values and not (min(values) >= 0 and max(values) < places):
            raise ValueError(f"{name} refers to a place that is none of the {places}")
    if problem.pin and not (min(problem.pin) >= -1 and max(problem.pin) < len(problem.free)):
        raise ValueError(f"pin refers to a shopper who is none of the {len(problem.free)}")


def warm_routes(problem: Problem, routes: Sequence[Sequence[int]]) -> list[list[int]]:
    """One list of stops for every shopper; ValueError when one is too long, or its stops make no route.

    Fewer routes than shoppers are filled up with empty ones. An order may be in one route only, picked up before it
    is dropped; one that is only dropped is aboard already and must be pinned to its shopper.
    """
    shoppers = len(problem.free)
    if len(routes) > shoppers:
        raise ValueError(f"{len(routes)} routes for {shoppers} shoppers")
    filled = [list(stops) for stops in routes] + [[] for _ in range(shoppers - len(routes))]
    orders, taken = len(problem.placed), set[int]()
    for shopper, stops in enumerate(filled):
        if len(stops) > MOST_STOPS:
            raise ValueError(f"a route of {len(stops)} stops; {MOST_STOPS} are the most")
        if stops:
            _check_stops(problem, shopper, stops, orders, taken)
    return filled


def _check_stops(problem: Problem, shopper: int, stops: list[int], orders: int, taken: set[int]) -> None:
    in_car, done = set[int](), set[int]()
    for stop in stops:
        order = stop >> 1
        if not 0 <= order < orders:
            raise ValueError(f"stop {stop} is of order {order}, which is none of the {orders}")
        if order in taken or order in done or (order in in_car and not stop & 1):
            raise ValueError(f"order {order} is in the routes twice")
        if not stop & 1:
            in_car.add(order)
            continue
        if order not in in_car and problem.pin[order] != shopper:
            raise ValueError(
                f"order {order} is dropped without a pickup by shopper {shopper}, to whom it is not pinned"
            )
        in_car.discard(order)
        done.add(order)
    if in_car:
        raise ValueError(f"orders {sorted(in_car)} are picked up and never dropped")
    taken |= done
