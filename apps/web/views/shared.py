"""What several pages do alike."""

from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from apps.accounts import selectors as accounts
from apps.accounts.types import Address
from apps.carts import selectors as carts
from apps.carts.types import Cart

ADDRESS_KEY = "address_id"


def customer_id(request: HttpRequest) -> int | None:
    """Id of the signed-in customer, or None."""
    return int(request.user.pk) if request.user.is_authenticated else None


def chosen_address(request: HttpRequest) -> Address | None:
    """The address the customer shops for: the one chosen last, else their first. 0 or 1 query."""
    customer = customer_id(request)
    if customer is None:
        return None
    addresses = accounts.addresses(customer_id=customer)
    wanted = request.session.get(ADDRESS_KEY)
    return next((address for address in addresses if address.id == wanted), addresses[0] if addresses else None)


def cart_of(request: HttpRequest, store_id: int) -> Cart | None:
    """The signed-in customer's cart at a store, or None for a visitor."""
    customer = customer_id(request)
    return carts.cart(customer_id=customer, store_id=store_id) if customer else None


def next_page(request: HttpRequest, default: str) -> str:
    """Where ``next`` asks to go afterwards when that is a path of ours, else ``default`` (a route's name or path).

    Only a path from the root: ``@example.com`` or ``.example.com`` would become another host behind our address.
    """
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if ours else resolve_url(default)


def absolute(path: str, **query: str) -> str:
    """``path`` of ours as the outside world reaches it."""
    return f"{settings.PUBLIC_URL}{path}" + (f"?{urlencode(query)}" if query else "")
