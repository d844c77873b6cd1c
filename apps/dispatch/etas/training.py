"""Fitting the ETA model to finished orders, and saying how far it can be trusted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sharding
from apps.common import databases
from apps.dispatch.etas import domain, history, stored
from apps.dispatch.etas.domain import Calibration, Model, Stage
from apps.dispatch.etas.history import Told

HELD_OUT: Final = 0.2
LEAST: Final = 50
"""Fewer finished orders teach nothing worth using."""
MOST_BATCHES: Final = 100_000
"""Of one shard; it bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was learned, and how it did on the latest fifth of the orders, which it had not seen.

    ``version`` is None where too few orders were found: nothing is stored then, and the last model stays in use.
    """

    version: int | None
    orders: int
    held_out: int
    in_window: float | None
    """The share of the orders held out that were delivered inside the customer's window."""
    calibration: dict[Stage, Calibration]


def train(*, now: datetime, days: int) -> Report:
    """Fit and store a model from the batches that ended in the last days on all shards.

    A shard that is away is left out (and logged): its orders are as those of others. Doing it again makes a version
    more. The orders held out are the latest, as those will be whose ETAs are asked for.
    """
    told: list[Told] = []
    since = now - timedelta(days=days)

    def read(alias: str) -> None:
        told.extend(history.orders(using=alias, since=since, most_batches=MOST_BATCHES))

    databases.for_each(sharding.aliases("store"), read)
    told.sort(key=lambda order: order.delivered_at)
    if len(told) < LEAST:
        return Report(version=None, orders=len(told), held_out=0, in_window=None, calibration={})
    cut = round(len(told) * (1 - HELD_OUT))
    seen, held_out = told[:cut], told[cut:]
    model = Model.fitted([sample for order in seen for sample in order.samples])
    calibration = _calibration(model, held_out)
    return Report(
        version=stored.save(model, orders=len(seen), calibration=calibration, now=now),
        orders=len(told),
        held_out=len(held_out),
        in_window=sum(order.is_in_window for order in held_out) / len(held_out),
        calibration=calibration,
    )


def _calibration(model: Model, held_out: list[Told]) -> dict[Stage, Calibration]:
    found: dict[Stage, Calibration] = {}
    for stage in Stage:
        samples = [sample for order in held_out for sample in order.samples if sample.stage == stage]
        if (figures := domain.calibration(model, samples)) is not None:
            found[stage] = figures
    return found
