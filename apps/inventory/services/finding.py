"""What shoppers see of the shelves: an empty one, and how often an item is there."""

from collections.abc import Mapping
from datetime import datetime

from django.db import connections

import sharding
from apps.inventory import domain
from apps.inventory.types import Outcome

_MISS = """
    WITH mine AS (
        SELECT id, quantity FROM inventory_reservation
        WHERE store_id = %(store)s AND order_id = %(order)s AND item_id = %(item)s AND state IN ('held', 'committed')
        FOR UPDATE
    ), missed AS (
        UPDATE inventory_reservation AS reservation SET state = 'missing' FROM mine WHERE reservation.id = mine.id
    ), before AS MATERIALIZED (
        SELECT id, on_hand, reserved - COALESCE((SELECT quantity FROM mine), 0) AS others
        FROM inventory_stocklevel WHERE store_id = %(store)s AND item_id = %(item)s FOR UPDATE
    ), changed AS (
        UPDATE inventory_stocklevel AS level SET on_hand = others, reserved = others, missing_since = %(now)s
        FROM before WHERE level.id = before.id
        RETURNING before.others - before.on_hand AS delta
    )
    INSERT INTO inventory_stockmovement (store_id, item_id, delta, reason, order_id, at)
    SELECT %(store)s, %(item)s, delta, 'missing', %(order)s, %(now)s FROM changed WHERE delta <> 0
"""
_COUNT = """
    INSERT INTO inventory_foundstat AS stat (store_id, item_id, hour_of_week, asked, found, partly)
    SELECT %(store)s, item_id, %(hour)s, 1, found, partly
    FROM unnest(%(items)s::bigint[], %(found)s::int[], %(partly)s::int[]) AS seen (item_id, found, partly)
    ORDER BY item_id
    ON CONFLICT (store_id, item_id, hour_of_week) DO UPDATE SET
        asked = stat.asked + 1, found = stat.found + excluded.found, partly = stat.partly + excluded.partly
"""


@sharding.repeatable
def note_missing(*, store_id: int, order_id: int, item_id: int, now: datetime) -> None:
    """There is none of the item on the shelf: its stock falls to what other orders were promised, and nobody gets more
    until somebody counts (``set_on_hand``, a feed among others).

    What the order had reserved of it ends. The fall is noted as a movement of reason ``missing``; repeating it changes
    nothing. An item without stock of its own is left alone. 1 statement.
    """
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        cursor.execute(_MISS, {"store": store_id, "order": order_id, "item": item_id, "now": now})


@sharding.repeatable
def note_outcomes(*, store_id: int, outcomes: Mapping[int, Outcome], timezone: str, at: datetime) -> None:
    """Count once for each item that an order asked for it, and whether it was there.

    *Not* harmless to repeat: it belongs into the transaction that notes that the order was picked. 1 statement.
    """
    if not outcomes:
        return
    items = sorted(outcomes)
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        cursor.execute(
            _COUNT,
            {
                "store": store_id,
                "hour": domain.hour_of_week(at, timezone=timezone),
                "items": items,
                "found": [int(outcomes[item_id] == Outcome.FOUND) for item_id in items],
                "partly": [int(outcomes[item_id] == Outcome.PARTLY) for item_id in items],
            },
        )
