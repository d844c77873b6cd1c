"""Goods that the customer's card would not pay for stay in the store."""

from collections.abc import Collection
from datetime import datetime

import sharding
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus, Status
from apps.fulfilment.services import lines
from apps.orders.types import LineReason


@sharding.repeatable
def leave_behind(*, store_order_id: int, line_ids: Collection[int], now: datetime) -> bool:
    """Take the lines out of an order that is still at the check-out. False, and nothing happens, once it has left."""
    with sharding.atomic(sharding.home_of_id("store", store_order_id)):
        row = models.StoreOrder.objects.select_for_update(no_key=True).get(pk=store_order_id)
        named = row.lines.filter(line_id__in=line_ids)
        if not named.exclude(refund_reason=LineReason.NOT_PAID_FOR).exists():
            return True
        if row.status != Status.CHECKOUT:
            return False
        in_the_bag = named.filter(status__in=domain.IN_THE_BAG)
        lines.move(in_the_bag, LineStatus.TO_REFUND, refund_reason=LineReason.NOT_PAID_FOR)
        models.StoreOrder.objects.filter(pk=row.pk).update(progress_at=now)
    return True
