"""Does the compiled ``distances_m`` still pay? 5,000 points, as one zone's stops against one shopper."""

import random
import time
from array import array
from collections.abc import Callable

from bench.report import Figure, Report
from cython_ext.geo import _geo, reference

POINTS = 5_000
GOAL = 10


def main(*, quick: bool) -> Report:
    chance = random.Random(5)  # noqa: S311 (the same points every time)
    lats = array("d", (chance.uniform(39.8, 40.2) for _ in range(POINTS)))
    lngs = array("d", (chance.uniform(-83.2, -82.8) for _ in range(POINTS)))
    rounds = 5 if quick else 50
    slow = _best_ms(lambda: reference.distances_m(39.96, -83.0, lats, lngs), rounds)
    fast = _best_ms(lambda: _geo.distances_m(39.96, -83.0, lats, lngs), rounds * 10)
    return Report(
        bench="geo",
        figures=(
            Figure(name="reference", value=slow, unit="ms"),
            Figure(name="compiled", value=fast, unit="ms"),
            Figure(name="speedup", value=slow / fast, unit="times", at_least=GOAL),
        ),
    )


def _best_ms(measured: Callable[[], object], rounds: int) -> float:
    """The least disturbed of all rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        measured()
        best = min(best, time.perf_counter() - began)
    return best * 1000
