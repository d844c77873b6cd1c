"""The cart at one store."""

import re
from decimal import Decimal
from typing import TypedDict

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from apps.carts import selectors, services
from apps.carts.types import ITEM, Cart
from apps.catalog import selectors as catalog
from apps.common.api import ids
from apps.common.errors import DomainError, NotFound
from apps.stores import selectors as directory
from apps.stores.types import Store
from apps.web.views.shared import customer_id

_NUMBER = re.compile(r"(?=[.,]?[0-9])[0-9]{0,9}([.,][0-9]{0,9})?")


@require_GET
@login_required
def cart(request: HttpRequest, store_id: int) -> HttpResponse:
    store = _store(store_id)
    found = selectors.cart(customer_id=customer_id(request) or 0, store_id=store_id)
    missing = store.minimum_basket - found.subtotal
    return render(request, "web/cart.html", {"section": "stores", "store": store, "cart": found, "missing": missing})


@require_POST
def set_line(request: HttpRequest, store_id: int) -> HttpResponse:
    """Set how much of an item the cart holds; answers htmx with the item's stepper and the cart bar."""
    store, customer = _store(store_id), customer_id(request)
    if customer is None:
        return _to_sign_in(request, store_id)
    item_id = _item_id(request)
    wishes = _wishes(request, customer=customer, store_id=store_id, item_id=item_id)
    refusal: DomainError | None = None
    try:
        services.set_line(
            customer_id=customer,
            store_id=store_id,
            item_id=item_id,
            quantity=_quantity(request.POST.get("quantity", "")),
            in_pieces=request.POST.get("unit") == "piece",
            **wishes,
        )
    except DomainError as error:
        refusal = error
    if request.headers.get("HX-Request"):
        held = selectors.cart(customer_id=customer, store_id=store_id)
        return _stepper(request, store=store, item_id=item_id, cart=held, refusal=refusal)
    if refusal:
        messages.error(request, str(refusal))
    return redirect("web:cart" if request.POST.get("next") == "cart" else "web:store", store_id)


def _stepper(
    request: HttpRequest, *, store: Store, item_id: int, cart: Cart, refusal: DomainError | None
) -> HttpResponse:
    quantity = next((line.quantity for line in cart.lines if line.item_id == item_id), None)
    item = catalog.items_by_id(store_id=store.id, item_ids=[item_id]).get(item_id)
    if item is None:
        raise Http404
    context = {"store": store, "item": item, "quantity": quantity, "cart": cart, "error": refusal, "cart_oob": True}
    parts = ("web/_stepper.html", "web/_cartbar.html")
    return HttpResponse("".join(render_to_string(part, context, request) for part in parts))


def _to_sign_in(request: HttpRequest, store_id: int) -> HttpResponse:
    address = f"{resolve_url('web:sign_in')}?next={resolve_url('web:store', store_id)}"
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": address})
    return redirect(address)


def _store(store_id: int) -> Store:
    try:
        return directory.store(store_id=store_id)
    except NotFound as missing:
        raise Http404 from missing


def _item_id(request: HttpRequest) -> int:
    try:
        return ids.parse(request.POST.get("item", ""))
    except NotFound as missing:
        raise Http404 from missing


class _Wishes(TypedDict):
    note: str
    replacement_policy: str | None
    replacement_item_id: int | None


def _wishes(request: HttpRequest, *, customer: int, store_id: int, item_id: int) -> _Wishes:
    """Note and replacement as posted. A shelf's form has neither: then they stay what they are in the cart.

    The form names no other item: the policy ``item`` keeps the one that the line has.
    """
    note, policy = request.POST.get("note"), request.POST.get("replacement_policy")
    other_id = None
    if note is None or policy in (None, ITEM):
        lines = selectors.cart(customer_id=customer, store_id=store_id).lines
        kept = next((line for line in lines if line.item_id == item_id), None)
        note = (kept.note if kept else "") if note is None else note
        policy = (kept.replacement_policy if kept else None) if policy is None else policy
        other_id = kept.replacement_item_id if kept and policy == ITEM else None
    return {"note": note, "replacement_policy": policy, "replacement_item_id": other_id}


def _quantity(text: str) -> Decimal:
    """What was typed; something that is no plain number becomes a quantity the cart refuses."""
    text = text.strip()
    return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else Decimal(-1)
