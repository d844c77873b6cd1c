from django.urls import path

from apps.web.api.live import OrderConsumer

websocket_urlpatterns = [path("ws/orders/<int:order_id>/", OrderConsumer.as_asgi())]
