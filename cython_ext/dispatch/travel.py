"""Travel times: what a source must answer, and the two that need no server."""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

EARTH_RADIUS_M = 6_371_008.8
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Grid:
    """Places in metres on a plane, in the order asked; minutes are the straight line over ``speed`` (metres a minute,
    rounded up where ``is_whole``), or ``matrix[a * places + b]`` where that is given. The plane is then a guess only.
    """

    x: "array[float]"
    y: "array[float]"
    speed: float
    is_whole: bool = False
    matrix: "array[float]" = field(default_factory=lambda: array("f"))


class Travel(Protocol):
    """A travel-time source: all places of one decision at once, so that a remote one needs a single call."""

    def grid(self, places: Sequence[Point], now: float) -> Grid: ...


@dataclass(frozen=True, slots=True)
class Plane:
    """Places in metres, the straight line, one speed."""

    speed: float
    is_whole: bool = False

    def grid(self, places: Sequence[Point], now: float) -> Grid:
        return Grid(
            array("d", [place[0] for place in places]),
            array("d", [place[1] for place in places]),
            self.speed,
            self.is_whole,
        )


@dataclass(frozen=True, slots=True)
class Trip:
    """A completed drive, for ``Roads.fitted``: places as (lat, lng), ``hour`` of the day at departure."""

    start: Point
    end: Point
    hour: int
    minutes: float


def metres(a: Point, b: Point) -> float:
    """Great circle between (lat, lng) in degrees, by the haversine formula."""
    phi, other = math.radians(a[0]), math.radians(b[0])
    across, around = math.sin((other - phi) / 2), math.sin(math.radians(b[1] - a[1]) / 2)
    return (
        2 * EARTH_RADIUS_M * math.asin(math.sqrt(across * across + math.cos(phi) * math.cos(other) * around * around))
    )


def one_zone(_place: Point) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Roads:
    """Great circle times ``detour`` over the speed of the hour in the zone of departure; places as (lat, lng).

    ``speeds[zone, hour]`` in metres a minute; an hour without one takes ``speed``. ``hour_of`` tells the hour of a
    moment on the engine's clock.
    """

    speed: float = 500.0
    detour: float = 1.35
    speeds: dict[tuple[str, int], float] = field(default_factory=dict)
    zone_of: Callable[[Point], str] = one_zone
    hour_of: Callable[[float], int] = lambda now: int(now // 60) % 24

    def speed_at(self, place: Point, hour: int) -> float:
        return self.speeds.get((self.zone_of(place), hour), self.speed)

    def grid(self, places: Sequence[Point], now: float) -> Grid:
        """On a plane touching the middle of the places; with a matrix only where zones differ in speed."""
        hour = self.hour_of(now)
        speeds = [self.speed_at(place, hour) for place in places]
        x, y = _plane(places, self.detour)
        common = speeds[0] if speeds else self.speed
        if all(speed == common for speed in speeds):
            return Grid(x, y, common)
        matrix = array("f")
        for a, speed in enumerate(speeds):
            matrix.extend(math.hypot(x[a] - x[b], y[a] - y[b]) / speed for b in range(len(places)))
        return Grid(x, y, sum(speeds) / len(speeds), matrix=matrix)

    @classmethod
    def fitted(
        cls,
        trips: Iterable[Trip],
        *,
        zone_of: Callable[[Point], str] = one_zone,
        detour: float = 1.35,
        least: int = 20,
        towards: float | None = None,
        weight: float = 0.0,
    ) -> "Roads":
        """Speeds as total metres over total minutes, for every zone and hour with at least so many trips.

        Few trips say little: with a ``weight``, the minutes a metre takes by n trips count n / (n + weight), the rest
        is what all trips say for a zone and hour, and what ``towards`` (metres a minute) says for all trips.

        Detour and speed only matter by their ratio, so the detour stays what it is said to be. Trips of no length or
        time, or with a number that is none, are passed over. ValueError when nothing is left. Trips are read once,
        and none is kept.
        """
        totals: dict[tuple[str, int], list[float]] = {}
        for trip in trips:
            way = metres(trip.start, trip.end) * detour
            if not (way > 0 and trip.minutes > 0 and math.isfinite(way + trip.minutes)):
                continue
            total = totals.setdefault((zone_of(trip.start), trip.hour), [0.0, 0.0, 0.0])
            total[0] += way
            total[1] += trip.minutes
            total[2] += 1
        if not totals:
            raise ValueError("no usable trip to fit speeds from; start with Roads() and its default speed")
        all_trips = [sum(kind) for kind in zip(*totals.values(), strict=True)]
        speed = _drawn(all_trips, towards, weight)
        speeds = {key: _drawn(total, speed, weight) for key, total in totals.items() if total[2] >= least}
        return cls(speed=speed, detour=detour, speeds=speeds, zone_of=zone_of)


def _drawn(total: Sequence[float], towards: float | None, weight: float) -> float:
    """The speed of so many metres, minutes and trips, drawn to another by credibility (n / (n + weight))."""
    way, minutes, trips = total
    if towards is None:
        return way / minutes
    own = trips / (trips + weight)
    return 1 / (own * minutes / way + (1 - own) / towards)


def _plane(places: Sequence[Point], detour: float) -> "tuple[array[float], array[float]]":
    """Metres east and north of the middle, stretched by the detour."""
    if not places:
        return array("d"), array("d")
    middle = sum(place[0] for place in places) / len(places)
    north = math.radians(1) * EARTH_RADIUS_M * detour
    east = north * math.cos(math.radians(middle))
    return array("d", [place[1] * east for place in places]), array("d", [place[0] * north for place in places])
