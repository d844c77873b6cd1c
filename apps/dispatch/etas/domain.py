"""Minutes until an order is at its door: from components, corrected by how wrong these were before. No Django here.

*Components.* What is left of the work in the store (by lines, units and the shopper's pace), the drive, the hand-overs.

*Correction.* The relative error of finished orders, actual over predicted less one, has empirical quantiles: by stage
over all orders, and by stage, hour of the day and how busy the store was. Quantiles are of Hyndman and Fan's type 6,
p (n + 1) ("Sample Quantiles in Statistical Packages", The American Statistician 50(4), 1996), which a next
observation falls below with probability p whatever the distribution. Those of a cell are drawn to the overall ones by
credibility, n / (n + k) for the cell's own (H. Bühlmann, "Experience Rating and Credibility", ASTIN Bulletin 4(3),
1967; k is set, not estimated), and the overall ones likewise to a wide guess that counts where nothing is known.

*Stretching.* Drawing makes intervals too wide or too narrow on the whole. So the last orders of those that teach are
kept back, and each side of a stage's intervals stretched until it holds for them what it should (conformalized quantile
regression: Y. Romano, E. Patterson, E. Candès, NeurIPS 2019; here by a factor for each side).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

from apps.common.geo import Point
from apps.dispatch import domain
from cython_ext.dispatch import travel

LEVELS: Final = (0.1, 0.5, 0.9)
GUESS: Final = (-0.4, 0.0, 1.0)
"""Relative errors at ``LEVELS`` while nothing is known: 30 minutes are 18 to 60."""
GUESS_WEIGHT: Final = 10.0
"""Worth so many finished orders, against all of a stage."""
STRETCHED_BY: Final = 0.25
"""The share of the orders that teach which is kept back for the stretching."""
LEAST_TO_STRETCH: Final = 100
OVERALL_WEIGHT: Final = 30.0
"""Worth so many finished orders, against those of one hour and load."""
BUSY: Final = (2, 5, 10)
"""Up to so many orders with shoppers at the store: its load is 0, 1 or 2; beyond, 3."""

TINY: Final = 1e-6
"""Relative errors closer than that are the same."""

Quantiles = tuple[float, float, float]
Cell = tuple["Stage", int, int]
"""Stage, hour of the day at the store, load."""


class Stage(StrEnum):
    """What has been done of the order's batch. An order in no batch has its delivery window, and no ETA."""

    ASSIGNED = "assigned"
    PICKING = "picking"
    DELIVERING = "delivering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Minutes, each of what is left."""

    in_store: float
    drive: float
    hand_over: float

    @property
    def minutes(self) -> float:
        return self.in_store + self.drive + self.hand_over


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Minutes from now; one order in ten is earlier than ``earliest``, one in ten later than ``latest``."""

    earliest: float
    likely: float
    latest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One finished order at one moment of its way."""

    stage: Stage
    hour: int
    orders_at_store: int
    predicted: float
    actual: float

    @property
    def cell(self) -> Cell:
        return self.stage, self.hour, load(self.orders_at_store)

    @property
    def error(self) -> float:
        return self.actual / self.predicted - 1


def load(orders_at_store: int) -> int:
    return sum(orders_at_store > bound for bound in BUSY)


def components(
    stage: Stage, *, lines_left: int, units_left: int, store: Point, doors: Sequence[Point], pace: float = 1.0
) -> Components:
    """What is left before the last of ``doors`` has its order; the doors before it come first on the way.

    ``lines_left`` and ``units_left`` are of the whole batch, for it leaves the store as one; ``pace`` multiplies
    minutes in the store (0.8: a fast shopper). A shopper on the way to the store counts as ``domain.APPROACH_S`` away.
    """
    drive_s = domain.APPROACH_S if stage == Stage.ASSIGNED else 0.0
    here = store
    for door in doors:
        drive_s += domain.travel_s(travel.metres((here.lat, here.lng), (door.lat, door.lng)))
        here = door
    in_store_s = 0.0
    if stage != Stage.DELIVERING:
        in_store_s = domain.IN_STORE_S + domain.PER_LINE_S * lines_left + domain.PER_UNIT_S * units_left
    return Components(in_store=in_store_s * pace / 60, drive=drive_s / 60, hand_over=domain.AT_DOOR_S * len(doors) / 60)


@dataclass(frozen=True, slots=True)
class Errors:
    """How wrong so many orders were: relative errors at ``LEVELS``."""

    orders: int
    quantiles: Quantiles

    @classmethod
    def of(cls, errors: Iterable[float]) -> Self:
        ordered = sorted(errors)
        low, middle, high = (quantile(ordered, level) for level in LEVELS)
        return cls(len(ordered), (low, middle, high))

    def drawn_to(self, others: Quantiles, weight: float) -> Quantiles:
        own = self.orders / (self.orders + weight)
        low, middle, high = (own * q + (1 - own) * other for q, other in zip(self.quantiles, others, strict=True))
        return low, middle, high


