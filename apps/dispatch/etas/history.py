"""What finished batches tell about ETAs: for each order, what would have been said at each stage, and what was."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from apps.dispatch import finished
from apps.dispatch.etas import domain
from apps.dispatch.etas.domain import Sample, Stage
from apps.dispatch.finished import Trip
from apps.fulfilment.types import FinishedOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A delivered order: its samples, one for each stage whose time is known, and how its window was kept."""

    delivered_at: datetime
    is_in_window: bool
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class _Busy:
    """When orders of one store were taken by shoppers and handed over."""

    taken: list[datetime] = field(default_factory=list)
    handed_over: list[datetime] = field(default_factory=list)

    def add(self, order: FinishedOrder) -> None:
        if order.assigned_at is not None:
            self.taken.append(order.assigned_at)
            self.handed_over.append(order.delivered_at)

    def sort(self) -> None:
        self.taken.sort()
        self.handed_over.sort()

    def at(self, moment: datetime) -> int:
        return bisect_right(self.taken, moment) - bisect_left(self.handed_over, moment)


def orders(*, using: str, since: datetime, most_batches: int) -> list[Told]:
    """Every order of the batches that ended on one shard since then, of so many batches at most.

    As many queries as ``finished.trips``.
    """
    trips = list(finished.trips(using=using, since=since, most_batches=most_batches))
    busy: dict[int, _Busy] = {}
    for trip in trips:
        of_store = busy.setdefault(trip.store.id, _Busy())
        for order in trip.orders:
            of_store.add(order)
    for of_store in busy.values():
        of_store.sort()
    return [told for trip in trips for told in _told(trip, busy[trip.store.id])]


_BEGUN: Final[dict[Stage, Callable[[FinishedOrder], datetime | None]]] = {
    Stage.ASSIGNED: lambda order: order.assigned_at,
    Stage.PICKING: lambda order: order.picking_started_at,
    Stage.DELIVERING: lambda order: order.delivery_started_at,
}


def _told(trip: Trip, busy: _Busy) -> Iterator[Told]:
    """A batch enters a stage with the first of its orders."""
    begun = {
        stage: min(moments)
        for stage, moment in _BEGUN.items()
        if (moments := [at for order in trip.orders if (at := moment(order)) is not None])
    }
    zone = ZoneInfo(trip.store.timezone)
    lines, units = (sum(n) for n in zip(*((o.line_count, o.unit_count) for o in trip.orders), strict=True))
    doors = [order.drop for order in trip.orders]
    for place, order in enumerate(trip.orders, start=1):
        samples = [
            Sample(
                stage=stage,
                hour=at.astimezone(zone).hour,
                orders_at_store=busy.at(at),
                predicted=domain.components(
                    stage, lines_left=lines, units_left=units, store=trip.store.point, doors=doors[:place]
                ).minutes,
                actual=(order.delivered_at - at).total_seconds() / 60,
            )
            for stage, at in begun.items()
        ]
        yield Told(
            delivered_at=order.delivered_at,
            is_in_window=order.window_starts_at <= order.delivered_at <= order.window_ends_at,
            samples=tuple(samples),
        )
