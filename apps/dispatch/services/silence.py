"""Shoppers who fall silent in the middle of a batch: neither a position nor anything done for ``domain.SILENT_FOR``.

Their orders that are not paid for go back with what was picked so far. When that is the whole batch, it is opened
again as it is, with its pay for whoever completes it, and who had begun is paid for the time until the last thing they
did. Else they leave it and are planned anew, and it ends with the
others: what is delivered has earned its pay, what is paid for or on the way is with that shopper, a matter for people.
"""

from datetime import datetime

import sharding
from apps.common import outbox
from apps.dispatch import domain, models
from apps.dispatch.domain import UNDER_WAY, BatchStatus, StopState
from apps.dispatch.events import BatchReopened
from apps.dispatch.services import moving, progress
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.shoppers import selectors as shoppers


def reclaim_silent(*, using: str, now: datetime) -> int:
    """Take orders of one shard back from shoppers who are silent; of how many batches, ``progress.SWEEP`` at most.

    2 queries and 1 for each shopper shard, then 7 or more a batch.
    """
    since = now - domain.SILENT_FOR
    quiet = fulfilment.quiet(using=using, since=since)
    if not quiet:
        return 0
    heard = shoppers.heard_of(shopper_ids={order.shopper_id for order in quiet}, since=since)
    silent = [order.store_order_id for order in quiet if order.shopper_id not in heard]
    stops = sharding.owned(models.BatchStop.objects, using).filter(
        store_order_id__in=silent, kind="drop", state=StopState.PENDING
    )
    batches = stops.order_by("batch_id").values_list("batch_id", "store_id").distinct()[: progress.SWEEP]
    return sum(_reclaim(batch_id, store_id, since, now) for batch_id, store_id in batches)


@sharding.repeatable
def _reclaim(batch_id: int, store_id: int, since: datetime, now: datetime) -> bool:
    """False when the shopper has done something after all."""
    with sharding.atomic(sharding.home("store", store_id)) as alias:
        mine = models.Batch.objects.filter(pk=batch_id, status__in=UNDER_WAY)
        batch = mine.select_for_update(no_key=True).first()
        if batch is None or batch.shopper_id is None:
            return False
        pending = models.BatchStop.objects.filter(batch_id=batch_id, state=StopState.PENDING)
        left = frozenset(pending.values_list("store_order_id", flat=True))
        worked_until = fulfilment.last_progress(store_order_ids=left)
        taken_back = fulfilment_services.take_back(
            store_id=store_id, store_order_ids=left, shopper_id=batch.shopper_id, quiet_since=since
        )
        if not taken_back:
            return False
        is_any_delivered = models.BatchStop.objects.filter(batch_id=batch_id, state=StopState.DONE).exists()
        if taken_back == left and not is_any_delivered:
            moving.batches(mine, BatchStatus.OPEN, shopper_id=None, acknowledged_at=None)
            has_begun = batch.status == BatchStatus.PICKING
            work = progress.work_of(batch, until=worked_until) if has_begun and worked_until else {}
            event = BatchReopened(batch_id=batch_id, store_id=store_id, shopper_id=batch.shopper_id, **work)
            outbox.emit(event, using=alias)
        else:
            moving.stops(pending.filter(store_order_id__in=taken_back), StopState.DROPPED)
            if taken_back == left:
                progress.complete(batch, batch.shopper_id, alias, now)
    return True
