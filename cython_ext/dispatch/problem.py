"""One decision as flat arrays: what the kernels read."""

from array import array
from dataclasses import dataclass, field
from typing import ClassVar

MOST_STOPS = 64
"""Longest route."""
PAY_STEPS = 8
"""Orders that ``pay`` tells apart: the last column stands for that many orders and more."""
LOADS = 3
"""Kinds of load: orders, kilograms, litres."""


def doubles(count: int = 0, value: float = 0.0) -> "array[float]":
    return array("d", [value]) * count


def ints(count: int = 0, value: int = 0) -> "array[int]":
    return array("i", [value]) * count


@dataclass(slots=True, kw_only=True)
class Problem:
    """``n`` orders, ``m`` shoppers, places; all times in minutes on one clock.

    Places are numbered; ``order_store``, ``order_door`` and ``shopper_place`` refer to them. The way from one to
    another takes ``matrix[a * places + b]`` minutes where ``matrix`` is given, else the straight line over ``speed``
    (rounded up to whole minutes where ``is_whole``).
    """

    x: "array[float]"
    y: "array[float]"
    speed: float = 1.0
    is_whole: bool = False
    matrix: "array[float]" = field(default_factory=lambda: array("f"))

    half_pick: float = 0.0
    half_drop: float = 0.0
    radius: float = 1e9
    drive: float = 1.0
    busy: float = 0.0

    order_store: "array[int]"
    order_door: "array[int]"
    placed: "array[float]"
    ready: "array[float]"
    opens: "array[float]"
    due: "array[float]"
    shop: "array[float]"
    load: "array[float]"
    needs: "array[int]"
    wait: "array[float]"
    late: "array[float]"
    fresh: "array[float]"
    unserved: "array[float]"
    pin: "array[int]"

    shopper_place: "array[int]"
    free: "array[float]"
    off: "array[float]"
    pace: "array[float]"
    capacity: "array[float]"
    skills: "array[int]"
    pay: "array[float]"
    locked: "array[int]"


@dataclass(frozen=True, slots=True)
class Answer:
    """``routes[k]`` are the stops of shopper k: ``2 * order`` picks up, ``2 * order + 1`` drops."""

    routes: list[list[int]]
    cost: float
    iterations: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What one more order costs a shopper at best: picked up before stop ``pick``, dropped before stop ``drop``."""

    shopper: int
    cost: float
    pick: int
    drop: int


@dataclass(slots=True, kw_only=True)
class Coverage:
    """Stores with their chance of the next order, and shoppers who are or will soon be free.

    ``away[k]`` are minutes until shopper k is where ``at_x``, ``at_y`` say; ``may_move[k]`` is 1 for one who stands
    idle. ``delays[i]`` is what it costs to be i minutes away.
    """

    x: "array[float]"
    y: "array[float]"
    share: "array[float]"
    delays: "array[float]"
    at_x: "array[float]"
    at_y: "array[float]"
    away: "array[float]"
    may_move: "array[int]"
    speed: float
    is_whole: bool = False

    DRIVE: ClassVar[float] = 0.05
    """What a minute of distance costs beyond the delay it makes."""
