"""What is done without an engine: one order at a time, and bundles of what waits, first come, first served.

Both know what the engine knows: drives, minutes in the store at the pace told, cars, certificates and shifts.
"""

from collections.abc import Sequence
from itertools import pairwise, permutations

from bench.dispatch.grocery import day as days
from bench.dispatch.grocery.day import Order
from bench.dispatch.grocery.judge import Command, Idle, Policy, Stop
from bench.dispatch.grocery.zone import Zone


def one_at_a_time(zone: Zone) -> Policy:
    """Each order as its turn comes, to the nearest who is idle and may take it."""
    return _line(zone, bundles=False)


def first_come(zone: Zone) -> Policy:
    """The same, and with it what else waits at the store, in order of arrival, up to the limits.

    Bundling only doors within 4, 6 or 10 minutes of each other was worse on every day tried, so that is not here.
    """
    return _line(zone, bundles=True)


def _line(zone: Zone, *, bundles: bool) -> Policy:
    def policy(now: float, orders: list[Order], idle: list[Idle]) -> list[Command]:
        line = sorted(orders, key=lambda order: (_turn(zone, order), order.order_id))
        free, commands = list(idle), list[Command]()
        while line and free:
            first = line.pop(0)
            able = [view for view in free if _may_take(zone, view, [first], now)]
            view = min(able, key=lambda view: zone.table.minutes(view.place, first.store), default=None)
            if view is None or not _is_time(zone, view, first, now):
                continue
            chosen = [first]
            for order in line if bundles else ():
                fits = order.store == first.store and _may_take(zone, view, [*chosen, order], now)
                if fits and _is_time(zone, view, order, now):
                    chosen.append(order)
            free.remove(view)
            line = [order for order in line if order not in chosen]
            commands.append((view.shopper.shopper_id, _stops(zone, chosen)))
        return commands

    return policy


def _may_take(zone: Zone, view: Idle, orders: Sequence[Order], now: float) -> bool:
    """Whether car, certificates and shift allow it, all orders being of one store."""
    shopper = view.shopper
    in_store = days.STORE_MINUTES / 2 + sum(order.shop_minutes for order in orders) * shopper.pace
    return (
        len(orders) <= shopper.orders
        and sum(order.units for order in orders) <= shopper.units
        and sum(order.kilograms for order in orders) <= shopper.kilograms
        and all(order.needs <= shopper.skills for order in orders)
        and now + zone.table.minutes(view.place, orders[0].store) + in_store <= shopper.off
    )


def _turn(zone: Zone, order: Order) -> float:
    """When it joins the line: as it is placed, or when somebody has to set out to be there as its window opens."""
    return max(order.placed, order.opens - days.TYPICAL_APPROACH_MINUTES - _minutes(zone, order, 1.0))


def _is_time(zone: Zone, view: Idle, order: Order, now: float) -> bool:
    """Whether nobody would wait at the door."""
    way = zone.table.minutes(view.place, order.store)
    return now + way + _minutes(zone, order, view.shopper.pace) >= order.opens


def _minutes(zone: Zone, order: Order, pace: float) -> float:
    """From arriving at the store to the door."""
    way = zone.table.minutes(order.store, order.door)
    return days.STORE_MINUTES + order.shop_minutes * pace + way + days.DOOR_MINUTES / 2


def _stops(zone: Zone, orders: Sequence[Order]) -> list[Stop]:
    """All taken, then dropped along the shortest drive."""

    def drive(sequence: Sequence[Order]) -> float:
        places = [orders[0].store, *(order.door for order in sequence)]
        return sum(zone.table.minutes(here, there) for here, there in pairwise(places))

    picks: list[Stop] = [("pick", order.order_id) for order in orders]
    return picks + [("drop", order.order_id) for order in min(permutations(orders), key=drive)]
