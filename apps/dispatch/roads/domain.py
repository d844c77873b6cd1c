"""Speeds on the straight line from drives that were made. No Django here.

A leg is a drive from the store to the first door, or from one door to the next. Of the time between the two moments
that are noted, starting, parking and the hand-over are taken off as the planner reckons them, so that leg and plan mean
the same. How the speed is drawn to the default where there are few drives: ``Roads.fitted``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from apps.dispatch import domain
from apps.dispatch.domain import zone_plan
from cython_ext.dispatch import travel
from cython_ext.dispatch.travel import Point, Roads

DEFAULT: Final = zone_plan.ROADS.speed
"""Metres a minute."""
STOP_MINUTES: Final = (domain.START_AND_PARK_S + domain.AT_DOOR_S) / 60
WEIGHT: Final = 30.0
"""The default is worth so many drives against a zone's, and a zone's speed against those of one of its hours."""
LEAST: Final = 20
"""Drives that a zone needs to be fitted at all."""
HELD_OUT: Final = 0.2

SHORTEST_M: Final = 500.0
"""Below it parking and the hand-over are most of the time, and their guess most of the error."""
LONGEST_M: Final = 40_000.0
LONGEST_MINUTES: Final = 90.0
SLOWEST: Final = 150.0
"""9 km/h as the crow flies: he did something else, too."""
FASTEST: Final = 2_000.0
"""120 km/h as the crow flies: the moments were noted later than they were."""


class LeftOut(StrEnum):
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    ABSURD = "absurd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """``hour`` of the departure on the store's clock; ``minutes`` of driving alone."""

    zone_id: int
    start: Point
    end: Point
    hour: int
    minutes: float
    ended_at: datetime

    @property
    def metres(self) -> float:
        return travel.metres(self.start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Metres a minute on the straight line; what nobody has learned is ``DEFAULT``."""

    zones: Mapping[int, float] = field(default_factory=dict)
    hours: Mapping[tuple[int, int], float] = field(default_factory=dict)
    """By zone and hour on its stores' clock; an hour without drives goes at its zone's speed."""

    def at(self, zone_id: int, hour: int) -> float:
        return self.hours.get((zone_id, hour), self.zones.get(zone_id, DEFAULT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A zone's speeds from its earlier drives, and by how many minutes they and the default are off, on average, on the
    latest fifth. None where there are too few drives.
    """

    legs: int
    before: float | None = None
    after: float | None = None
    roads: Roads | None = None

    @property
    def is_used(self) -> bool:
        """Speeds that are no better than the default are none worth having."""
        return self.before is not None and self.after is not None and self.after < self.before


def why_left_out(leg: Leg) -> LeftOut | None:
    """None for a leg to learn from."""
    metres = leg.metres
    if metres < SHORTEST_M:
        return LeftOut.TOO_SHORT
    if metres > LONGEST_M or leg.minutes > LONGEST_MINUTES:
        return LeftOut.TOO_LONG
    if not SLOWEST * leg.minutes <= metres <= FASTEST * leg.minutes:
        return LeftOut.ABSURD
    return None


def fitted(of_zone: Sequence[Leg]) -> Fit:
    """From one zone's legs that are not left out. The latest are those it is tried on, as plans are made for later."""
    if len(of_zone) < LEAST:
        return Fit(legs=len(of_zone))
    ordered = sorted(of_zone, key=lambda leg: leg.ended_at)
    cut = round(len(ordered) * (1 - HELD_OUT))
    trips = (travel.Trip(leg.start, leg.end, leg.hour, leg.minutes) for leg in ordered[:cut])
    roads = Roads.fitted(trips, detour=1.0, least=1, towards=DEFAULT, weight=WEIGHT)
    return Fit(
        legs=len(ordered),
        before=_off(Roads(speed=DEFAULT), ordered[cut:]),
        after=_off(roads, ordered[cut:]),
        roads=roads,
    )


def together(fits: Mapping[int, Fit]) -> Speeds:
    """Of the zones whose fit is worth using."""
    used = {zone_id: fit.roads for zone_id, fit in fits.items() if fit.roads is not None and fit.is_used}
    return Speeds(
        zones={zone_id: roads.speed for zone_id, roads in used.items()},
        hours={(zone_id, hour): speed for zone_id, roads in used.items() for (_, hour), speed in roads.speeds.items()},
    )


def _off(roads: Roads, held_out: Sequence[Leg]) -> float:
    return sum(abs(leg.metres / roads.speed_at(leg.start, leg.hour) - leg.minutes) for leg in held_out) / len(held_out)
