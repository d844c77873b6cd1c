"""Orders that were delivered and paid for, and what their customers say of them."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from django.core.files.storage import default_storage

from apps.common import outbox
from apps.orders import selectors as orders
from apps.orders.types import Order
from apps.support import services
from apps.support.types import Issue
from tests.common.test_photos import JPEG, PNG
from tests.orders.factories import MORNING, bring_to, make_placed_order

DELIVERED = MORNING + timedelta(minutes=25)
SOON = DELIVERED + timedelta(hours=1)
SHOPPER = 7
"""Who delivers in ``bring_to``."""
PICTURES = [JPEG, PNG]


def make_delivered(*, is_paid: bool = True, found: Mapping[int, str] | None = None, **given: object) -> Order:
    """2.5 lb of bananas for 1.48, 2 milk for 6.98, root beer for 10.99 and 60 cents deposit.

    ``found`` by position in the order, from 0; the others as ordered.
    """
    order = make_placed_order(**given)  # type: ignore[arg-type]
    bring_to(order, "delivered", found={order.lines[n].id: quantity for n, quantity in (found or {}).items()})
    if is_paid:
        outbox.drain()
    return now_of(order)


def now_of(order: Order) -> Order:
    return orders.order_for_staff(order_id=order.id)


def report(order: Order, line: int | None = 1, *, kind: str = "missing", key: str = "k", **changes: object) -> Issue:
    """About the milk, unless said otherwise; ``line`` is a position in the order."""
    given: dict[str, object] = {
        "order_id": order.id,
        "customer_id": order.customer_id,
        "line_id": None if line is None else order.lines[line].id,
        "kind": kind,
        "key": key,
        "now": SOON,
    }
    return services.report(**{**given, **changes})  # type: ignore[arg-type]


def rate(order: Order, stars: int = 5, **changes: object):
    given: dict[str, object] = {"order_id": order.id, "customer_id": order.customer_id, "stars": stars, "now": SOON}
    return services.rate(**{**given, **changes})  # type: ignore[arg-type]


def stored_files() -> int:
    folder = Path(default_storage.path("issues"))
    return len(list(folder.iterdir())) if folder.exists() else 0
