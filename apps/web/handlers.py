"""Tell open order pages that something changed."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from apps.common import outbox
from apps.orders.events import OrderLineRecorded, OrderStatusChanged


@outbox.on(OrderStatusChanged)
def push_status(event: OrderStatusChanged, message_id: str) -> None:
    """A page that hears it twice, late or never is still right: it fetches the state itself."""
    _push(event.order_id, sequence=event.sequence, status=event.status)


@outbox.on(OrderLineRecorded)
def push_line(event: OrderLineRecorded, message_id: str) -> None:
    """Items tick off while they are being picked."""
    _push(event.order_id, sequence=event.sequence, status=event.order_status)


def _push(order_id: int, *, sequence: int, status: str) -> None:
    message = {"type": "order.changed", "sequence": sequence, "status": status}
    async_to_sync(get_channel_layer().group_send)(f"order.{order_id}", message)
