"""The receipt of an order: one page to look at, print and keep."""

from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from apps.common.errors import NotFound
from apps.orders import selectors
from apps.orders.errors import ReceiptInconsistent, ReceiptNotReady
from apps.stores import selectors as directory
from apps.web import receipts, wording
from apps.web.views.shared import customer_id

LANGUAGE = "en"
"""The pages' own."""


@require_GET
@login_required
def receipt(request: HttpRequest, order_id: int) -> HttpResponse:
    """Before the delivery, and while its sums are being looked into, the order's page says so instead."""
    try:
        found = selectors.receipt(order_id=order_id, customer_id=customer_id(request) or 0)
    except NotFound as missing:
        raise Http404 from missing
    except (ReceiptNotReady, ReceiptInconsistent) as refusal:
        messages.info(request, str(refusal))
        return redirect("web:order", order_id)
    store = directory.store(store_id=found.store_id)
    zone = ZoneInfo(store.timezone)
    context = {
        "section": "orders",
        "receipt": found,
        "shown": receipts.shown(found, LANGUAGE),
        "store": store,
        "placed": receipts.moment(found.placed_at, zone, LANGUAGE),
        "delivered": receipts.moment(found.delivered_at, zone, LANGUAGE) if found.delivered_at else "",
        "when": wording.window(found.window_starts_at, found.window_ends_at, zone),
    }
    return render(request, "web/receipt.html", context)
