"""Every app's routes, gathered."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("apps.accounts.api.urls")),
    path("", include("apps.payments.api.urls")),
    path("api/v1/", include("apps.shoppers.api.urls")),
    path("api/v1/", include("apps.dispatch.api.urls")),
    path("api/v1/", include("apps.fulfilment.api.urls")),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
]
