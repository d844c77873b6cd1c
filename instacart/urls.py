"""Every app's routes, gathered."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from apps.accounts.api import jwt
from apps.common.api.graphql import LoadingGraphQLView
from instacart import metrics
from instacart.schema import schema

urlpatterns: list[URLPattern | URLResolver] = [
    path("graphql/", LoadingGraphQLView.as_view(schema=schema, authenticate=jwt.user_from_bearer)),
    path("api/v1/schema/", SpectacularAPIView.as_view(permission_classes=[], authentication_classes=[]), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerView.as_view(permission_classes=[], authentication_classes=[])),
    path("api/v1/", include("apps.shoppers.api.urls")),
    path("api/v1/", include("apps.statements.api.urls")),
    path("api/v1/", include("apps.dispatch.api.urls")),
    path("api/v1/", include("apps.fulfilment.api.urls")),
    path("", include("apps.accounts.api.urls")),
    path("", include("apps.payments.api.urls")),
    path("", include("apps.backoffice.urls")),
    path("admin/", admin.site.urls),
    path("metrics", metrics.page),
    path("", include("apps.web.urls")),
]
