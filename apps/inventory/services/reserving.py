"""Promise stock to orders, and let it go or leave the store.

One statement locks the stock rows of an order in item order, looks at what is free *after* the wait,
and promises all of it or nothing; a CHECK constraint stands behind it. It is a transaction of its own:
no row of the last item on the shelf stays locked while an answer travels.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, connections
from django.db.backends.utils import CursorWrapper

import sharding
from apps.inventory import domain
from apps.inventory.errors import OutOfStock, ReservationDiffers
from apps.inventory.services import levels, replacing

REAPED_AT_ONCE = 500

_OF_ORDER = """
    SELECT item_id, state, quantity FROM inventory_reservation
    WHERE store_id = %(store)s AND order_id = %(order)s ORDER BY item_id FOR UPDATE
"""
# Rows that do not suffice are not locked, so that nobody queues for what is sold out; a row that had to be waited for
# is looked at again, as it is then. What another call for the same order has promised since the statement began is in
# its way when it adds the reservation.
_PROMISE = """
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(%(items)s::bigint[], %(quantities)s::numeric[]) AS wanted (item_id, quantity)
    ), locked AS MATERIALIZED (
        SELECT level.id, level.item_id, wanted.quantity
        FROM inventory_stocklevel AS level JOIN wanted USING (item_id)
        WHERE level.store_id = %(store)s AND level.on_hand - level.reserved >= wanted.quantity
            AND level.missing_since IS NULL
        ORDER BY level.item_id FOR UPDATE OF level
    ), verdict AS MATERIALIZED (
        SELECT NOT EXISTS (
            SELECT FROM inventory_reservation WHERE store_id = %(store)s AND order_id = %(order)s
        ) AS is_new, (SELECT count(*) FROM locked) = (SELECT count(*) FROM wanted) AS suffices
    ), promised AS (
        INSERT INTO inventory_reservation (store_id, order_id, item_id, quantity, state, expires_at)
        SELECT %(store)s, %(order)s, item_id, quantity, 'held', %(expires_at)s
        FROM locked, verdict WHERE is_new AND suffices
    ), counted AS (
        UPDATE inventory_stocklevel AS level SET reserved = level.reserved + locked.quantity
        FROM locked, verdict WHERE level.id = locked.id AND is_new AND suffices
    )
    SELECT is_new, ARRAY (SELECT item_id FROM locked) FROM verdict
"""
_FORGET = """
    DELETE FROM inventory_reservation
    WHERE store_id = %(store)s AND order_id = %(order)s AND state IN ('held', 'released')
"""
_SET_STATE = """
    UPDATE inventory_reservation SET state = %(to)s
    WHERE store_id = %(store)s AND order_id = %(order)s AND state = ANY (%(from)s)
