"""What finished batches tell about ETAs: for each order, what would have been said at each stage, and what was."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import sharding
from apps.dispatch import models
from apps.dispatch.domain import BatchStatus, StopState
from apps.dispatch.etas import domain
from apps.dispatch.etas.domain import Sample, Stage
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment.types import FinishedOrder
from apps.stores import selectors as stores
from apps.stores.types import Store

CHUNK: Final = 500
"""Batches read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A finished batch; its orders in the sequence of their doors."""

    store: Store
    orders: tuple[FinishedOrder, ...]


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

    4 queries for each ``CHUNK`` of batches.
    """
    trips = [trip for chunk in _chunks(using, since, most_batches) for trip in _trips(chunk, using)]
    busy: dict[int, _Busy] = {}
    for trip in trips:
        of_store = busy.setdefault(trip.store.id, _Busy())
        for order in trip.orders:
            of_store.add(order)
    for of_store in busy.values():
        of_store.sort()
    return [told for trip in trips for told in _told(trip, busy[trip.store.id])]


def _chunks(using: str, since: datetime, most: int) -> Iterator[Sequence[models.Batch]]:
    """By id, not by time: a batch that ends meanwhile moves no other into a chunk that was read already."""
    ended = sharding.owned(models.Batch.objects, using).filter(status=BatchStatus.COMPLETED, ended_at__gte=since)
    last = 0
    while chunk := list(ended.filter(pk__gt=last).order_by("pk")[: min(CHUNK, most)]):
        yield chunk
        most -= len(chunk)
        last = chunk[-1].pk


def _trips(batches: Collection[models.Batch], using: str) -> list[Trip]:
    by_id = {batch.pk: batch for batch in batches}
    drops = sharding.owned(models.BatchStop.objects, using).filter(
        batch_id__in=by_id, kind="drop", state=StopState.DONE
    )
    ids_of: dict[int, list[int]] = {}
    for batch_id, store_order_id in drops.order_by("sequence").values_list("batch_id", "store_order_id"):
        ids_of.setdefault(batch_id, []).append(store_order_id)
    finished = fulfilment.finished(store_order_ids={one for ids in ids_of.values() for one in ids})
    places = stores.stores(store_ids={batch.store_id for batch in batches})
    return [
        Trip(store=places[by_id[batch_id].store_id], orders=tuple(finished[one] for one in ids))
        for batch_id, ids in ids_of.items()
        if by_id[batch_id].store_id in places and all(one in finished for one in ids)
    ]


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
