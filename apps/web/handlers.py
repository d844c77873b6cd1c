"""Tell customers what happens to their orders: open pages that something changed, mailboxes what."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from apps.common import outbox
from apps.orders import selectors as orders
from apps.orders.events import (
    OrderCanceled,
    OrderConfirmed,
    OrderDelivered,
    OrderLineRecorded,
    OrderRejected,
    OrderRescheduled,
    OrderStatusChanged,
)
from apps.payments.events import RefundUpdated
from apps.web import letters


@outbox.on(OrderStatusChanged)
def push_status(event: OrderStatusChanged, message_id: str) -> None:
    """A page that hears it twice, late or never is still right: it fetches the state itself."""
    _push(event.order_id, sequence=event.sequence, status=event.status)


@outbox.on(OrderLineRecorded)
def push_line(event: OrderLineRecorded, message_id: str) -> None:
    """Items tick off while they are being picked."""
    _push(event.order_id, sequence=event.sequence, status=event.order_status)


@outbox.on(OrderConfirmed)
def write_of_the_order(event: OrderConfirmed, message_id: str) -> None:
    letters.tell("order_placed", customer_id=event.customer_id, order_id=event.order_id)


@outbox.on(OrderStatusChanged)
def write_of_the_step(event: OrderStatusChanged, message_id: str) -> None:
    kind = {"payment_pending": "payment_waiting", "delivering": "order_on_the_way"}.get(event.status)
    if kind is not None:
        letters.tell(kind, customer_id=event.customer_id, order_id=event.order_id)


@outbox.on(OrderRescheduled)
def write_of_the_new_time(event: OrderRescheduled, message_id: str) -> None:
    letters.tell(
        "order_rescheduled",
        customer_id=event.customer_id,
        order_id=event.order_id,
        occasion=str(event.window_version),
        window_starts_at=event.window_starts_at,
        window_ends_at=event.window_ends_at,
    )


@outbox.on(OrderCanceled)
def write_of_the_end(event: OrderCanceled, message_id: str) -> None:
    letters.tell("order_canceled", customer_id=event.customer_id, order_id=event.order_id)


@outbox.on(OrderRejected)
def write_of_the_refusal(event: OrderRejected, message_id: str) -> None:
    """To whom we said that their payment waits; everybody else read it on the page at once."""
    steps = orders.order_for_staff(order_id=event.order_id).events
    if any(step.to_status == "payment_pending" for step in steps):
        letters.tell("order_rejected", customer_id=event.customer_id, order_id=event.order_id)


@outbox.on(OrderDelivered)
def send_the_receipt(event: OrderDelivered, message_id: str) -> None:
    letters.tell("order_delivered", customer_id=event.customer_id, order_id=event.order_id)


@outbox.on(RefundUpdated)
def write_of_the_refund(event: RefundUpdated, message_id: str) -> None:
    """Once all of it was sent: one refund may come from several payments."""
    for refund in orders.refunds(order_id=event.order_id):
        if refund.status == "paid":
            letters.tell(
                "refund_made",
                customer_id=event.customer_id,
                order_id=event.order_id,
                occasion=str(refund.number),
                number=refund.number,
            )


def _push(order_id: int, *, sequence: int, status: str) -> None:
    message = {"type": "order.changed", "sequence": sequence, "status": status}
    async_to_sync(get_channel_layer().group_send)(f"order.{order_id}", message)
