"""What a shopper's own shard has to learn of their batches.

Word may be late or doubled, so each of these looks at the batch as it stands now before it is passed on.
"""

from datetime import datetime

from apps.common.money import Money
from apps.dispatch import domain, models
from apps.dispatch.domain import UNDER_WAY, StopState
from apps.fulfilment import selectors as fulfilment
from apps.shoppers import services as shoppers


def tell_accepted(*, batch_id: int, offer_id: int, shopper_id: int) -> bool:
    """The shopper has the batch. False when that is known, or not so any more."""
    still_theirs = models.Batch.objects.filter(pk=batch_id, shopper_id=shopper_id, status__in=UNDER_WAY)
    if not still_theirs.exists():
        return False
    return shoppers.mark_accepted(shopper_id=shopper_id, batch_id=batch_id, offer_id=offer_id)


def tell_pick(*, batch_id: int, shopper_id: int) -> bool:
    """How long the shopper was in the store for a batch, once. False when that is known, or cannot be said.

    From the first order begun to the last checked out; what an earlier shopper had picked is not expected of this one.
    """
    drops = models.BatchStop.objects.filter(batch_id=batch_id, kind="drop", state=StopState.DONE)
    picked = fulfilment.finished(store_order_ids=set(drops.values_list("store_order_id", flat=True))).values()
    began = [order.picking_started_at for order in picked if order.picking_started_at is not None]
    ended = [order.picked_at for order in picked if order.picked_at is not None]
    if not picked or not len(began) == len(ended) == len(picked):
        return False
    minutes = (max(ended) - min(began)).total_seconds() / 60
    if not 0 < minutes < LONGEST_PICK:
        return False
    expected_s = domain.IN_STORE_S + sum(
        domain.PER_LINE_S * order.line_count + domain.PER_UNIT_S * order.unit_count for order in picked
    )
    return shoppers.note_pick(
        shopper_id=shopper_id,
        batch_id=batch_id,
        minutes=minutes,
        expected_minutes=expected_s / 60,
        picked_at=max(ended),
    )


def tell_tip(*, store_id: int, order_id: int, tip: Money, now: datetime, number: int = 0) -> bool:
    """Whoever delivered the order gets the customer's tip, once. False when there is none, or it is theirs already.

    ``number`` counts what was added after the delivery; below zero it was lowered, and that is the shopper's loss.
    """
    stop = (
        models.BatchStop.objects.filter(store_id=store_id, order_id=order_id, kind="drop", state__in=_NOT_DROPPED)
        .select_related("batch")
        .first()
    )
    if stop is None or stop.batch.shopper_id is None:
        return False
    return shoppers.earn(
        shopper_id=stop.batch.shopper_id,
        batch_id=stop.batch_id,
        order_id=order_id,
        kind="tip" if tip.cents > 0 else "tip_lowered",
        number=number,
        amount=tip,
        now=now,
    )


LONGEST_PICK = 8 * 60
"""Minutes; somebody who checks out later than that forgot to."""
_NOT_DROPPED = ("pending", "done")
