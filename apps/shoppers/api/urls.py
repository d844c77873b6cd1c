from django.urls import path

from apps.shoppers.api import rest

urlpatterns = [
    path("shopper/me", rest.MeView.as_view(), name="shopper-me"),
    path("shopper/online", rest.OnlineView.as_view(), name="shopper-online"),
    path("shopper/offline", rest.OfflineView.as_view(), name="shopper-offline"),
    path("shopper/positions", rest.PositionsView.as_view(), name="shopper-positions"),
    path("shopper/earnings", rest.EarningsView.as_view(), name="shopper-earnings"),
]
