"""Ends of an order without a delivery, by support and by the people of its store."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.accounts import selectors as accounts
from apps.accounts.api.operators import only_operators
from apps.common import clock
from apps.common.api import actor
from apps.common.errors import DomainError, NotFound
from apps.orders import selectors as orders
from apps.orders import services

REASONS = (
    ("customer_asked", "The customer asked for it"),
    ("out_of_stock", "The store cannot fill it"),
    ("store_closed", "The store is closed then"),
    ("no_shopper", "No shopper is to be found"),
    ("address_unreachable", "The address cannot be reached"),
    ("suspected_fraud", "It looks like fraud"),
    ("other", "Something else"),
)
"""For the customer it is always free."""


@require_POST
def cancel(request: HttpRequest, order_id: int) -> HttpResponse:
    """In the operator's name."""
    only_operators(request)
    _cancel(request, order_id, f"staff:{actor.user_id(request)}")
    return redirect("backoffice:order", order_id)


@require_POST
def missing(request: HttpRequest, order_id: int) -> HttpResponse:
    """The shopper called: nobody opens."""
    only_operators(request)
    by, now = f"staff:{actor.user_id(request)}", clock.now()

    def miss() -> object:
        return services.transition(order_id=order_id, to="customer_missing", actor=by, now=now)

    _done(request, miss, "Noted. When the goods go back to the store, say so here.")
    return redirect("backoffice:order", order_id)


@require_POST
def returned(request: HttpRequest, order_id: int) -> HttpResponse:
    """The goods go back to the store, for the restocking fee."""
    only_operators(request)
    by, now = f"staff:{actor.user_id(request)}", clock.now()

    def bring_back() -> None:
        services.return_order(order_id=order_id, actor=by, note=request.POST.get("note", ""), now=now)

    _done(request, bring_back, "The order is returned; the shopper is free, and the store counts the goods again.")
    return redirect("backoffice:order", order_id)


@require_POST
@login_required
def cancel_by_store(request: HttpRequest, order_id: int) -> HttpResponse:
    """In the store's name, by one of its staff."""
    user_id = actor.user_id(request)
    try:
        store_id = orders.order_for_staff(order_id=order_id).store_id
    except NotFound as unknown:
        raise Http404 from unknown
    if store_id not in accounts.staff_store_ids(user_id=user_id):
        raise PermissionDenied
    _cancel(request, order_id, f"store:{store_id}:{user_id}")
    return redirect("backoffice:store")


def _cancel(request: HttpRequest, order_id: int, by: str) -> None:
    def end() -> None:
        services.cancel_for_customer(
            order_id=order_id,
            actor=by,
            reason=request.POST.get("reason", ""),
            note=request.POST.get("note", ""),
            now=clock.now(),
        )

    _done(request, end, "The order is canceled: the customer pays nothing, and a shopper who has it puts it back.")


def _done(request: HttpRequest, act: Callable[[], object], said: str) -> None:
    try:
        act()
    except NotFound as unknown:
        raise Http404 from unknown
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said)
