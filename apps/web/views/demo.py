"""One-tap sign-ins of the demo city. None of this exists outside the demo."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib import auth
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST


@dataclass(frozen=True, slots=True)
class Role:
    slug: str
    email: str
    lands_on: str
    title: str
    text: str
    action: str


ROLES = (
    Role("customer", "customer@demo.example", "/stores/", "Customer", "Fill a cart, pay, watch it come.", "Shop"),
    Role(
        "shopper",
        "shopper@demo.example",
        "/api/v1/docs/",
        "Shopper",
        "Offers, pick lists and deliveries, through the shoppers' API.",
        "See the shoppers' API",
    ),
    Role("store", "store@demo.example", "/store/", "Store staff", "Today's orders of one store.", "Open the store"),
    Role(
        "admin", "admin@demo.example", "/admin/", "Operator", "Every order, its money and its story.", "Open the admin"
    ),
)


@require_GET
def demo(request: HttpRequest) -> HttpResponse:
    _only_in_the_demo()
    return render(request, "web/demo.html", {"roles": ROLES, "chosen": request.GET.get("as", "")})


@require_POST
def sign_in(request: HttpRequest, role: str) -> HttpResponse:
    _only_in_the_demo()
    chosen = next((entry for entry in ROLES if entry.slug == role), None)
    user = chosen and auth.authenticate(request, email=chosen.email, password=settings.DEMO_PASSWORD)
    if not chosen or not user:
        raise Http404
    auth.login(request, user)
    return redirect(chosen.lands_on)


def _only_in_the_demo() -> None:
    if not settings.DEMO:
        raise Http404
