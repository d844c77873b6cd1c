"""A finished day looked at again from its log alone, and what it comes to."""

import statistics
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from bench.dispatch.grocery import day as days
from bench.dispatch.grocery.day import Day
from bench.dispatch.grocery.judge import Log, Trip, Visit

TOLERANCE = 1e-3
"""Minutes: drives are kept in single precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Minutes and shares of a day; ``late_minutes`` is over all delivered orders, in time or not."""

    orders: int
    delivered: int
    per_batch: float
    shopper_minutes: float
    """Per delivered order, from leaving for the store to leaving the last door."""
    drive_minutes: float
    """Of them."""
    late_share: float
    late_minutes: float
    asap_minutes: float
    decision_p99_ms: float
    fouls: int

    @property
    def missed_share(self) -> float:
        """Late or never delivered, of all orders."""
        return 1 - self.delivered * (1 - self.late_share) / self.orders


def fouls(day: Day, log: Log) -> list[str]:
    """What is wrong with the log; nothing for a clean day."""
    bad: list[str] = []
    drops = Counter(order_id for trip in log.trips for order_id in trip.order_ids)
    bad += [f"order {order_id} is delivered {times} times" for order_id, times in drops.items() if times > 1]
    for shopper_id in sorted({trip.shopper_id for trip in log.trips}):
        if shopper_id not in day.shoppers:
            bad.append(f"nobody is shopper {shopper_id}")
            continue
        place, free = day.shoppers[shopper_id].home, day.shoppers[shopper_id].on
        for trip in sorted((t for t in log.trips if t.shopper_id == shopper_id), key=lambda trip: trip.began):
            if trip.began < free - TOLERANCE:
                bad.append(f"shopper {shopper_id} begins a trip at {trip.began:.1f} before {free:.1f}")
            if trip.start != place:
                bad.append(f"shopper {shopper_id} leaves from {trip.start}, but stands at {place}")
            bad += _trip_fouls(day, trip)
            place, free = trip.visits[-1].place, trip.ended
    return bad


def _trip_fouls(day: Day, trip: Trip) -> list[str]:
    shopper, bad = day.shoppers[trip.shopper_id], list[str]()
    if trip.began >= shopper.off:
        bad.append(f"shopper {trip.shopper_id} begins a trip after the shift")
    when = {(visit.kind, visit.order_id): k for k, visit in enumerate(trip.visits)}
    if len(when) != len(trip.visits):
        bad.append(f"shopper {trip.shopper_id} does a stop twice")
    for kind, order_id in when:
        order = day.orders.get(order_id)
        if order is None:
            return [*bad, f"nobody placed order {order_id}"]
        pick, drop = when.get(("pick", order_id)), when.get(("drop", order_id))
        if kind == "pick" and (drop is None or pick is None or drop < pick):
            bad.append(f"order {order_id} is not picked up, then dropped")
        if kind == "drop" and pick is None:
            bad.append(f"order {order_id} comes from nowhere")
        if trip.began < order.placed:
            bad.append(f"order {order_id} is begun before it is placed")
        if not order.needs <= shopper.skills:
            bad.append(f"shopper {trip.shopper_id} lacks what order {order_id} needs")
    for k in range(len(trip.visits)):
        aboard = [day.orders[i] for kind, i in when if kind == "pick" and when[kind, i] <= k < when.get(("drop", i), k)]
        loads = (len(aboard), sum(o.units for o in aboard), sum(o.kilograms for o in aboard))
        limits = (shopper.orders, shopper.units, shopper.kilograms)
        if any(load > limit + 1e-6 for load, limit in zip(loads, limits, strict=True)):
            bad.append(f"shopper {trip.shopper_id} carries {loads}, more than {limits}")
    return bad + _time_fouls(day, trip)


def _time_fouls(day: Day, trip: Trip) -> list[str]:
    """Everything takes at least as long as it takes, and happens where it belongs."""
    bad, before = list[str](), Visit("drop", 0, trip.start, trip.began, trip.began, trip.began)
    pace = day.true_pace[trip.shopper_id]
    for visit in trip.visits:
        order = day.orders[visit.order_id]
        stop = days.DOOR_MINUTES if visit.kind == "drop" else days.STORE_MINUTES
        if visit.place != (order.door if visit.kind == "drop" else order.store):
            bad.append(f"the {visit.kind} of order {visit.order_id} is at the wrong place")
        joins = visit.kind == before.kind == "pick" and visit.place == before.place
        shop = 0.0 if visit.kind == "drop" else order.shop_minutes * pace * day.snags[visit.order_id]
        way = 0.0 if joins else day.zone.table.minutes(before.place, visit.place)
        soonest = before.at + shop if joins else before.leave + way + stop / 2 + shop
        if visit.kind == "drop":
            soonest = max(soonest, order.opens)
        if visit.at < soonest - TOLERANCE or visit.leave < visit.at + stop / 2 - TOLERANCE:
            bad.append(f"the {visit.kind} of order {visit.order_id} at {visit.at:.1f} is too soon: {soonest:.1f}")
        before = visit
    return bad


def result(day: Day, log: Log) -> Result:
    door = {visit.order_id: visit.at for trip in log.trips for visit in trip.visits if visit.kind == "drop"}
    late = [max(0.0, at - day.orders[order_id].ends) for order_id, at in door.items()]
    asap = [at - day.orders[order_id].placed for order_id, at in door.items() if day.orders[order_id].is_asap]
    taken = log.decision_ms
    return Result(
        orders=len(day.orders),
        delivered=len(door),
        per_batch=len(door) / len(log.trips),
        shopper_minutes=sum(trip.ended - trip.began for trip in log.trips) / len(door),
        drive_minutes=sum(_driven(day, trip) for trip in log.trips) / len(door),
        late_share=sum(minutes > 0 for minutes in late) / len(door),
        late_minutes=statistics.fmean(late),
        asap_minutes=statistics.fmean(asap),
        decision_p99_ms=statistics.quantiles(taken, n=100, method="inclusive")[98],
        fouls=len(fouls(day, log)),
    )


def _driven(day: Day, trip: Trip) -> float:
    places = [trip.start, *(visit.place for visit in trip.visits)]
    return sum(day.zone.table.minutes(here, there) for here, there in pairwise(places))
