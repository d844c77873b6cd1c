"""The engine's ``Travel`` of the app: what is known of the roads, ``Roads`` for the rest, at once."""

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from apps.dispatch.travel import configured, pairs, tasks
from cython_ext.dispatch.travel import Grid, Point, Roads, Travel

MOST_PLACES: Final = 400
"""Beyond it a plan takes ``Roads`` alone: reading so many rows would take longer than planning (400: 0.1 s)."""


def of_zone(zone_id: int, *, fallback: Roads | None = None) -> Travel:
    """Travel times for a zone's planner, as the setting ``TRAVEL_TIMES`` says; ``fallback`` knows hours and speeds.

    ``fallback.hour_of`` must understand the clock that the planner gives the engine, and count hours in UTC.
    """
    roads = fallback or Roads()
    if configured.name() == "roads":
        return roads
    return KnownRoads(fallback=roads, ask=lambda cells, hour: tasks.ask_later(zone_id, cells, hour))


@dataclass(frozen=True, slots=True)
class KnownRoads:
    """Minutes by road where they are known, the fall-back's for every other pair, and a word to ``ask`` for those.

    One round trip to the cache for each grid, none to the road server: planners have milliseconds. Raises nothing of
    its own; with the cache away it is the fall-back.
    """

    fallback: Roads
    ask: Callable[[Sequence[int], int], None]
    remembered: Callable[[int], pairs.Remembered] = field(default=lambda hour: configured.remembered(hour))

    def grid(self, places: Sequence[Point], now: float) -> Grid:
        guess = self.fallback.grid(places, now)
        cells = [pairs.cell(place) for place in places]
        distinct = sorted({cell for cell in cells if cell is not None})
        if len(distinct) < 2 or len(places) > MOST_PLACES:
            return guess
        hour = self.fallback.hour_of(now)
        rows = self.remembered(hour).rows(distinct)
        if pairs.missing(rows):
            self.ask(distinct, hour)
        if not any(rows.values()):
            return guess
        return replace(guess, matrix=_matrix(guess, cells, rows))


def _matrix(guess: Grid, cells: Sequence[int | None], rows: pairs.Rows) -> "array[float]":
    """Row by row; places of one cell, pairs without a way and unknown ones as the guess has them."""
    count = len(cells)
    matrix = array("f")
    for a, departure in enumerate(cells):
        if guess.matrix:
            minutes = list(guess.matrix[a * count : (a + 1) * count])
        else:
            x, y, speed = guess.x[a], guess.y[a], guess.speed
            minutes = [math.hypot(x - u, y - v) / speed for u, v in zip(guess.x, guess.y, strict=True)]
        row = rows[departure] if departure is not None else {}
        if row:
            for b, arrival in enumerate(cells):
                found = row.get(arrival) if arrival is not None and arrival != departure else None
                if found is not None and found == found:  # not NaN
                    minutes[b] = found
        matrix.extend(minutes)
    return matrix
