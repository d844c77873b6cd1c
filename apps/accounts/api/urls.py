from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe
from oauth2_provider import views

from apps.accounts.api import openapi  # noqa: F401  (drf-spectacular finds it by its being imported)


@require_safe
def done(request: HttpRequest) -> HttpResponse:
    """Where apps without an address of their own are sent back to; they read the code from the address."""
    response = HttpResponse("You are signed in. Go back to the app.", content_type="text/plain; charset=utf-8")
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store"
    return response


urlpatterns = [
    path("oauth/authorize/", views.AuthorizationView.as_view(), name="oauth-authorize"),
    path("oauth/token/", views.TokenView.as_view(), name="oauth-token"),
    path("oauth/revoke/", views.RevokeTokenView.as_view(), name="oauth-revoke"),
    path("oauth/done/", done, name="oauth-done"),
]
