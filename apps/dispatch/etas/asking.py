"""ETAs of a batch that is under way.

They are told for the moment the batch entered its stage, which is what the model was taught and its shares hold for,
and change with the next stage: an ETA that is reckoned from now would move on while a shopper stands still.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apps.dispatch import models
from apps.dispatch.domain import UNDER_WAY
from apps.dispatch.etas import domain, predicting
from apps.dispatch.etas.domain import Stage
from apps.dispatch.types import Eta
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment.types import StoreOrder
from apps.stores.types import Store

_OVER = ("delivered", "canceled")


def of_batch(batch: models.Batch, kept: Sequence[StoreOrder], store: Store) -> dict[int, Eta]:
    """By store order id, of those still to be handed over; ``kept`` are the batch's, in the sequence of their doors.

    None of them while nobody has the batch, or from the door on that has no position. 1 query, 1 more a minute.
    """
    if batch.status not in UNDER_WAY or batch.acknowledged_at is None:
        return {}
    stage, since = _stage(kept, batch.acknowledged_at)
    hour = since.astimezone(ZoneInfo(store.timezone)).hour
    busy = fulfilment.with_shoppers(store_id=store.id, at=since)
    lines = sum(order.line_count - order.lines_done for order in kept)
    units = sum(order.unit_count - order.units_done for order in kept)
    doors = []
    found = {}
    for order in kept:
        if order.drop is None:
            break
        doors.append(order.drop)
        if order.status in _OVER:
            continue
        left = domain.components(stage, lines_left=lines, units_left=units, store=store.point, doors=doors)
        told = predicting.interval(stage, left, hour=hour, orders_at_store=busy)
        found[order.id] = Eta(
            earliest=since + timedelta(minutes=told.earliest),
            likely=since + timedelta(minutes=told.likely),
            latest=since + timedelta(minutes=told.latest),
        )
    return found


def _stage(kept: Sequence[StoreOrder], taken_at: datetime) -> tuple[Stage, datetime]:
    """A batch enters a stage with the first of its orders; what an earlier shopper did counts from ``taken_at`` on."""
    for stage, moments in (
        (Stage.DELIVERING, [order.delivery_started_at for order in kept]),
        (Stage.PICKING, [order.picking_started_at for order in kept]),
    ):
        if begun := [moment for moment in moments if moment is not None]:
            return stage, max(min(begun), taken_at)
    return Stage.ASSIGNED, taken_at
