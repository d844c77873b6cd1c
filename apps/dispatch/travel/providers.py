"""How each road server is asked for a matrix, and what its answer says. Knows neither Django nor the network.

Places are (lat, lng) in degrees. An answer becomes minutes by (source, target) index: NaN where the server says that
there is no way, and no entry where it says nothing, so that a part of a matrix is worth what it holds.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cython_ext.dispatch.travel import Point

Minutes = dict[tuple[int, int], float]

GOOGLE_URL: Final = "https://routes.googleapis.com"
_DURATION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s", re.ASCII)


class Malformed(ValueError):
    """The server answered something that is no matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One HTTP request. Its repr leaves out the headers, where a key may be."""

    method: str
    url: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Provider(Protocol):
    @property
    def side(self) -> int:
        """How many sources, and how many targets, one request may have."""

    @property
    def refuses_places(self) -> bool:
        """Whether status 400 means that a place is on no road; otherwise it means that we ask wrongly."""

    def ask(self, sources: Sequence[Point], targets: Sequence[Point]) -> Ask: ...

    def minutes(self, answer: object) -> Minutes:
        """Raises ``Malformed``."""


@dataclass(frozen=True, slots=True)
class Valhalla:
    """https://valhalla.github.io/valhalla/api/matrix/api-reference/ ("Time-Distance Matrix service").

    The limit is ``service_limits.auto`` of its default configuration: 2,500 pairs, and 50 locations on a side in
    older releases. Without ``date_time``: matrices that depend on the time are only allowed for few shapes.
    """

    url: str
    side: int = 50
    refuses_places: bool = True

    def ask(self, sources: Sequence[Point], targets: Sequence[Point]) -> Ask:
        body = {
            "sources": [{"lat": lat, "lon": lng} for lat, lng in sources],
            "targets": [{"lat": lat, "lon": lng} for lat, lng in targets],
            "costing": "auto",
        }
        return Ask(method="POST", url=f"{self.url}/sources_to_targets", body=body)

    def minutes(self, answer: object) -> Minutes:
        rows = _rows(answer, "sources_to_targets")
        found: Minutes = {}
        for a, row in enumerate(rows):
            for b, pair in enumerate(row):
                if not isinstance(pair, dict) or "time" not in pair:
                    raise Malformed("a pair without a time")
                _put(found, (a, b), pair["time"])
        return found


@dataclass(frozen=True, slots=True)
class Osrm:
    """https://project-osrm.org/docs/v5.24.0/api/#table-service.

    ``osrm-routed`` takes 100 coordinates by default (``--max-table-size``): fifty sources and fifty targets.
    """

    url: str
    side: int = 50
    refuses_places: bool = True

    def ask(self, sources: Sequence[Point], targets: Sequence[Point]) -> Ask:
        places = ";".join(f"{lng:.6f},{lat:.6f}" for lat, lng in (*sources, *targets))
        first = ";".join(map(str, range(len(sources))))
        second = ";".join(map(str, range(len(sources), len(sources) + len(targets))))
        query = f"sources={first}&destinations={second}&annotations=duration"
        return Ask(method="GET", url=f"{self.url}/table/v1/driving/{places}?{query}")

    def minutes(self, answer: object) -> Minutes:
        if not isinstance(answer, dict) or answer.get("code") != "Ok":
            raise Malformed("not an answer of code Ok")
        found: Minutes = {}
        for a, row in enumerate(_rows(answer, "durations")):
            for b, seconds in enumerate(row):
                _put(found, (a, b), seconds)
        return found


@dataclass(frozen=True, slots=True)
class Google:
    """https://developers.google.com/maps/documentation/routes/compute_route_matrix, and there "Request limits":
    625 pairs, that is 25 by 25.

    The key travels in a header, never in an address, because addresses are what logs keep. Pairs come in any order;
    without ``status`` in the field mask all of them would seem to be well.
    """

    key: str = field(repr=False)
    url: str = GOOGLE_URL
    side: int = 25
    refuses_places: bool = False

    def ask(self, sources: Sequence[Point], targets: Sequence[Point]) -> Ask:
        body = {
            "origins": [_google_place(place) for place in sources],
            "destinations": [_google_place(place) for place in targets],
            "travelMode": "DRIVE",
            "routingPreference": "TRAFFIC_AWARE",
        }
        headers = {
            "X-Goog-Api-Key": self.key,
            "X-Goog-FieldMask": "originIndex,destinationIndex,status,condition,duration",
        }
        url = f"{self.url}/distanceMatrix/v2:computeRouteMatrix"
        return Ask(method="POST", url=url, body=body, headers=headers)

    def minutes(self, answer: object) -> Minutes:
        if not isinstance(answer, list):
            raise Malformed("not a list of pairs")
        found: Minutes = {}
        for pair in answer:
            if not isinstance(pair, dict):
                raise Malformed("a pair that is no object")
            origin, destination = pair.get("originIndex"), pair.get("destinationIndex")
            if pair.get("status") or not isinstance(origin, int) or not isinstance(destination, int):
                continue  # an error of this pair alone
            key = (origin, destination)
            if pair.get("condition") == "ROUTE_NOT_FOUND":
                found[key] = math.nan
                continue
            duration = pair.get("duration")
            if not isinstance(duration, str) or not _DURATION.fullmatch(duration):
                raise Malformed("a route without a duration in seconds")
            found[key] = float(duration[:-1]) / 60
        return found


def _google_place(place: Point) -> dict[str, Any]:
    return {"waypoint": {"location": {"latLng": {"latitude": place[0], "longitude": place[1]}}}}


def _rows(answer: object, name: str) -> list[list[Any]]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise Malformed(f"no rows in {name}")
    return rows


def _put(found: Minutes, key: tuple[int, int], seconds: object) -> None:
    """None and what is no length of time are no way; anything else is no matrix."""
    if seconds is None:
        found[key] = math.nan
    elif isinstance(seconds, int | float) and not isinstance(seconds, bool):
        found[key] = seconds / 60 if math.isfinite(seconds) and seconds >= 0 else math.nan
    else:
        raise Malformed("a time that is no number")
