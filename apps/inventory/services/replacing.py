"""Promise an item to an order that is being picked, instead of one that was out."""

from decimal import Decimal

from django.db import connections
from django.db.backends.utils import CursorWrapper

import sharding
from apps.inventory import domain, models
from apps.inventory.services import levels

_END = """
    WITH ended AS (
        UPDATE inventory_replacementhold SET state = %(to)s
        WHERE store_id = %(store)s AND order_id = %(order)s AND state = 'committed'
        RETURNING item_id, quantity
    )
    SELECT item_id, sum(quantity) FROM ended GROUP BY item_id
"""


@sharding.repeatable
def hold_replacement(*, store_id: int, order_id: int, claim_id: int, item_id: int, quantity: Decimal) -> None:
    """Promise ``quantity`` of the item to the order until it is released or the order's goods leave the store.

    ``claim_id`` names the promise; one that was made before is left as it is. 2 statements. Raises ``OutOfStock``,
    ``QuantityInvalid``.
    """
    wanted = domain.checked({item_id: quantity}, zero=False)
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        _, is_new = models.ReplacementHold.objects.get_or_create(
            store_id=store_id,
            claim_id=claim_id,
            defaults={
                "order_id": order_id,
                "item_id": item_id,
                "quantity": quantity,
                "state": domain.COMMITTED,
            },
        )
        if is_new:
            levels.take(cursor, store_id, wanted)


@sharding.repeatable
def release_replacement(*, store_id: int, claim_id: int) -> None:
    """Give that promise back to the shelf; nothing where there is none any more. 2 or 3 statements."""
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        mine = models.ReplacementHold.objects.filter(store_id=store_id, claim_id=claim_id)
        if mine.filter(state=domain.COMMITTED).update(state=domain.RELEASED):
            hold = mine.get()
            levels.give_back(cursor, {(store_id, hold.item_id): hold.quantity})


def ended(cursor: CursorWrapper, store_id: int, order_id: int, *, to: str) -> dict[int, Decimal]:
    """End the order's promises of replacements as ``to``; what they were of each item. The levels are the caller's."""
    cursor.execute(_END, {"store": store_id, "order": order_id, "to": to})
    return dict(cursor.fetchall())
