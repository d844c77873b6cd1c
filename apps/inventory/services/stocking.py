from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from django.db import connections

import sharding
from apps.inventory import domain

# GREATEST: goods promised to orders cannot be counted away; what is missing shows when they are picked.
_SET = """
    WITH counted AS (
        SELECT * FROM unnest(%(items)s::bigint[], %(quantities)s::numeric[]) AS counted (item_id, quantity)
    ), before AS MATERIALIZED (
        SELECT level.id, level.item_id, level.on_hand, GREATEST(counted.quantity, level.reserved) AS wanted
        FROM inventory_stocklevel AS level JOIN counted USING (item_id)
        WHERE level.store_id = %(store)s
        ORDER BY level.item_id FOR UPDATE OF level
    ), changed AS (
        UPDATE inventory_stocklevel AS level SET on_hand = before.wanted, missing_since = NULL
        FROM before WHERE level.id = before.id AND (before.wanted <> before.on_hand OR level.missing_since IS NOT NULL)
        RETURNING level.item_id, before.wanted - before.on_hand AS delta
    ), added AS (
        INSERT INTO inventory_stocklevel (store_id, item_id, on_hand, reserved)
        SELECT %(store)s, item_id, quantity, 0 FROM counted
        WHERE NOT EXISTS (SELECT FROM before WHERE before.item_id = counted.item_id)
        ORDER BY item_id
        RETURNING item_id, on_hand AS delta
    )
    INSERT INTO inventory_stockmovement (store_id, item_id, delta, reason, at)
    SELECT %(store)s, item_id, delta, %(reason)s, %(now)s
    FROM (SELECT * FROM changed UNION ALL SELECT * FROM added) AS moved WHERE delta <> 0
"""
_COUNT_LOCK = 5_122


@sharding.repeatable
def set_on_hand(*, store_id: int, quantities: Mapping[int, Decimal], reason: str, now: datetime) -> None:
    """Make ``quantities`` what lies in the store, by item id in each item's ``cost_unit``; the rest stays.

    An item never falls below what orders were promised of it, and one that a shopper missed may be sold again. Each
    change is noted as a movement; repeating it changes nothing. 2 statements, however many items. Raises
    ``QuantityInvalid``.
    """
    counted = domain.checked(quantities, zero=True)
    if not counted:
        return
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        # Two counts at once would both find an item new; reservations do not pass here.
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_COUNT_LOCK, store_id % 2**31])
        cursor.execute(
            _SET,
            {
                "store": store_id,
                "items": list(counted),
                "quantities": list(counted.values()),
                "reason": reason[:40],
                "now": now,
            },
        )
