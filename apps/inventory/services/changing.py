"""A confirmed order comes to need more of something, or less."""

from collections.abc import Mapping
from decimal import Decimal

from django.db import connections
from django.db.models import F
from django.db.models.functions import Now

import sharding
from apps.inventory import domain, models
from apps.inventory.errors import OutOfStock
from apps.inventory.services import levels, reserving

_LOCK = """
    SELECT item_id FROM inventory_stocklevel WHERE store_id = %s AND item_id = ANY (%s) ORDER BY item_id FOR UPDATE
"""
_TAKE = """
    UPDATE inventory_stocklevel AS level SET reserved = level.reserved + wanted.quantity
    FROM unnest(%s::bigint[], %s::numeric[]) AS wanted (item_id, quantity)
    WHERE level.store_id = %s AND level.item_id = wanted.item_id AND level.missing_since IS NULL
        AND level.on_hand - level.reserved >= wanted.quantity
    RETURNING level.item_id
"""


@sharding.repeatable
def change(*, store_id: int, order_id: int, deltas: Mapping[int, Decimal]) -> None:
    """Let the order have so much more of each item (below zero: less), all or nothing, without expiry.

    *Not* harmless to repeat: it belongs into the transaction on the store's shard that notes the change itself. What
    an order needs none of any more is no longer reserved. 4 statements, and 1 or 2 for each item.

    Raises ``OutOfStock`` with the items that do not suffice, ``QuantityInvalid``, ``ReservationDiffers`` for less than
    nothing, and ``ReservationNotFound``, ``ReservationNotCommitted``, ``ReservationGone`` or ``ReservationConsumed``
    for an order that has nothing to change.
    """
    more = domain.checked({item_id: delta for item_id, delta in deltas.items() if delta > 0}, zero=False)
    less = domain.checked({item_id: -delta for item_id, delta in deltas.items() if delta < 0}, zero=False)
    home = sharding.home("store", store_id)
    with sharding.atomic(home, savepoint=False) as alias, connections[alias].cursor() as cursor:
        found = reserving.reservation(cursor, store_id, order_id)
        domain.check_changeable([state for state, _ in found.values()])
        promised = {item_id: quantity for item_id, (state, quantity) in found.items() if state == domain.COMMITTED}
        domain.check_holds(promised, less)
        cursor.execute(_LOCK, [store_id, sorted(more.keys() | less.keys())])
        cursor.execute(_TAKE, [list(more), list(more.values()), store_id])
        lacking = more.keys() - {item_id for (item_id,) in cursor.fetchall()}
        if lacking:
            raise OutOfStock(lacking)  # and the transaction is undone
        levels.give_back(cursor, {(store_id, item_id): quantity for item_id, quantity in less.items()})
        rows = models.Reservation.objects.filter(store_id=store_id, order_id=order_id)
        rows.filter(item_id__in=[item_id for item_id in less if less[item_id] == promised[item_id]]).delete()
        for item_id, quantity in less.items():
            rows.filter(item_id=item_id).update(quantity=F("quantity") - quantity)
        for item_id, quantity in more.items():
            models.Reservation.objects.update_or_create(
                store_id=store_id,
                order_id=order_id,
                item_id=item_id,
                defaults={"quantity": promised.get(item_id, Decimal(0)) + quantity, "state": domain.COMMITTED},
                create_defaults={"quantity": quantity, "state": domain.COMMITTED, "expires_at": Now()},
            )
