"""Does batching by the engine pay on grocery days? Against one order at a time and first-come bundling, by demand.

Days of ``bench.dispatch.grocery``: real stores, streets and baskets, made-up customers and shoppers, an independent
judge. Where the data is missing (``INSTACART_SHARED``), nothing is measured and a line says so.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.dispatch.grocery import audit, judge, plot, zone
from bench.dispatch.grocery import day as days
from bench.dispatch.grocery.app_engine import AppEngine
from bench.dispatch.grocery.audit import Result
from bench.dispatch.grocery.baselines import first_come, one_at_a_time
from bench.dispatch.grocery.judge import Policy
from bench.dispatch.grocery.zone import Zone
from bench.report import Figure, Report, machine

LEVELS = (0.8, 1.1, 1.4, 1.7, 2.0)
"""Orders for each hour of a shift: from idle hours to more than anybody can bring."""
SEEDS = (1, 2, 3, 4, 5)
DENSE_STORES, DENSE_SHOPPERS, DENSE_LEVEL = 2, 120, 1.4
"""As many orders at a store as make large batches worth while, with hardly any late."""
PICTURE = "images/grocery-days.svg"

ONE, FIRST, IDLE, ENGINE = "one order at a time", "first-come bundles", "engine, told of the idle only", "engine"
POLICIES: Mapping[str, Callable[[Zone], Policy]] = {
    ONE: one_at_a_time,
    FIRST: first_come,
    IDLE: lambda zone: AppEngine(zone, knows_idle_only=True),
    ENGINE: AppEngine,
}
Results = dict[tuple[float, str], list[Result]]


def main(*, quick: bool) -> Report:
    if not zone.is_present():
        return Report(bench="grocery", figures=())
    levels, seeds, shoppers = (LEVELS[1:4:2], SEEDS[:1], days.SHOPPERS) if quick else (LEVELS, SEEDS, days.SHOPPERS)
    where = zone.columbus()
    results: Results = {(level, name): [] for level in levels for name in POLICIES}
    for level in levels:
        for seed in seeds:
            made = days.make(where, seed=seed, per_shopper_hour=level, shoppers=shoppers)
            for name, policy in POLICIES.items():
                results[level, name].append(audit.result(made, judge.run(made, policy(where))))
    taken = f"{len(seeds)} days each, {shoppers} shoppers, {len(where.names)} stores"
    return Report(
        bench="grocery",
        figures=(*_figures(results, levels), *([] if quick else _dense())),
        below=f"![What batching saves, by demand]({PICTURE})\n\n{_table(results, levels)}\n\nMeans of {taken}.",
        pictures={PICTURE: plot.svg(_plot(results, levels, taken))},
    )


def _figures(results: Results, levels: Sequence[float]) -> list[Figure]:
    """Gains at the level where they are least, so that none hides behind another."""

    def saved(than: str, by: str) -> float:
        return min(100 * (1 - _minutes(results[x, by]) / _minutes(results[x, than])) for x in levels)

    def missed(than: str) -> float:
        return min(100 * (_missed(results[x, than]) - _missed(results[x, ENGINE])) for x in levels)

    def late(than: str) -> float:
        return min(_mean(results[x, than], "late_minutes") - _mean(results[x, ENGINE], "late_minutes") for x in levels)

    everything = [result for days_of in results.values() for result in days_of]
    engine = [result for x in levels for name in (IDLE, ENGINE) for result in results[x, name]]
    return [
        Figure(name="fouls", value=sum(result.fouls for result in everything), unit="", at_most=0),
        Figure(name=f"minutes an order below {ONE}", value=saved(ONE, ENGINE), unit="%", at_least=10),
        Figure(name=f"minutes an order below {FIRST}", value=saved(FIRST, ENGINE), unit="%", at_least=4),
        Figure(name=f"the same, {IDLE}", value=saved(FIRST, IDLE), unit="%", at_least=0),
        Figure(name=f"late or undelivered below {ONE}", value=missed(ONE), unit="points", at_least=0),
        Figure(name=f"late or undelivered below {FIRST}", value=missed(FIRST), unit="points", at_least=0),
        Figure(name=f"minutes late below {FIRST}", value=late(FIRST), unit="min", at_least=0),
        Figure(name="orders a batch at most demand", value=_mean(results[levels[-1], ENGINE], "per_batch"), unit=""),
        Figure(
            name="decision p99, a day's median",
            value=statistics.median(result.decision_p99_ms for result in engine),
            unit="ms",
            at_most=50,
        ),
    ]


def _dense() -> list[Figure]:
    made = days.make(
        zone.columbus(stores=DENSE_STORES), seed=SEEDS[0], per_shopper_hour=DENSE_LEVEL, shoppers=DENSE_SHOPPERS
    )
    result = audit.result(made, judge.run(made, AppEngine(made.zone)))
    where = f"{DENSE_STORES} stores, {DENSE_SHOPPERS} shoppers, {DENSE_LEVEL} orders an hour"
    return [
        Figure(name=f"{where}: orders a batch", value=result.per_batch, unit=""),
        Figure(name=f"{where}: minutes an order", value=result.shopper_minutes, unit="min"),
        Figure(name=f"{where}: late or undelivered", value=100 * result.missed_share, unit="%"),
    ]


def _table(results: Results, levels: Sequence[float]) -> str:
    rows = [
        "| orders an hour | | orders a batch | minutes an order | driven | late | minutes late | undelivered | ASAP |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for level in levels:
        for k, name in enumerate(POLICIES):
            found = results[level, name]
            undelivered = 1 - sum(r.delivered for r in found) / sum(r.orders for r in found)
            rows.append(
                f"| {'' if k else level} | {name} | {_mean(found, 'per_batch'):.2f} | {_minutes(found):.1f}"
                f" | {_mean(found, 'drive_minutes'):.1f}"
                f" | {_mean(found, 'late_share'):.1%} | {_mean(found, 'late_minutes'):.1f} | {undelivered:.1%}"
                f" | {_mean(found, 'asap_minutes'):.0f} |"
            )
    return "\n".join(rows)


def _plot(results: Results, levels: Sequence[float], taken: str) -> plot.Plot:
    def lines(value: Callable[[list[Result]], float]) -> list[list[float]]:
        return [[value(results[level, name]) for level in levels] for name in POLICIES]

    return plot.Plot(
        title="Grocery days in Columbus, Ohio: what batching saves, by demand",
        x_label="orders placed for each hour of a shift",
        xs=levels,
        series=list(POLICIES),
        panels=[
            plot.Panel("Shopper minutes an order", lines(_minutes), least=25),
            plot.Panel("Late or undelivered, % of orders", lines(lambda found: 100 * _missed(found))),
            plot.Panel("Orders a batch", lines(lambda found: _mean(found, "per_batch")), least=1),
        ],
        footer=f"Means of {taken} · {machine()}",
    )


def _mean(found: Sequence[Result], what: str) -> float:
    return statistics.fmean(getattr(result, what) for result in found)


def _minutes(found: Sequence[Result]) -> float:
    return _mean(found, "shopper_minutes")


def _missed(found: Sequence[Result]) -> float:
    return _mean(found, "missed_share")
