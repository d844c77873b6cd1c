"""When a trip should end, by what is told of its orders and its shopper."""

from collections.abc import Mapping, Sequence

from bench.dispatch.grocery.day import DOOR_MINUTES, STORE_MINUTES, Order, Shopper
from bench.dispatch.grocery.judge import Stop
from bench.dispatch.grocery.zone import Zone


def expected_end(
    zone: Zone, shopper: Shopper, place: int, stops: Sequence[Stop], orders: Mapping[int, Order], now: float
) -> float:
    """Of a trip that begins now at this place."""
    at, is_picking = now, False
    for kind, order_id in stops:
        order = orders[order_id]
        if kind == "drop":
            at = max(at + zone.table.minutes(place, order.door) + DOOR_MINUTES / 2, order.opens) + DOOR_MINUTES / 2
            place, is_picking = order.door, False
        else:
            if not (is_picking and place == order.store):
                at += zone.table.minutes(place, order.store) + STORE_MINUTES
            at += order.shop_minutes * shopper.pace
            place, is_picking = order.store, True
    return at
