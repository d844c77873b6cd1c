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

Rows = dict[int, dict[int, float]]
"""Minutes by cell of departure and cell of arrival; NaN where there is no way."""
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
        return {
            a: {b: minutes for b, (minutes, until) in row.items() if until > now}
            for a, row in self._unpacked(cells).items()
        }

    def learn(self, found: Mapping[tuple[int, int], float]) -> None:
        """Add to what is known. Of two who add to one cell at once, one may be forgotten: it is asked for again."""
        now = self.clock()
        rows = self._unpacked({a for a, _ in found})
        for row in rows.values():
            for b in [b for b, (_, until) in row.items() if until <= now]:
                del row[b]
        for (a, b), minutes in found.items():
            rows[a][b] = (minutes, int(now) + self.seconds)
        cache.set_many({self._key(a): _pack(row) for a, row in rows.items()}, timeout=self.seconds)

    def _unpacked(self, cells: Collection[int]) -> dict[int, dict[int, tuple[float, int]]]:
        stored = cache.get_many([self._key(a) for a in cells])
        return {a: _unpack(stored.get(self._key(a), (b"", b"", b""))) for a in cells}

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


def _pack(row: Mapping[int, tuple[float, int]]) -> _Packed:
    minutes = array("f", [minutes for minutes, _ in row.values()])
    return array("q", row).tobytes(), minutes.tobytes(), array("q", [until for _, until in row.values()]).tobytes()


def _unpack(packed: _Packed) -> dict[int, tuple[float, int]]:
    cells, minutes, untils = array("q", packed[0]), array("f", packed[1]), array("q", packed[2])
    return dict(zip(cells, zip(minutes, untils, strict=True), strict=True))
