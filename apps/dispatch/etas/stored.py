"""ETA models in the global database, each under a version of its own; each process keeps the newest for a while."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from apps.dispatch import models
from apps.dispatch.etas.domain import Calibration, Errors, Model, Stage

USED_FOR_S: Final = 60
"""A new model is in use everywhere after so long."""
_kept: list[tuple[float, Model]] = []
"""None or one: until when (on the monotonic clock) it is used."""


def save(model: Model, *, orders: int, calibration: Mapping[Stage, Calibration], now: datetime) -> int:
    """The version of the model, which is used from now on."""
    row = models.EtaModel.objects.create(
        trained_at=now,
        orders=orders,
        content=_packed(model),
        calibration={str(stage): asdict(figures) for stage, figures in calibration.items()},
    )
    forget()
    return row.pk


def newest() -> Model:
    """The empty model while none was trained. 1 query, none for ``USED_FOR_S`` afterwards."""
    for until, model in _kept:
        if time.monotonic() < until:
            return model
    content = models.EtaModel.objects.order_by("-pk").values_list("content", flat=True).first() or {}
    model = _unpacked(content)
    _kept[:] = [(time.monotonic() + USED_FOR_S, model)]
    return model


def forget() -> None:
    """The next one who asks reads the newest."""
    _kept.clear()


def _packed(model: Model) -> dict[str, Any]:
    return {
        "stages": [[str(stage), errors.orders, *errors.quantiles] for stage, errors in model.stages.items()],
        "cells": [
            [str(stage), hour, load, errors.orders, *errors.quantiles]
            for (stage, hour, load), errors in model.cells.items()
        ],
        "stretches": [[str(stage), *sides] for stage, sides in model.stretches.items()],
    }


def _unpacked(content: Mapping[str, Sequence[Sequence[Any]]]) -> Model:
    return Model(
        {Stage(stage): Errors(n, (low, middle, high)) for stage, n, low, middle, high in content.get("stages", ())},
        {
            (Stage(stage), hour, load): Errors(n, (low, middle, high))
            for stage, hour, load, n, low, middle, high in content.get("cells", ())
        },
        {Stage(stage): (earlier, later) for stage, earlier, later in content.get("stretches", ())},
    )
