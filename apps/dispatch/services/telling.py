"""What a shopper's own shard has to learn of their batches.

Word may be late or doubled, so each of these looks at the batch as it stands now before it is passed on.
"""

from datetime import datetime

from apps.common.money import Money
from apps.dispatch import models
from apps.dispatch.domain import UNDER_WAY
from apps.shoppers import services as shoppers


def tell_accepted(*, batch_id: int, offer_id: int, shopper_id: int) -> bool:
    """The shopper has the batch. False when that is known, or not so any more."""
    still_theirs = models.Batch.objects.filter(pk=batch_id, shopper_id=shopper_id, status__in=UNDER_WAY)
    if not still_theirs.exists():
        return False
    return shoppers.mark_accepted(shopper_id=shopper_id, batch_id=batch_id, offer_id=offer_id)


def tell_tip(*, store_id: int, order_id: int, tip: Money, now: datetime) -> bool:
    """Whoever delivered the order gets the customer's tip, once. False when there is none, or it is theirs already."""
    stop = (
        models.BatchStop.objects.filter(store_id=store_id, order_id=order_id, kind="drop", state__in=_NOT_DROPPED)
        .select_related("batch")
        .first()
    )
    if stop is None or stop.batch.shopper_id is None:
        return False
    return shoppers.earn(
        shopper_id=stop.batch.shopper_id, batch_id=stop.batch_id, order_id=order_id, kind="tip", amount=tip, now=now
    )


_NOT_DROPPED = ("pending", "done")
