"""WebSocket routes of every app, gathered; what none of them knows is refused."""

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.urls import URLPattern, re_path

from apps.web.api import routing as web

NOT_FOUND = 4404


class NotFound(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.accept()  # a refusal before this has no code a browser could read
        await self.close(code=NOT_FOUND)


async def not_found(scope: Any, receive: Any, send: Any) -> None:
    """Pages are uWSGI's; this process answers WebSockets only."""
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Only WebSockets are answered here.\n"})


urlpatterns: list[URLPattern] = [
    *web.websocket_urlpatterns,
    re_path(r"", NotFound.as_asgi()),
]
