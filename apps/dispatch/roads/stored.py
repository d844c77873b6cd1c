"""Fitted speeds in the global database, each under a version of its own; each process keeps the newest for a while."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from apps.dispatch import models
from apps.dispatch.roads.domain import Fit, LeftOut, Speeds

USED_FOR_S: Final = 60
"""New speeds are in use everywhere after so long."""
_kept: list[tuple[float, Speeds]] = []
"""None or one: until when (on the monotonic clock) they are used."""


def save(speeds: Speeds, fits: Mapping[int, Fit], left_out: Counter[LeftOut], *, now: datetime) -> int:
    """The version of the speeds, which are used from now on."""
    row = models.RoadSpeeds.objects.create(
        fitted_at=now,
        legs=sum(fit.legs for fit in fits.values()),
        content=_packed(speeds),
        figures={
            "left_out": {str(reason): count for reason, count in left_out.items()},
            "zones": {
                str(zone_id): {"legs": fit.legs, "before": fit.before, "after": fit.after, "is_used": fit.is_used}
                for zone_id, fit in fits.items()
            },
        },
    )
    forget()
    return row.pk


def newest() -> Speeds:
    """The default everywhere while nothing was fitted. 1 query, none for ``USED_FOR_S`` afterwards."""
    for until, speeds in _kept:
        if time.monotonic() < until:
            return speeds
    speeds = _unpacked(models.RoadSpeeds.objects.order_by("-pk").values_list("content", flat=True).first() or {})
    _kept[:] = [(time.monotonic() + USED_FOR_S, speeds)]
    return speeds


def forget() -> None:
    """The next one who asks reads the newest."""
    _kept.clear()


def _packed(speeds: Speeds) -> dict[str, Any]:
    return {
        "zones": [[zone_id, speed] for zone_id, speed in speeds.zones.items()],
        "hours": [[zone_id, hour, speed] for (zone_id, hour), speed in speeds.hours.items()],
    }


def _unpacked(content: Mapping[str, Sequence[Sequence[Any]]]) -> Speeds:
    return Speeds(
        zones={zone_id: speed for zone_id, speed in content.get("zones", ())},  # noqa: C416 (names what they are)
        hours={(zone_id, hour): speed for zone_id, hour, speed in content.get("hours", ())},
    )
