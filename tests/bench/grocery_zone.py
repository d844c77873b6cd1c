"""A zone small enough to reckon in the head: minutes are the difference of positions on one street."""

from array import array

from bench.dispatch.grocery.baskets import Baskets, Line
from bench.dispatch.grocery.day import Day, Order, Shopper
from bench.dispatch.grocery.roads import Table
from bench.dispatch.grocery.zone import Zone

POSITIONS = (0, 10, 2, 4, 6, 8, 12, 14)
"""Minutes along the street: two stores, then six addresses."""


def zone() -> Zone:
    rows = [array("f", [abs(a - b) for b in POSITIONS]) for a in POSITIONS]
    lines = [Line(1, 0.5, False), Line(2, 1.5, True)]
    return Zone(
        table=Table([(40.0, -83.0 + position / 100) for position in POSITIONS], rows),
        popularity=(2.0, 1.0),
        names=("Store A", "Store B"),
        baskets=Baskets(lines, hours=(1,) * 24, mean_lines=9.0, shape=1.0, alcohol=0.01),
    )


def order(number: int, door: int, **other: object) -> Order:
    """Ten minutes in the store, wanted at once, within two hours of the first minute."""
    told: dict[str, object] = {
        "store": 0,
        "placed": 0.0,
        "starts": 0.0,
        "ends": 120.0,
        "opens": 0.0,
        "is_asap": True,
        "lines": 12,
        "units": 7.5,  # 12 x 45 s + 7.5 x 8 s
        "kilograms": 10.0,
        "needs": frozenset[str](),
    }
    return Order(order_id=number, door=door, **(told | other))  # type: ignore[arg-type]


def shopper(number: int, **other: object) -> Shopper:
    told: dict[str, object] = {
        "home": 2,
        "on": 0.0,
        "off": 240.0,
        "orders": 3,
        "units": 60.0,
        "kilograms": 40.0,
        "skills": frozenset[str](),
        "pace": 1.0,
    }
    return Shopper(shopper_id=number, **(told | other))  # type: ignore[arg-type]


def day(orders: list[Order], shoppers: list[Shopper], *, pace: float = 1.0, snag: float = 1.0) -> Day:
    return Day(
        zone=zone(),
        orders={order.order_id: order for order in orders},
        shoppers={shopper.shopper_id: shopper for shopper in shoppers},
        true_pace={shopper.shopper_id: pace for shopper in shoppers},
        snags={order.order_id: snag for order in orders},
    )
