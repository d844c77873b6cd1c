"""From "who delivers to me" to one product."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from apps.catalog import selectors as catalog
from apps.catalog.errors import CursorInvalid
from apps.common.errors import NotFound
from apps.inventory import selectors as inventory
from apps.stores import selectors as directory
from apps.web.views.shared import cart_of, chosen_address

PAGE_SIZE = 24


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return redirect("web:stores")


@require_GET
def stores(request: HttpRequest) -> HttpResponse:
    address = chosen_address(request)
    found = directory.stores_delivering_to(point=address.point) if address else directory.every_store()
    return render(request, "web/stores.html", {"section": "stores", "stores": found, "address": address})


@require_GET
def store(request: HttpRequest, store_id: int, department: str | None = None) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:80]
    try:
        shop = directory.store(store_id=store_id)
        page = catalog.items(
            store_id=store_id,
            department=department,
            text=text or None,
            after=request.GET.get("after"),
            limit=PAGE_SIZE,
        )
    except (NotFound, CursorInvalid) as missing:
        raise Http404 from missing
    cart = cart_of(request, store_id)
    context = {
        "section": "stores",
        "store": shop,
        "page": page,
        "text": text,
        "department": department,
        "cart": cart,
        "quantities": {line.item_id: line.quantity for line in cart.lines} if cart else {},
        "out": sold_out(store_id, [item.id for item in page.items]),
    }
    if request.headers.get("HX-Request"):  # the next page of the shelf
        return render(request, "web/_items.html", context)
    return render(request, "web/store.html", {**context, "departments": catalog.departments(store_id=store_id)})


def sold_out(store_id: int, item_ids: list[int]) -> frozenset[int]:
    """Those of the items of which nothing can be promised now. 1 query on the store's shard."""
    free = inventory.available(store_id=store_id, item_ids=item_ids)
    return frozenset(item_id for item_id in item_ids if free[item_id] <= 0)


@require_GET
def item(request: HttpRequest, store_id: int, item_id: int) -> HttpResponse:
    try:
        shop = directory.store(store_id=store_id)
        found = catalog.item(store_id=store_id, item_id=item_id)
    except NotFound as missing:
        raise Http404 from missing
    cart = cart_of(request, store_id)
    return render(
        request,
        "web/item.html",
        {
            "section": "stores",
            "store": shop,
            "item": found,
            "is_available": inventory.available(store_id=store_id, item_ids=[item_id]).get(item_id, 0) > 0,
            "cart": cart,
            "quantities": {line.item_id: line.quantity for line in cart.lines} if cart else {},
        },
    )
