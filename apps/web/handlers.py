"""Tell open order pages that something changed."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from apps.common import outbox
from apps.orders.events import OrderStatusChanged


@outbox.on(OrderStatusChanged)
def push_to_watchers(event: OrderStatusChanged, message_id: str) -> None:
    """A page that hears it twice, late or never is still right: it fetches the state itself."""
    layer = get_channel_layer()
    message = {"type": "order.changed", "sequence": event.sequence, "status": event.status}
    async_to_sync(layer.group_send)(f"order.{event.order_id}", message)