"""
_EXPIRE = """
    UPDATE inventory_reservation SET state = 'released'
    WHERE id IN (
        SELECT id FROM inventory_reservation WHERE state = 'held' AND expires_at <= %(now)s
        AND EXISTS (  -- not what a move has copied here, or left behind
            SELECT 1 FROM sharding_bucket AS home
            WHERE home.keyspace = 'store' AND home.bucket = store_id %% 10000 AND home.state = 'owned'
        )
        ORDER BY expires_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    RETURNING store_id, order_id, item_id, quantity
"""
# What left is what was found, even where the count said there was less: the shortage is noted as a correction.
_LEAVE = """
    WITH gone AS (
        SELECT * FROM unnest(%(items)s::bigint[], %(reserved)s::numeric[], %(taken)s::numeric[])
            AS gone (item_id, reserved, taken)
    ), before AS MATERIALIZED (
        SELECT level.id, level.item_id, level.on_hand, gone.taken, level.reserved - gone.reserved AS still_reserved
        FROM inventory_stocklevel AS level JOIN gone USING (item_id)
        WHERE level.store_id = %(store)s
        ORDER BY level.item_id FOR UPDATE OF level
    ), changed AS (
        UPDATE inventory_stocklevel AS level
        SET reserved = before.still_reserved, on_hand = GREATEST(before.on_hand - before.taken, before.still_reserved)
        FROM before WHERE level.id = before.id
        RETURNING level.item_id, before.taken, level.on_hand - (before.on_hand - before.taken) AS short
    )
    INSERT INTO inventory_stockmovement (store_id, item_id, delta, reason, order_id, at)
    SELECT %(store)s, item_id, -taken, 'sold', %(order)s, %(now)s FROM changed WHERE taken > 0
    UNION ALL
    SELECT %(store)s, item_id, short, 'correction', %(order)s, %(now)s FROM changed WHERE short > 0
"""


@sharding.repeatable
def reserve(
    *, store_id: int, order_id: int, quantities: Mapping[int, Decimal], expires_at: datetime, now: datetime
) -> None:
    """Promise ``quantities`` (by item id, each in its ``cost_unit``) to the order until ``expires_at``: all or nothing.

    Repeating it is harmless, whatever has become of the order since; after a release it reserves
    anew. 1 statement the first time, 2 where something does not suffice. Raises ``OutOfStock`` with the items that
    do not suffice (nothing is reserved then), ``QuantityInvalid``, ``ReservationDiffers`` for other quantities than
    before.
    """
    wanted = domain.checked(quantities, zero=False)
    if not wanted:
        return
    parameters: dict[str, Any] = {
        "store": store_id,
        "order": order_id,
        "items": list(wanted),
        "quantities": list(wanted.values()),
        "expires_at": expires_at,
    }
    home = sharding.home("store", store_id)
    try:
        with connections[home.alias].cursor() as cursor:
            is_new, lacking = _promise(cursor, wanted, parameters)
            if lacking and not reservation(cursor, store_id, order_id):
                raise OutOfStock(lacking)
    except IntegrityError:  # the order reserves twice at this moment, and the other call was faster
        is_new, lacking = False, frozenset()
    if lacking or not is_new:
        with sharding.atomic(home) as alias, connections[alias].cursor() as cursor:
            _reserve_again(cursor, wanted, parameters)


def _promise(
    cursor: CursorWrapper, wanted: Mapping[int, Decimal], parameters: Mapping[str, Any]
) -> tuple[bool, frozenset[int]]:
    """Whether the order had no reservation, and the items that do not suffice.

    With a reservation, or any such item, nothing is promised. What it had to wait for may be the order's own.
    """
    cursor.execute(_PROMISE, parameters)
    is_new, sufficing = cursor.fetchone()
    return is_new, frozenset(wanted) - set(sufficing)


def _reserve_again(cursor: CursorWrapper, wanted: Mapping[int, Decimal], parameters: Mapping[str, Any]) -> None:
    earlier = reservation(cursor, parameters["store"], parameters["order"])
    if earlier and not domain.is_gone([state for state, _ in earlier.values()]):
        domain.check_same(earlier, wanted)
        return
    levels.give_back(cursor, _reserved(parameters["store"], earlier))
    cursor.execute(_FORGET, parameters)
    is_new, lacking = _promise(cursor, wanted, parameters)
    if not is_new:
        raise ReservationDiffers("Some of what this order has reserved left the store.")
    if lacking:
        raise OutOfStock(lacking)  # and the transaction is undone


@sharding.repeatable
def commit(*, store_id: int, order_id: int) -> None:
    """Keep the order's reservation for good; repeating it changes nothing. 2 statements.

    Raises ``ReservationNotFound``, and ``ReservationGone`` when it was released or ran out.
    """
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        if domain.must_commit(_states(cursor, store_id, order_id)):
            _move(cursor, store_id, order_id, to=domain.COMMITTED)


@sharding.repeatable
def release(*, store_id: int, order_id: int, now: datetime) -> None:
    """Give the order's reservation back to the shelf, and what it was promised as replacements. 4 statements.

    Nothing to do for an order without one, or twice. Raises ``ReservationConsumed``.
    """
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        found = reservation(cursor, store_id, order_id)
        freed: dict[tuple[int, int], Decimal] = {}
        if domain.must_release([state for state, _ in found.values()]):
            _move(cursor, store_id, order_id, to=domain.RELEASED)
            freed = _reserved(store_id, found)
        replacements = replacing.ended(cursor, store_id, order_id, to=domain.RELEASED)
        for item_id, quantity in replacements.items():
            freed[store_id, item_id] = freed.get((store_id, item_id), Decimal(0)) + quantity
        levels.give_back(cursor, freed)


@sharding.repeatable
def consume(*, store_id: int, order_id: int, taken: Mapping[int, Decimal], now: datetime) -> bool:
    """The order's goods leave the store: ``taken`` (by item id) leaves the stock, the reservation ends as a whole.

    So do the promises of replacements. ``taken`` may be less than was reserved (not found), more (weighed), or of an
    item that was not reserved. False, and nothing changes, when it was done, whatever it takes now. 4 statements.
    Raises ``ReservationNotFound``, ``ReservationGone``, ``ReservationNotCommitted``, ``QuantityInvalid``.
    """
    found_goods = domain.checked(taken, zero=True)
    with sharding.atomic(sharding.home("store", store_id)) as alias, connections[alias].cursor() as cursor:
        reserved = reservation(cursor, store_id, order_id)
        if not domain.must_consume([state for state, _ in reserved.values()]):
            return False
        _move(cursor, store_id, order_id, to=domain.CONSUMED)
        promised = replacing.ended(cursor, store_id, order_id, to=domain.CONSUMED)
        for (_, item_id), quantity in _reserved(store_id, reserved).items():
            promised[item_id] = promised.get(item_id, Decimal(0)) + quantity
        item_ids = sorted(promised.keys() | found_goods.keys())
        cursor.execute(
            _LEAVE,
            {
                "store": store_id,
                "order": order_id,
                "items": item_ids,
                "reserved": [promised.get(item_id, Decimal(0)) for item_id in item_ids],
                "taken": [found_goods.get(item_id, Decimal(0)) for item_id in item_ids],
                "now": now,
            },
        )
    return True


def release_expired(*, using: str, now: datetime) -> int:
    """Give back what held reservations in database ``using`` ran out by ``now``; how many orders' it was.

    Reservations that another transaction works on are left to the next time, and so is what is over
    ``REAPED_AT_ONCE``. 2 statements.
    """
    with sharding.atomic(using), connections[using].cursor() as cursor:
        cursor.execute(_EXPIRE, {"now": now, "limit": REAPED_AT_ONCE})
        freed: dict[tuple[int, int], Decimal] = {}
        orders = set()
        for store_id, order_id, item_id, quantity in cursor.fetchall():
            freed[store_id, item_id] = freed.get((store_id, item_id), Decimal(0)) + quantity
            orders.add((store_id, order_id))
        levels.give_back(cursor, freed)
    return len(orders)


def reservation(cursor: CursorWrapper, store_id: int, order_id: int) -> dict[int, tuple[str, Decimal]]:
    """State and quantity by item id, locked."""
    cursor.execute(_OF_ORDER, {"store": store_id, "order": order_id})
    return {item_id: (state, quantity) for item_id, state, quantity in cursor.fetchall()}


def _states(cursor: CursorWrapper, store_id: int, order_id: int) -> list[str]:
    return [state for state, _ in reservation(cursor, store_id, order_id).values()]


def _reserved(store_id: int, found: Mapping[int, tuple[str, Decimal]]) -> dict[tuple[int, int], Decimal]:
    return {
        (store_id, item_id): quantity for item_id, (state, quantity) in found.items() if state in domain.RESERVED_STATES
    }


_BEFORE = {
    domain.COMMITTED: [domain.HELD],
    domain.CONSUMED: [domain.COMMITTED, domain.MISSING],
    domain.RELEASED: [domain.HELD, domain.COMMITTED],
}


def _move(cursor: CursorWrapper, store_id: int, order_id: int, *, to: str) -> None:
    cursor.execute(_SET_STATE, {"store": store_id, "order": order_id, "to": to, "from": _BEFORE[to]})
