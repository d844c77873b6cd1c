"""Pair times that are known already, and which rectangles of pairs have to be asked for.

Places are shared within a cell, their coordinates rounded to ``DECIMALS``: some hundred metres, so that a shopper who
moves a little is still known; a drive is off by seconds. A cell's times to all others are one entry of Django's cache
for each hour of the day, since a plan reads all of them at once: one round trip, as many keys as places.
"""

import time
from array import array
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache

from cython_ext.dispatch.travel import Point

DECIMALS: Final = 3
_SCALE: Final = 10**DECIMALS
_WIDTH: Final = 1_000_000
"""More than there are steps around the globe."""
MOST_KEPT: Final = 1_000
"""Cells of arrival in a row: shoppers who move through a town pass thousands in an hour, and every plan reads them."""

Rows = dict[int, dict[int, float]]
"""Minutes by cell of departure and cell of arrival; NaN where there is no way."""
_Columns = tuple["array[int]", "array[float]", "array[int]"]
"""Cells of arrival, minutes, and until when (Unix seconds) each is known; and the same as they are stored."""
_Packed = tuple[bytes, bytes, bytes]


def cell(place: Point) -> int | None:
    """None for what is no place on Earth."""
    lat, lng = place
    if not (-90 <= lat <= 90 and -180 <= lng <= 180):
        return None
    return round((lat + 90) * _SCALE) * _WIDTH + round((lng + 180) * _SCALE)


def place(of_cell: int) -> Point:
    lat, lng = divmod(of_cell, _WIDTH)
    return round(lat / _SCALE - 90, DECIMALS), round(lng / _SCALE - 180, DECIMALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Pair times of one provider at one hour of the day, each kept for ``seconds``."""

    provider: str
    hour: int
    seconds: int
    clock: Callable[[], float] = time.time

    def rows(self, cells: Collection[int]) -> Rows:
        """What is known of these cells as departures; every one of them has a row. One round trip."""
        now = self.clock()
        return {a: _living(*columns, now) for a, columns in self._columns(cells).items()}

    def learn(self, found: Mapping[tuple[int, int], float]) -> None:
        """Add to what is known. Of two who add to one cell at once, one may be forgotten: it is asked for again."""
        now = self.clock()
        rows: dict[int, dict[int, tuple[float, int]]] = {}
        for a, (cells, minutes, untils) in self._columns({a for a, _ in found}).items():
            known = zip(cells, minutes, untils, strict=True)
            rows[a] = {b: (m, until) for b, m, until in known if until > now and (a, b) not in found}
        for (a, b), m in found.items():
            rows[a][b] = (m, int(now) + self.seconds)
        cache.set_many({self._key(a): _packed(row) for a, row in rows.items()}, timeout=self.seconds)

    def _columns(self, cells: Collection[int]) -> dict[int, _Columns]:
        stored = cache.get_many([self._key(a) for a in cells])
        return {a: _unpacked(stored.get(self._key(a), (b"", b"", b""))) for a in cells}

    def _key(self, a: int) -> str:
        return f"dispatch:travel:1:{self.provider}:{self.hour}:{a}"


def missing(rows: Rows) -> dict[int, frozenset[int]]:
    """By departure, the cells that no time is known to. New cells also lack themselves, which makes them alike."""
    wanted = {a: frozenset(rows.keys() - row.keys()) for a, row in rows.items()}
    return {a: targets for a, targets in wanted.items() if targets - {a}}


def blocks(wanted: Mapping[int, frozenset[int]], side: int) -> list[tuple[list[int], list[int]]]:
    """Rectangles (sources, targets) that hold each wanted pair once and no other, none longer than ``side``.

    Sources that lack the same targets go together. A new place lacks all others, which lack it: two strips.
    """
    alike: dict[frozenset[int], list[int]] = {}
    for a, targets in wanted.items():
        alike.setdefault(targets, []).append(a)
    return [
        (sources[i : i + side], ordered[j : j + side])
        for targets, sources in alike.items()
        for ordered in [sorted(targets)]
        for i in range(0, len(sources), side)
        for j in range(0, len(ordered), side)
    ]


def _living(cells: "array[int]", minutes: "array[float]", untils: "array[int]", now: float) -> dict[int, float]:
    if not untils or min(untils) > now:
        return dict(zip(cells, minutes, strict=True))
    return {b: m for b, m, until in zip(cells, minutes, untils, strict=True) if until > now}


def _packed(row: Mapping[int, tuple[float, int]]) -> _Packed:
    """The latest ``MOST_KEPT``, which are the last to have come into ``row``."""
    kept = list(row.items())[-MOST_KEPT:]
    minutes = array("f", [m for _, (m, _) in kept])
    return (
        array("q", [b for b, _ in kept]).tobytes(),
        minutes.tobytes(),
        array("q", [u for _, (_, u) in kept]).tobytes(),
    )


def _unpacked(packed: _Packed) -> _Columns:
    return array("q", packed[0]), array("f", packed[1]), array("q", packed[2])
