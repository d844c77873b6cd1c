from django.urls import path

from apps.dispatch.api import rest

urlpatterns = [
    path("shopper/offers", rest.OffersView.as_view(), name="shopper-offers"),
    path("shopper/offers/<str:offer_id>/accept", rest.AcceptView.as_view(), name="shopper-offer-accept"),
    path("shopper/offers/<str:offer_id>/decline", rest.DeclineView.as_view(), name="shopper-offer-decline"),
    path("shopper/heat-map", rest.HeatMapView.as_view(), name="shopper-heat-map"),
    path("shopper/batch", rest.BatchView.as_view(), name="shopper-batch"),
]
