"""What ratings and reports have in common: the order they are about, and the lock they are written under."""

from datetime import datetime, timedelta

from apps.orders import selectors as orders
from apps.orders.types import LineReason, Order
from apps.support import domain, models
from apps.support.errors import NotDelivered, TooLate

_STAYED_BEHIND = frozenset({LineReason.TAKEN_OUT, LineReason.NOT_PAID_FOR})
"""The store had these."""


def lock(customer_id: int) -> None:
    """Let nobody else write a rating or report of this customer until the transaction ends. 2 queries, 4 once."""
    models.CaseFile.objects.get_or_create(pk=customer_id)
    models.CaseFile.objects.select_for_update(no_key=True).get(pk=customer_id)


def delivered(*, order_id: int, customer_id: int, within: timedelta, now: datetime) -> tuple[Order, datetime]:
    """The customer's order and when it was delivered. 4 queries.

    Raises ``OrderNotFound`` (also for somebody else's), ``NotDelivered``, ``TooLate``.
    """
    order = orders.order(order_id=order_id, customer_id=customer_id)
    if order.delivered_at is None:
        raise NotDelivered("This order has not been delivered.")
    if now > order.delivered_at + within:
        raise TooLate(f"This was possible for {within.days} days after the delivery.")
    return order, order.delivered_at


def shopper_of(order: Order) -> int | None:
    """Who delivered it."""
    return next((domain.shopper_id_of(event.actor) for event in order.events if event.to_status == "delivered"), None)


def delivery(order: Order, delivered_at: datetime) -> domain.Delivery:
    taken = [event.at for event in order.events if event.name == "acknowledged"]
    return domain.Delivery(
        delivered_at=delivered_at,
        due_at=order.window_ends_at,
        taken_at=max(taken, default=None),
        takes=timedelta(minutes=order.window_minutes),
        has_gaps=any(
            line.status != "found" or (line.sold_by == "count" and (line.found_quantity or 0) < line.quantity)
            for line in order.lines
            if line.reason not in _STAYED_BEHIND
        ),
    )
