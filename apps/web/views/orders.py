"""An order while it happens, and afterwards."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.common import clock
from apps.common.api import ids
from apps.common.errors import DomainError, NotFound
from apps.common.money import Money
from apps.dispatch import selectors as dispatch
from apps.orders import selectors, services
from apps.orders.types import Order
from apps.payments import selectors as payments
from apps.slots import selectors as slots
from apps.stores import selectors as directory
from apps.stores.types import Store
from apps.web import wording
from apps.web.views import after_delivery, tips
from apps.web.views.order_edits import new_key
from apps.web.views.shared import customer_id

_OVER = frozenset({"delivered", "rejected", "canceled", "returned"})
_WITHOUT_ETA = _OVER | {"pending", "payment_pending", "brand_new"}
"""No shopper has it yet, or none any more."""


@dataclass(frozen=True, slots=True)
class Choice:
    id: int
    label: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    title: str
    at: datetime
    local: str


@require_GET
@login_required
def orders(request: HttpRequest) -> HttpResponse:
    try:
        page = selectors.orders(customer_id=customer_id(request) or 0, after=request.GET.get("after"))
    except NotFound as missing:
        raise Http404 from missing
    return render(request, "web/orders.html", {"section": "orders", "page": page})


@require_GET
@login_required
def order(request: HttpRequest, order_id: int) -> HttpResponse:
    found = _order(request, order_id)
    live_url = f"{settings.WEBSOCKET_URL}/ws/orders/{order_id}/"
    return render(request, "web/order.html", {**_context(found), "live_url": live_url})


@require_GET
@login_required
def live(request: HttpRequest, order_id: int) -> HttpResponse:
    """The part of the page that changes."""
    return live_part(request, order_id)


def live_part(request: HttpRequest, order_id: int, refusal: DomainError | None = None) -> HttpResponse:
    return render(request, "web/_order_live.html", {**_context(_order(request, order_id)), "refusal": refusal})


@require_POST
@login_required
def cancel(request: HttpRequest, order_id: int) -> HttpResponse:
    try:
        services.cancel(
            order_id=order_id,
            customer_id=customer_id(request) or 0,
            reason="customer asked",
            agreed=_shown_fee(request),
            now=clock.now(),
        )
    except NotFound as missing:
        raise Http404 from missing
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The order is cancelled and the hold on your card is released.")
    return redirect("web:order", order_id)


def _shown_fee(request: HttpRequest) -> Money:
    """What the page said that canceling costs; nothing where it said nothing we understand."""
    typed = request.POST.get("fee", "")
    return Money(int(typed)) if typed.isascii() and typed.isdigit() and len(typed) < 10 else Money(0)


@require_POST
@login_required
def reschedule(request: HttpRequest, order_id: int) -> HttpResponse:
    found = _order(request, order_id)
    try:
        services.reschedule(
            order_id=order_id,
            customer_id=found.customer_id,
            window_id=ids.parse(request.POST.get("window", "")),
            now=clock.now(),
        )
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Your order has its new delivery time.")
    return redirect("web:order", order_id)


def _windows(order: Order, zone: ZoneInfo) -> list[tuple[str, list[Choice]]]:
    """What the order may be moved to, by day; none once its time is fixed. At most 2 queries on the store's shard."""
    now = clock.now()
    if not order.is_reschedulable:
        return []
    if slots.window(store_id=order.store_id, window_id=order.window_id).cutoff_at <= now:
        return []
    found = slots.open_windows(store_id=order.store_id, now=now, minutes=order.window_minutes)
    choices = [(wording.day(window.starts_at, now, zone), window) for window in found if window.id != order.window_id]
    return [
        (day, [Choice(window.id, wording.choice(window, zone)) for _, window in of_day])
        for day, of_day in groupby(choices, key=lambda choice: choice[0])
    ]


def _order(request: HttpRequest, order_id: int) -> Order:
    try:
        return selectors.order(order_id=order_id, customer_id=customer_id(request) or 0)
    except NotFound as missing:
        raise Http404 from missing


def _action_url(order: Order) -> str:
    """Where the customer's bank wants to see them before the order can go on; empty when it does not. 0 or 1 query."""
    if order.status != "pending":
        return ""
    held = payments.payments(customer_id=order.customer_id, order_id=order.id)
    return next((payment.action_url for payment in held if payment.status == "requires_action"), "")


def _arrival(order: Order, store: Store, zone: ZoneInfo) -> wording.Arrival | None:
    """At most 5 queries on the store's shard."""
    if order.status in _WITHOUT_ETA:
        return None
    eta = dispatch.eta(store=store, order_id=order.id)
    return wording.arrival(eta, clock.now(), zone) if eta else None


def _context(order: Order) -> dict[str, object]:
    store = directory.store(store_id=order.store_id)
    zone = ZoneInfo(store.timezone)
    is_final = any(adjustment.phase == "final" for adjustment in order.adjustments)
    phase = "final" if is_final else "estimate"
    tip = tips.shown(order)
    return {
        "section": "orders",
        "order": order,
        "store": store,
        "arrival": _arrival(order, store, zone),
        "when": wording.window(order.window_starts_at, order.window_ends_at, zone),
        "steps": wording.steps(order.status),
        "questions": wording.questions(order, zone),
        "events": [
            TimelineEntry(
                title=wording.event(event),
                at=event.at,
                local=event.at.astimezone(zone).strftime("%a %-d %b, %-I:%M %p"),
            )
            for event in order.events
        ],
        "charges": wording.charges(adjustment for adjustment in order.adjustments if adjustment.phase == phase),
        "is_final": is_final,
        "is_over": order.status in _OVER and (order.captured is not None or order.status != "delivered"),
        "pin": "" if order.status in _OVER else order.pin,
        "action_url": _action_url(order),
        "windows": _windows(order, zone),
        "cancellation": selectors.cancellation(order_id=order.id, customer_id=order.customer_id)
        if order.is_cancelable
        else None,
        **after_delivery.context(order, zone),
        "edit_key": new_key() if order.is_editable else "",
        "tip": tip,
        "tip_until": wording.moment(tip.tip.raisable_until, zone) if tip else "",
        "ended_because": wording.ending(order),
    }
