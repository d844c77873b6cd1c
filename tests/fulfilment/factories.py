"""Orders in a store for any test: ``make_waiting_store_order()``.

They are projected as if a customer had ordered; no order stands behind them on a customer's shard.
Tests about what the customer sees take a real one from ``tests.orders.factories``.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from apps.common.geo import Point
from apps.fulfilment import services
from apps.fulfilment.types import NewLine
from apps.stores.types import Store
from tests.stores.factories import make_store

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)
NEARBY = Point(39.9700, -82.9900)

_numbers = count(1)


def a_line(number: int = 1, **changes: object) -> NewLine:
    """Two cans of beans from aisle ``number``, with ``changes``."""
    usual: dict[str, object] = {
        "line_id": 700_000 + number,
        "item_id": 800_000 + number,
        "name": f"Beans {number}",
        "department": "pantry",
        "aisle": str(number),
        "rank": 1,
        "quantity": Decimal(2),
        "cost_unit": "each",
        "sold_by": "count",
        "unit_price_cents": 129,
        "note": "",
        "replacement_policy": "best_match",
    }
    return NewLine(**(usual | changes))  # type: ignore[arg-type]


def weighed(number: int = 2, quantity: str = "2.5") -> NewLine:
    """``quantity`` pounds of bananas."""
    return a_line(
        number, name="Bananas", quantity=Decimal(quantity), cost_unit="lb", sold_by="weight", unit_price_cents=59
    )


def make_waiting_store_order(
    *,
    store: Store | None = None,
    drop: Point = NEARBY,
    lines: Sequence[NewLine] = (),
    window_starts_at: datetime | None = None,
    window_ends_at: datetime | None = None,
    tip_cents: int = 300,
    order_id: int | None = None,
    now: datetime = NOW,
) -> int:
    """Id of a new store order that waits for a shopper; its window is the two hours from ``now`` on."""
    store_id = (store or make_store()).id
    starts_at = window_starts_at or now
    store_order_id = services.project(
        store_id=store_id,
        order_id=order_id or 9_000_000_000 + next(_numbers),
        customer_id=12,
        window_starts_at=starts_at,
        window_ends_at=window_ends_at or starts_at + timedelta(hours=2),
        drop=drop,
        tip_cents=tip_cents,
        lines=lines or (a_line(), weighed()),
        now=now,
    )
    assert store_order_id is not None
    return store_order_id


def make_assigned_store_order(*, shopper_id: int = 31, store: Store | None = None, **fields: object) -> int:
    """Id of a new store order that the shopper has taken."""
    store = store or make_store()
    store_order_id = make_waiting_store_order(store=store, **fields)  # type: ignore[arg-type]
    services.assign(store_id=store.id, store_order_ids=[store_order_id], shopper_id=shopper_id, now=NOW)
    return store_order_id
