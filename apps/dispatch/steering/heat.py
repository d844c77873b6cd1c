"""What the last weighing of a zone's cells says now: to the planner, to shoppers, to operators."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.conf import settings

from apps.common.money import Money
from apps.dispatch.domain import Match
from apps.dispatch.steering import peaks
from apps.dispatch.steering.models import ZoneHeat
from apps.dispatch.steering.types import HeatCell


def cells(*, zone_id: int, now: datetime) -> dict[str, peaks.Cell]:
    """By H3 index; none where nobody has weighed the zone lately. 1 query."""
    fresh = ZoneHeat.objects.filter(zone_id=zone_id, weighed_at__gt=now - peaks.KEPT)
    kept = fresh.values_list("cells", flat=True).first()
    return peaks.from_json(kept) if kept else {}


def heat_map(*, zone_id: int, now: datetime) -> tuple[HeatCell, ...]:
    """Cells with a store, the hottest first. 1 query."""
    found = (
        HeatCell(
            index=index,
            level=cell.level,
            extra_pay=Money(_cents(cell.level)),
            orders=cell.demand,
            shoppers=cell.supply,
            boundary=peaks.boundary(index),
        )
        for index, cell in cells(zone_id=zone_id, now=now).items()
    )
    return tuple(sorted(found, key=lambda cell: (-cell.level, -cell.orders, cell.index)))


def with_peak_pay(found: Sequence[Match], *, zone_id: int, now: datetime) -> list[Match]:
    """The matches, each paying more by what its store's cell says. 1 query, none where there are none."""
    known = cells(zone_id=zone_id, now=now) if found else {}
    return [
        replace(match, peak_cents=_cents(cell.level))
        if (cell := known.get(peaks.cell_of(match.job.route.store)))
        else match
        for match in found
    ]


def highest_level() -> int:
    return peaks.highest_level(
        step_cents=settings.DISPATCH_PEAK_STEP_CENTS, most_cents=settings.DISPATCH_PEAK_MOST_CENTS
    )


def _cents(level: int) -> int:
    return peaks.extra_cents(
        level, step_cents=settings.DISPATCH_PEAK_STEP_CENTS, most_cents=settings.DISPATCH_PEAK_MOST_CENTS
    )
