"""Orders whose till receipt differed from what their shopper found, and went on all the same."""

from dataclasses import dataclass

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.api.operators import only_operators
from apps.common import clock
from apps.common.errors import NotFound
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services
from apps.fulfilment.types import Receipt
from apps.orders import selectors as orders
from apps.stores import selectors as stores


@dataclass(frozen=True, slots=True)
class Row:
    receipt: Receipt
    store: str


@require_GET
def receipts(request: HttpRequest) -> HttpResponse:
    """The oldest first. 1 query for each store shard, and 1 for the stores."""
    only_operators(request)
    found = fulfilment.flagged_receipts()
    known = stores.stores(store_ids={receipt.store_id for receipt in found})
    rows = [Row(receipt, known[receipt.store_id].name) for receipt in found]
    context = {**admin.site.each_context(request), "title": "Receipts that differ", "rows": rows}
    return render(request, "backoffice/receipts.html", context)


@require_GET
def photo(request: HttpRequest, order_id: int) -> HttpResponse:
    """The shopper's photo of the receipt."""
    only_operators(request)
    picture = fulfilment.receipt_photo(store_id=_store_id(order_id), order_id=order_id)
    if picture is None:
        raise Http404
    kind = "image/png" if picture.extension == "png" else "image/jpeg"
    return HttpResponse(picture.content, content_type=kind, headers={"X-Content-Type-Options": "nosniff"})


@require_POST
def seen(request: HttpRequest, order_id: int) -> HttpResponse:
    """Somebody has looked at it: it leaves the list."""
    only_operators(request)
    if services.see_receipt(
        store_id=_store_id(order_id), order_id=order_id, user_id=int(request.user.pk or 0), now=clock.now()
    ):
        messages.success(request, f"The receipt of order {order_id} is noted as looked at.")
    if request.POST.get("next") == "order":
        return redirect("backoffice:order", order_id)
    return redirect("backoffice:receipts")


def _store_id(order_id: int) -> int:
    try:
        return orders.order_for_staff(order_id=order_id).store_id
    except NotFound as missing:
        raise Http404 from missing
