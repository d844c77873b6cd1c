"""The customer changes an order that is under way."""

import re
import secrets
from datetime import date
from decimal import Decimal

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.catalog import selectors as catalog
from apps.catalog.errors import CursorInvalid
from apps.common import clock
from apps.common.api import ids
from apps.common.errors import DomainError, NotFound
from apps.fulfilment import services
from apps.orders import selectors as orders
from apps.orders.errors import EditNeedsBank
from apps.orders.types import LineWish, Order
from apps.stores import selectors as directory
from apps.web.views.shared import customer_id
from apps.web.views.stores import sold_out

PAGE_SIZE = 24
_NUMBER = re.compile(r"(?=[.,]?[0-9])[0-9]{0,9}([.,][0-9]{0,9})?")


@require_GET
@login_required
def items(request: HttpRequest, order_id: int) -> HttpResponse:
    """The store's shelf, to add things from. 2 queries more than the store's own page, on the customer's shard."""
    order = _order(request, order_id)
    if not order.is_editable:
        messages.error(request, "This order can no longer be changed.")
        return redirect("web:order", order_id)
    text = request.GET.get("q", "").strip()[:80]
    try:
        page = catalog.items(
            store_id=order.store_id, text=text or None, after=request.GET.get("after"), limit=PAGE_SIZE
        )
    except CursorInvalid as missing:
        raise Http404 from missing
    context = {
        "section": "orders",
        "order": order,
        "store": directory.store(store_id=order.store_id),
        "page": page,
        "text": text,
        "quantities": {line.item_id: line.quantity for line in order.lines if not line.is_taken_out},
        "out": sold_out(order.store_id, [item.id for item in page.items]),
        "key": new_key(),
    }
    return render(request, "web/order_items.html", context)


@require_POST
@login_required
def edit(request: HttpRequest, order_id: int) -> HttpResponse:
    """Set how much of an item the order is of."""
    order = _order(request, order_id)
    quantity = Decimal(0) if "take_out" in request.POST else _quantity(request.POST.get("quantity", ""))
    try:
        services.edit(
            order_id=order_id,
            customer_id=order.customer_id,
            wishes=[LineWish(item_id=ids.parse(request.POST.get("item", "")), quantity=quantity)],
            idempotency_key=request.POST.get("key") or new_key(),
            birth_date=_date(request.POST.get("birth_date", "")),
            now=clock.now(),
        )
    except EditNeedsBank as error:
        return redirect(error.action_url)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Your order is changed; your shopper sees it at once.")
    if request.POST.get("next") == "items":
        return redirect("web:order_items", order_id)
    return redirect("web:order", order_id)


def new_key() -> str:
    """For the forms of one page as it is shown: a form that is sent twice means one change."""
    return secrets.token_urlsafe(12)


def _order(request: HttpRequest, order_id: int) -> Order:
    try:
        return orders.order(order_id=order_id, customer_id=customer_id(request) or 0)
    except NotFound as missing:
        raise Http404 from missing


def _quantity(text: str) -> Decimal:
    """What was typed; something that is no plain number becomes a quantity that is refused."""
    text = text.strip()
    return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else Decimal(-1)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
