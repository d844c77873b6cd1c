"""The WebSocket behind an order's page: says that something changed, never what.

What changed is fetched by the page over HTTP, where permission is asked again; a lost or repeated
message therefore does no harm.
"""

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from apps.common.errors import NotFound
from apps.orders import selectors as orders

NOT_YOURS = 4404


def group(order_id: int) -> str:
    """Name of the channel group of everybody who watches an order."""
    return f"order.{order_id}"


class OrderConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """Sends ``{"sequence": n, "status": …}`` when the order of the path changes. Its customer only.

    The first message says where the order stands, so that a page that was away sees what it missed.
    """

    async def connect(self) -> None:
        self.order_id = int(self.scope["url_route"]["kwargs"]["order_id"])
        if not await database_sync_to_async(self._is_theirs)():
            await self.accept()  # a refusal before this has no code a browser could read
            await self.close(code=NOT_YOURS)
            return
        # Listen first, look afterwards: a change in between is then seen by one of the two.
        await self.channel_layer.group_add(group(self.order_id), self.channel_name)
        order = await database_sync_to_async(orders.order_for_staff)(order_id=self.order_id)
        await self.accept()
        await self.send_json({"sequence": order.sequence, "status": order.status})

    def _is_theirs(self) -> bool:
        user = self.scope["user"]
        try:
            return bool(user.is_authenticated and orders.owner(order_id=self.order_id) == user.pk)
        except NotFound:
            return False

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(group(self.order_id), self.channel_name)

    async def order_changed(self, message: dict[str, Any]) -> None:
        await self.send_json({"sequence": message["sequence"], "status": message["status"]})
