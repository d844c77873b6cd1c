"""Orders, shoppers and problems that name only what a test is about. One metre a minute on a line, unless said."""

from array import array
from typing import Any

from hypothesis import strategies as st

from cython_ext.dispatch.problem import LOADS, PAY_STEPS, Coverage, Problem
from cython_ext.dispatch.travel import Plane
from cython_ext.dispatch.types import Order, Request, Shopper, Weights


def order(order_id: str = "o1", **given: Any) -> Order:
    """Ready at once, from a store at 0 to a door at 10, due far in the future."""
    values: dict[str, Any] = {
        "store_id": "s",
        "store": (0.0, 0.0),
        "door": (10.0, 0.0),
        "placed": 0.0,
        "ready": 0.0,
        "due": 1000.0,
    }
    return Order(order_id=order_id, **(values | given))


def shopper(shopper_id: str = "a", **given: Any) -> Shopper:
    """Free now at 0, on shift for long."""
    return Shopper(shopper_id=shopper_id, **({"at": (0.0, 0.0), "free": 0.0, "off": 1000.0} | given))


def request(orders: list[Order], shoppers: list[Shopper], **given: Any) -> Request:
    values: dict[str, Any] = {"now": 0.0, "travel": Plane(1.0), "weights": Weights(), "radius_minutes": 500.0}
    return Request(orders=orders, shoppers=shoppers, **(values | given))


@st.composite
def problems(draw: st.DrawFn, most_orders: int = 9, most_shoppers: int = 5) -> tuple[Problem, list[list[int]]]:
    """Any problem that fits together, and routes to start from: promised ones, with orders aboard among them."""
    numbers = st.integers(0, 60)
    n, m, stores = draw(st.integers(0, most_orders)), draw(st.integers(0, most_shoppers)), draw(st.integers(1, 4))
    places = stores + n + m
    fraction = draw(st.sampled_from((1.0, 0.37)))

    def some(count: int, values: st.SearchStrategy[int] = numbers) -> "array[float]":
        drawn = draw(st.lists(values, min_size=count, max_size=count))
        return array("d", [value * fraction for value in drawn])

    def whole(count: int, values: st.SearchStrategy[int]) -> "array[int]":
        return array("i", draw(st.lists(values, min_size=count, max_size=count)))

    pin, warm = array("i", [-1]) * n, [list[int]() for _ in range(m)]
    if m:
        for i in range(n):
            kind = draw(st.sampled_from(("open", "open", "open", "promised", "aboard")))
            if kind != "open":
                pin[i] = draw(st.integers(0, m - 1))
                warm[pin[i]] += [2 * i, 2 * i + 1] if kind == "promised" else [2 * i + 1]
    matrix = array("f")
    if draw(st.booleans()):
        matrix = array("f", some(places * places))
    placed = some(n)
    rises = [draw(st.sampled_from((0.0, 3.0, 7.5))) for _ in range(m)]
    problem = Problem(
        x=some(places),
        y=some(places),
        speed=draw(st.sampled_from((1.0, 2.5))),
        is_whole=draw(st.booleans()),
        matrix=matrix,
        half_pick=draw(st.sampled_from((0.0, 2.0))),
        half_drop=draw(st.sampled_from((0.0, 1.5))),
        radius=draw(st.sampled_from((20.0, 1e6))),
        drive=draw(st.sampled_from((0.0, 1.0))),
        busy=draw(st.sampled_from((0.0, 0.3))),
        order_store=whole(n, st.integers(0, stores - 1)),
        order_door=array("i", range(stores, stores + n)),
        placed=placed,
        ready=some(n),
        opens=some(n),
        due=some(n),
        shop=some(n, st.integers(0, 10)),
        load=some(LOADS * n, st.integers(0, 4)),
        needs=whole(n, st.sampled_from((0, 0, 0, 1, 2, 3))),
        wait=some(n, st.integers(0, 2)),
        late=some(n, st.integers(0, 3)),
        fresh=some(n, st.integers(0, 1)),
        unserved=some(n, st.integers(0, 300)),
        pin=pin,
        shopper_place=array("i", range(stores + n, places)),
        free=some(m),
        off=some(m, st.integers(0, 300)),
        pace=some(m, st.integers(1, 2)),
        capacity=some(LOADS * m, st.integers(0, 12)),
        skills=whole(m, st.sampled_from((0, 1, 3))),
        pay=array("d", [rise * step for rise in rises for step in range(PAY_STEPS)]),
        locked=array("i", [draw(st.integers(0, len(stops))) for stops in warm]),
    )
    return problem, warm


@st.composite
def coverages(draw: st.DrawFn) -> Coverage:
    stores, shoppers = draw(st.integers(0, 6)), draw(st.integers(0, 6))

    def some(count: int) -> "array[float]":
        return array("d", draw(st.lists(st.integers(0, 50).map(lambda v: v / 2), min_size=count, max_size=count)))

    return Coverage(
        x=some(stores),
        y=some(stores),
        share=some(stores),
        delays=array("d", sorted(some(draw(st.integers(1, 40))))),
        at_x=some(shoppers),
        at_y=some(shoppers),
        away=some(shoppers),
        may_move=array("i", draw(st.lists(st.integers(0, 1), min_size=shoppers, max_size=shoppers))),
        speed=draw(st.sampled_from((1.0, 2.5))),
        is_whole=draw(st.booleans()),
    )
