"""When and where shoppers who are at work will be free: what is left of their batches, by the components of ETAs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from apps.common.geo import Point
from apps.dispatch import domain
from apps.dispatch.etas.domain import Stage, components
from apps.fulfilment.types import InHand
from apps.shoppers.types import AvailableShopper

WITHIN: Final = timedelta(minutes=15)
"""Who is free later than that is not reckoned with: too much may happen meanwhile."""
SOONEST: Final = timedelta(minutes=1)
"""Somebody at work is never said to be free before that, however late he is already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """A shopper who will be free ``after`` that time; ``shopper.point`` is where he then is, at his last door."""

    shopper: AvailableShopper
    after: timedelta


def coming(shopper: AvailableShopper, orders: Sequence[InHand], *, store: Point, now: datetime) -> Coming | None:
    """``orders`` are what he has not handed over, in the sequence of their doors.

    None when that is later than ``WITHIN``, or cannot be said. His position counts for the way he is on; what he has
    done in the store is told by the time since he began.
    """
    doors = [order.drop for order in orders if order.drop is not None]
    if not orders or len(doors) != len(orders):
        return None
    stage = _stage(orders)
    lines, units = sum(order.line_count for order in orders), sum(order.unit_count for order in orders)
    here = shopper.point if stage is Stage.DELIVERING else store
    left = components(stage, lines_left=lines, units_left=units, store=here, doors=doors, pace=shopper.pace)
    minutes = left.minutes
    if stage is Stage.ASSIGNED:
        to_store_s = domain.travel_s(domain.distance_m(shopper.point, store))
        minutes += (min(to_store_s, domain.APPROACH_S) - domain.APPROACH_S) / 60
    elif stage is Stage.PICKING:
        spent = (now - min(order.since for order in orders)).total_seconds() / 60
        minutes -= min(max(spent, 0.0), left.in_store)
    after = max(SOONEST, timedelta(minutes=minutes))
    return Coming(shopper=replace(shopper, point=doors[-1]), after=after) if after <= WITHIN else None


def _stage(orders: Sequence[InHand]) -> Stage:
    stages = {order.stage for order in orders}
    if stages == {"delivering"}:
        return Stage.DELIVERING
    return Stage.ASSIGNED if stages == {"assigned"} else Stage.PICKING
