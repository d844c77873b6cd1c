"""Learning the speeds from the drives of all shards, and saying what that is worth."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sharding
from apps.common import databases
from apps.dispatch import finished
from apps.dispatch.roads import domain, history, stored
from apps.dispatch.roads.domain import Fit, LeftOut, Leg

MOST_BATCHES: Final = 200_000
"""Of all shards together, the latest of each; it bounds the memory (some 100 MB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """By zone id what was learned. ``version`` is None where no zone has enough drives: nothing is stored then, and the
    last speeds stay in use.
    """

    version: int | None
    zones: dict[int, Fit]
    left_out: Counter[LeftOut]


def fit(*, now: datetime, days: int) -> Report:
    """Fit each zone's speeds to the batches that ended in the last days, and store them.

    A shard that is away is left out (and logged). Doing it again makes a version more.
    """
    since, aliases = now - timedelta(days=days), sharding.aliases("store")
    of_zone: dict[int, list[Leg]] = {}
    left_out: Counter[LeftOut] = Counter()

    def read(alias: str) -> None:
        for trip in finished.trips(using=alias, since=since, most_batches=MOST_BATCHES // len(aliases)):
            for leg in history.legs(trip):
                if (reason := domain.why_left_out(leg)) is not None:
                    left_out[reason] += 1
                else:
                    of_zone.setdefault(leg.zone_id, []).append(leg)

    databases.for_each(aliases, read)
    fits = {zone_id: domain.fitted(legs) for zone_id, legs in sorted(of_zone.items())}
    is_any = any(fit.roads is not None for fit in fits.values())
    version = stored.save(domain.together(fits), fits, left_out, now=now) if is_any else None
    return Report(version=version, zones=fits, left_out=left_out)
