"""Count up and down what of a shelf is promised. Both lock the stock rows in item order."""

from collections.abc import Mapping
from decimal import Decimal

from django.db.backends.utils import CursorWrapper

from apps.inventory.errors import OutOfStock

_TAKE = """
    WITH wanted AS (
        SELECT * FROM unnest(%(items)s::bigint[], %(quantities)s::numeric[]) AS wanted (item_id, quantity)
    ), locked AS MATERIALIZED (
        SELECT level.id, level.item_id, level.on_hand - level.reserved AS free
        FROM inventory_stocklevel AS level JOIN wanted USING (item_id)
        WHERE level.store_id = %(store)s AND level.missing_since IS NULL
        ORDER BY level.item_id FOR UPDATE OF level
    )
    UPDATE inventory_stocklevel AS level SET reserved = level.reserved + wanted.quantity
    FROM locked JOIN wanted USING (item_id)
    WHERE level.id = locked.id AND locked.free >= wanted.quantity
    RETURNING level.item_id
"""
_GIVE_BACK = """
    WITH freed AS (
        SELECT * FROM unnest(%(stores)s::bigint[], %(items)s::bigint[], %(quantities)s::numeric[])
            AS freed (store_id, item_id, quantity)
    ), locked AS MATERIALIZED (
        SELECT level.id, level.store_id, level.item_id
        FROM inventory_stocklevel AS level JOIN freed USING (store_id, item_id)
        ORDER BY level.store_id, level.item_id FOR UPDATE OF level
    )
    UPDATE inventory_stocklevel AS level SET reserved = level.reserved - freed.quantity
    FROM locked JOIN freed USING (store_id, item_id) WHERE level.id = locked.id
"""


def take(cursor: CursorWrapper, store_id: int, wanted: Mapping[int, Decimal]) -> None:
    """Promise ``wanted`` (by item id), in the caller's transaction. Raises ``OutOfStock`` for what is not there."""
    cursor.execute(_TAKE, {"store": store_id, "items": list(wanted), "quantities": list(wanted.values())})
    taken = {item_id for (item_id,) in cursor.fetchall()}
    if len(taken) != len(wanted):
        raise OutOfStock(wanted.keys() - taken)  # and the transaction is undone


def give_back(cursor: CursorWrapper, freed: Mapping[tuple[int, int], Decimal]) -> None:
    """Promise ``freed`` (by store and item id) no longer, in the caller's transaction."""
    if not freed:
        return
    keys = sorted(freed)
    cursor.execute(
        _GIVE_BACK,
        {
            "stores": [store_id for store_id, _ in keys],
            "items": [item_id for _, item_id in keys],
            "quantities": [freed[key] for key in keys],
        },
    )
