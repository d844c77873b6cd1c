"""What uvicorn serves: WebSockets."""

import os

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "instacart.settings")
django.setup()

from instacart import websockets  # noqa: E402 (its consumers need Django's apps)

application = ProtocolTypeRouter(
    {
        "http": websockets.not_found,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websockets.urlpatterns))),
    }
)
