"""Days of the Meal Delivery Routing Problem, a decision a minute, judged by the public benchmark's own check.

The goals are those for the mean of all 240 public days. Six of them are here, and their means differ: nobody can bring
an order before it is ready and driven to its door, and these six have a floor of 30.39 minutes (all: 30.35). Four of
their orders are ready after the last shift has ended: nobody may pick them up, so they are not counted as missed.
"""

import statistics
from typing import Any

from bench.dispatch import judge, mdrp
from bench.dispatch.recorded import REYES
from bench.report import Figure


def figures(*, quick: bool) -> list[Figure]:
    names = list(REYES)[1:4] if quick else list(REYES)
    results = {name: _day(name) for name in names}

    def mean(key: str) -> float:
        return statistics.fmean(result[key] for result in results.values())

    worse = sum(
        result["undelivered_pct"] > REYES[name].undelivered + 1e-4
        or result["ctd"] > REYES[name].click_to_door + 1e-4
        or result["cost_per_order"] > REYES[name].pay + 1e-4
        for name, result in results.items()
    )
    theirs = [REYES[name] for name in names]
    sooner = 1 - mean("ctd") / statistics.fmean(day.click_to_door for day in theirs)
    cheaper = 1 - mean("cost_per_order") / statistics.fmean(day.pay for day in theirs)
    return [
        Figure(name="days: fouls", value=sum(result["fouls"] for result in results.values()), unit="", at_most=0),
        Figure(name="days: undelivered", value=mean("undelivered_pct"), unit="%"),
        Figure(name="days: undelivered of the possible", value=mean("missed_pct"), unit="%", at_most=0.02),
        Figure(name="days: click-to-door", value=mean("ctd"), unit="min", at_most=31.70),
        Figure(name="days: click-to-door below reyes", value=100 * sooner, unit="%"),
        Figure(name="days: click-to-door above its floor", value=mean("ctd_gap_pct"), unit="%", at_most=4.45),
        Figure(name="days: minutes over 40", value=mean("overage"), unit="min", at_most=2.05),
        Figure(name="days: ready-to-pickup", value=mean("rtp"), unit="min", at_most=1.20),
        Figure(name="days: pay per order", value=mean("cost_per_order"), unit="$"),
        Figure(name="days: pay below reyes", value=100 * cheaper, unit="%", at_least=6.0),
        Figure(name="days: worse than reyes", value=worse, unit="days", at_most=0),
        Figure(name="days: orders a bundle", value=mean("per_bundle"), unit=""),
        Figure(name="days: decision p99", value=max(r["lat_p99"] for r in results.values()), unit="ms", at_most=5),
    ]


def _day(name: str) -> dict[str, Any]:
    sim, check = judge.module("sim"), judge.module("check")
    day = judge.module("mdrp").load(name, str(judge.FOLDER / "public" / "mdrp"))
    hidden = sim.hidden(day)
    log = sim.run(day, mdrp.make(hidden), step=1, known=hidden)
    metrics: dict[str, Any] = check.metrics(day, log)
    late = sum(all(courier.off < order.ready for courier in day.couriers.values()) for order in day.orders.values())
    metrics["missed_pct"] = metrics["undelivered_pct"] - 100 * late / len(day.orders)
    metrics["fouls"] = len(check.verify(day, log))
    return metrics
