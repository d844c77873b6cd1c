"""What shoppers with a batch in hand have left to do."""

from collections.abc import Collection, Mapping
from datetime import datetime

from apps.dispatch import models
from apps.dispatch.domain import UNDER_WAY, StopState
from apps.dispatch.domain.coming import Coming, coming
from apps.fulfilment import selectors as fulfilment
from apps.shoppers.types import BusyShopper
from apps.stores.types import Store


def coming_free(busy: Collection[BusyShopper], stores: Mapping[int, Store], *, now: datetime) -> tuple[Coming, ...]:
    """Those who will be free soon, and where. 2 queries for each shard of their batches.

    Somebody whose batch is of a store that is not among ``stores`` is left out.
    """
    with_batch = {one.batch_id: one.shopper for one in busy}
    if not with_batch:
        return ()
    drops = models.BatchStop.objects.filter(
        batch_id__in=with_batch, batch__status__in=UNDER_WAY, kind="drop", state=StopState.PENDING
    )
    left: dict[tuple[int, int], list[int]] = {}
    rows = drops.values_list("batch_id", "store_id", "store_order_id", "sequence")
    for batch_id, store_id, store_order_id, _ in sorted(rows, key=lambda row: (row[0], row[3])):
        left.setdefault((batch_id, store_id), []).append(store_order_id)
    in_hand = fulfilment.in_hand(store_order_ids=[one for ids in left.values() for one in ids])
    found = (
        coming(
            with_batch[batch_id],
            [in_hand[one] for one in ids if one in in_hand],
            store=stores[store_id].point,
            now=now,
        )
        for (batch_id, store_id), ids in left.items()
        if store_id in stores
    )
    return tuple(one for one in found if one is not None)