@dataclass(frozen=True, slots=True)
class Model:
    """Errors by stage and by cell. Without any it is the components' answer and ``GUESS``."""

    stages: Mapping[Stage, Errors] = field(default_factory=dict)
    cells: Mapping[Cell, Errors] = field(default_factory=dict)
    stretches: Mapping[Stage, tuple[float, float]] = field(default_factory=dict)
    """By what the earlier and the later side of a stage's intervals are multiplied."""

    @classmethod
    def fitted(cls, samples: Sequence[Sample]) -> "Model":
        """From samples in the order of time; the later ones do the stretching. Samples without a positive and finite
        time, predicted and actual, are passed over.
        """
        usable = [sample for sample in samples if is_usable(sample)]
        cut = round(len(usable) * (1 - STRETCHED_BY))
        return cls._of(usable[:cut])._stretched(usable[cut:])

    @classmethod
    def _of(cls, samples: Iterable[Sample]) -> "Model":
        by_stage: dict[Stage, list[float]] = {}
        by_cell: dict[Cell, list[float]] = {}
        for sample in samples:
            by_stage.setdefault(sample.stage, []).append(sample.error)
            by_cell.setdefault(sample.cell, []).append(sample.error)
        return cls(
            {stage: Errors.of(errors) for stage, errors in by_stage.items()},
            {cell: Errors.of(errors) for cell, errors in by_cell.items()},
        )

    def _stretched(self, samples: Sequence[Sample]) -> "Model":
        """Each side multiplied by the quantile of how far, in its own length, the errors lie to that side."""
        stretches: dict[Stage, tuple[float, float]] = {}
        for stage in Stage:
            far = [(sample.error, self.errors(sample.cell)) for sample in samples if sample.stage == stage]
            if len(far) >= LEAST_TO_STRETCH:
                early = sorted((q[1] - error) / max(q[1] - q[0], TINY) for error, q in far)
                late = sorted((error - q[1]) / max(q[2] - q[1], TINY) for error, q in far)
                stretches[stage] = max(0.0, quantile(early, LEVELS[2])), max(0.0, quantile(late, LEVELS[2]))
        return replace(self, stretches=stretches)

    def errors(self, cell: Cell) -> Quantiles:
        stage = cell[0]
        found = self.stages[stage].drawn_to(GUESS, GUESS_WEIGHT) if stage in self.stages else GUESS
        if cell in self.cells:
            found = self.cells[cell].drawn_to(found, OVERALL_WEIGHT)
        earlier, later = self.stretches.get(stage, (1.0, 1.0))
        low, middle, high = found
        return middle - earlier * (middle - low), middle, middle + later * (high - middle)

    def interval(self, stage: Stage, minutes: float, *, hour: int, orders_at_store: int) -> Interval:
        errors = self.errors((stage, hour, load(orders_at_store)))
        earliest, likely, latest = (max(0.0, minutes * (1 + error)) for error in errors)
        return Interval(earliest=earliest, likely=likely, latest=latest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How the model does on orders it has not seen. Shares of 1; inside should be 0.8, too early and too late 0.1."""

    orders: int
    inside: float
    early: float
    late: float
    off_minutes: float
    """The median distance of what was likely from what was; for the components alone see ``components_off_minutes``."""
    components_off_minutes: float
    width_minutes: float
    """The median width of an interval."""


def calibration(model: Model, samples: Iterable[Sample]) -> Calibration | None:
    """None without a usable sample."""
    held = [(sample, _told(model, sample)) for sample in samples if is_usable(sample)]
    if not held:
        return None
    early = sum(sample.actual < told.earliest for sample, told in held) / len(held)
    late = sum(sample.actual > told.latest for sample, told in held) / len(held)
    return Calibration(
        orders=len(held),
        inside=1 - early - late,
        early=early,
        late=late,
        off_minutes=_median(abs(sample.actual - told.likely) for sample, told in held),
        components_off_minutes=_median(abs(sample.actual - sample.predicted) for sample, _ in held),
        width_minutes=_median(told.latest - told.earliest for _, told in held),
    )


def is_usable(sample: Sample) -> bool:
    return all(math.isfinite(minutes) and minutes > 0 for minutes in (sample.predicted, sample.actual))


def quantile(ordered: Sequence[float], level: float) -> float:
    """Of type 6; the least and the greatest beyond what so few observations tell."""
    position = min(max(level * (len(ordered) + 1), 1.0), float(len(ordered)))
    below = math.floor(position)
    above = min(below + 1, len(ordered))
    return ordered[below - 1] + (position - below) * (ordered[above - 1] - ordered[below - 1])


def _told(model: Model, sample: Sample) -> Interval:
    return model.interval(sample.stage, sample.predicted, hour=sample.hour, orders_at_store=sample.orders_at_store)


def _median(values: Iterable[float]) -> float:
    return quantile(sorted(values), 0.5)
