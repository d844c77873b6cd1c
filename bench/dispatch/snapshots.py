"""Open orders at one moment: our plans in 0.1 and 1 second against the best of four peers in ten."""

import json
import statistics
import time
from typing import Any

from bench.dispatch import judge, mdrp
from bench.dispatch.recorded import BEST_KNOWN, BEST_PEER
from bench.report import Figure

QUICK = ("00_syn_50", "03_syn_300", "05_syn_750")
SLACK = 1.1
"""A plan may come this much later than asked: other programs run on the machine too."""


def figures(*, quick: bool) -> list[Figure]:
    names = QUICK if quick else tuple(BEST_PEER)
    snapshots = {name: _read(name) for name in names}
    short = {name: _score(snapshots[name], 0.1) for name in names}
    long = {name: _score(snapshots[name], 1.0) for name in names}
    small = [name for name in names if len(snapshots[name]["orders"]) <= 1000]
    lost = sum(short[name][0] > BEST_PEER[name] for name in small)
    below = statistics.fmean(1 - long[name][0] / BEST_PEER[name] for name in names)
    above = statistics.fmean(long[name][0] / BEST_KNOWN[name] - 1 for name in names)
    overtime = max([short[name][1] / 0.1 for name in small] + [seconds for _, seconds in long.values()])
    return [
        Figure(name="snapshots: lost to a peer's 10 s in 0.1 s", value=lost, unit="", at_most=0),
        Figure(name="snapshots: below best peer in 1 s", value=100 * below, unit="%", at_least=4),
        Figure(name="snapshots: above best known in 1 s", value=100 * above, unit="%", at_most=1),
        Figure(name="snapshots: time taken of time given", value=overtime, unit="times", at_most=SLACK),
    ]


def _read(name: str) -> dict[str, Any]:
    snapshot: dict[str, Any] = json.loads((judge.FOLDER / "public" / "snapshots" / f"{name}.json").read_text())
    return snapshot


def _score(snapshot: dict[str, Any], seconds: float) -> tuple[float, float]:
    """Cost by the judge and seconds taken. ValueError for a plan that breaks a rule."""
    began = time.perf_counter()
    plan = mdrp.solve(snapshot, seconds)
    taken = time.perf_counter() - began
    verdict = judge.module("snapshot").score(snapshot, plan)
    if not verdict["valid"]:
        raise ValueError(f"{snapshot['name']}: the judge refuses the plan: {verdict['bad']}")
    return float(verdict["J"]), taken
