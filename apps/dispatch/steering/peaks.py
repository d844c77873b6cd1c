"""Where shoppers are short, and what a batch pays more there: plain numbers, no database.

A zone is divided into H3 cells (h3geo.org, resolution 7: hexagons of about 5.2 km², 2.4 km from middle to middle).
A cell's *pressure* is the orders near it over the shoppers near it; its *level* follows the pressure in steps, up
only after two readings and down by one step at a time after several, so that nobody drives after a flicker.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import h3

from apps.common.geo import Point

RESOLUTION: Final = 7
NEAR: Final = (1.0, 0.5, 0.25)
"""What an order or a shopper counts for a cell in its own, in the next and in the second next ring of cells."""
PRESSURES: Final = (2.0, 3.0, 4.0, 6.0, 8.0)
"""Orders a shopper from which on the level is 1, 2, …; an order takes a shopper about half an hour."""
FEWEST_ORDERS: Final = 2.0
"""With less near a cell nobody is short of anything."""
HALF_A_SHOPPER: Final = 0.5
"""What is reckoned where nobody is."""
EASE: Final = 0.8
"""A level falls once the pressure is below this part of what it takes to reach it."""
FALLS_AFTER: Final = 5
"""Readings in a row."""

WEIGH_EVERY: Final = timedelta(minutes=1)
LOOK_AHEAD: Final = timedelta(minutes=30)
"""Orders on which somebody has to set out within that count."""
KEPT: Final = timedelta(minutes=5)
"""A signal older than that says nothing any more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Orders that need a shopper, and shoppers free or soon free, near a cell."""

    demand: float
    supply: float

    @property
    def pressure(self) -> float:
        return 0.0 if self.demand < FEWEST_ORDERS else self.demand / max(self.supply, HALF_A_SHOPPER)


@dataclass(frozen=True, slots=True)
class Cell:
    """``wanted`` is the level that the last reading alone would give, ``eased`` how many in a row were too low."""

    level: int = 0
    wanted: int = 0
    eased: int = 0
    demand: float = 0.0
    supply: float = 0.0


def cell_of(point: Point) -> str:
    """H3 index of the cell, as the text that H3's libraries exchange."""
    index: str = h3.latlng_to_cell(point.lat, point.lng, RESOLUTION)
    return index


def boundary(cell: str) -> tuple[Point, ...]:
    """Its corners, anticlockwise."""
    return tuple(Point(lat, lng) for lat, lng in h3.cell_to_boundary(cell))


def weigh(
    cells: Collection[str],
    *,
    orders: Mapping[str, float],
    shoppers: Mapping[str, float],
    before: Mapping[str, Cell],
    highest: int,
) -> dict[str, Cell]:
    """The cells after one more reading; ``before`` is what the reading before left, nothing for the first."""
    found = {}
    for cell in cells:
        rings = _rings(cell)
        reading = Reading(demand=_near(rings, orders), supply=_near(rings, shoppers))
        found[cell] = follow(before.get(cell, Cell()), reading, highest)
    return found


def follow(before: Cell, reading: Reading, highest: int) -> Cell:
    """The level after one more reading."""
    pressure = reading.pressure
    wanted = min(sum(pressure >= step for step in PRESSURES), highest)
    level, eased = min(before.level, highest), 0
    if min(wanted, before.wanted) > level:
        level = min(wanted, before.wanted)
    elif level and pressure < EASE * PRESSURES[level - 1]:
        eased = before.eased + 1
        if eased >= FALLS_AFTER:
            level, eased = level - 1, 0
    return Cell(level=level, wanted=wanted, eased=eased, demand=reading.demand, supply=reading.supply)


def highest_level(*, step_cents: int, most_cents: int) -> int:
    """As many steps as fit below the bound."""
    return min(len(PRESSURES), most_cents // step_cents) if step_cents > 0 else 0


def extra_cents(level: int, *, step_cents: int, most_cents: int) -> int:
    return min(max(level, 0) * max(step_cents, 0), max(most_cents, 0))


def to_json(cells: Mapping[str, Cell]) -> dict[str, list[float]]:
    return {index: [one.level, one.wanted, one.eased, one.demand, one.supply] for index, one in cells.items()}


def from_json(kept: Mapping[str, Any]) -> dict[str, Cell]:
    return {
        index: Cell(int(level), int(wanted), int(eased), demand, supply)
        for index, (level, wanted, eased, demand, supply) in kept.items()
    }


def _rings(cell: str) -> list[set[str]]:
    discs = [set(h3.grid_disk(cell, k)) for k in range(len(NEAR))]
    return [discs[0], *(larger - smaller for smaller, larger in pairwise(discs))]


def _near(rings: list[set[str]], counted: Mapping[str, float]) -> float:
    return sum(weight * sum(counted.get(cell, 0) for cell in ring) for weight, ring in zip(NEAR, rings, strict=True))
