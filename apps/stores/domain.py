"""Where a store delivers, and how a line of a store directory is read."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time

from apps.common import tables
from apps.common.geo import Point
from apps.common.tables import RowError
from apps.stores.types import ListedStore, Store

EARTH_RADIUS_M = 6_371_008.8
DEFAULT_TIMEZONE = "America/New_York"
DEFAULT_RADIUS_M = 12_000
DEFAULT_MINIMUM_BASKET_CENTS = 1_000
USUAL_HOURS = (time(8), time(22))
"""Opening hours of a store whose directory names none."""

_COORDINATE = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,12})?")
_TIMEZONES = {
    "America/New_York": "CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV",
    "America/Chicago": "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
    "America/Denver": "CO ID MT NM UT WY",
    "America/Phoenix": "AZ",
    "America/Los_Angeles": "CA NV OR WA",
    "America/Anchorage": "AK",
    "Pacific/Honolulu": "HI",
    "America/Toronto": "ON QC",
    "America/Vancouver": "BC",
}
_TIMEZONE_OF_STATE = {state: zone for zone, states in _TIMEZONES.items() for state in states.split()}
_CANADA = frozenset({"BC", "ON", "QC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Metro:
    name: str
    point: Point
    radius_m: int
    states: frozenset[str]


METROS = {
    "columbus": Metro(name="Columbus", point=Point(39.9612, -82.9988), radius_m=60_000, states=frozenset({"OH"})),
}


def distance_m(a: Point, b: Point) -> float:
    """Great-circle distance (haversine formula)."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b.lng - a.lng) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, half)))


def delivers_to(store: Store, point: Point) -> bool:
    return distance_m(store.point, point) <= store.delivery_radius_m


def metro_at(point: Point) -> Metro | None:
    return next((metro for metro in METROS.values() if distance_m(metro.point, point) <= metro.radius_m), None)


def timezone_of(state: str) -> str | None:
    """The time zone most of ``state`` keeps (a dozen states have two); None for one we have none for."""
    return _TIMEZONE_OF_STATE.get(state)


def currency_of(state: str) -> str:
    return "CAD" if state in _CANADA else "USD"


def slug(text: str) -> str:
    """``Trader Joe's`` → ``trader-joes``: letters and digits, for codes that are typed on a command line."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "")).strip("-")


def listed_store(line: int, cells: Mapping[str, str]) -> ListedStore | tuple[RowError, ...]:
    """The store in one line of a directory file, or everything that is wrong with the line."""
    errors: list[RowError] = []

    def bad(column: str, reason: str) -> None:
        errors.append(RowError(line=line, column=column, value=tables.harmless(cells.get(column, "")), reason=reason))

    def text(column: str, longest: int, *, required: bool = True) -> str:
        try:
            found = tables.plain_text(cells.get(column, ""), longest=longest)
        except ValueError as error:
            bad(column, str(error))
            return ""
        if required and not found:
            bad(column, "is empty")
        return found

    def degrees(column: str, most: int) -> float:
        found = cells.get(column, "").strip()
        if not _COORDINATE.fullmatch(found) or abs(float(found)) > most:
            bad(column, f"is not a number of degrees between -{most} and {most}")
            return 0.0
        return float(found)

    listed = ListedStore(
        line=line,
        chain=text("chain", 40),
        number=text("store_no", 20),
        name=text("name", 80, required=False),
        address=text("address", 120),
        city=text("city", 60),
        state=text("state", 2),
        postcode=text("zip", 10),
        point=Point(degrees("lat", 90), degrees("lon", 180)),
    )
    return tuple(errors) or listed
