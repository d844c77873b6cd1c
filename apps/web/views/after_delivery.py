"""What a customer says of a delivered order: stars, and what was wrong."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.common import clock
from apps.common.api import ids, uploads
from apps.common.errors import DomainError, Invalid, NotFound
from apps.orders import selectors as orders
from apps.orders.types import Order
from apps.support import selectors, services
from apps.web.views.shared import customer_id

WHOLE_ORDER = "order"
"""What the form sends instead of a line's id."""
STARS = {5: "Excellent", 4: "Good", 3: "All right", 2: "Poor", 1: "Bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A report's form, as it was sent."""

    line: str
    kind: str
    quantity: str
    words: str
    key: str


@require_http_methods(["GET", "POST"])
@login_required
def rate(request: HttpRequest, order_id: int) -> HttpResponse:
    """The form holds what was said before; sent anew it replaces it."""
    order = _order(request, order_id)
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            services.rate(
                order_id=order_id,
                customer_id=order.customer_id,
                stars=_whole(request.POST.get("stars", "")),
                tags=request.POST.getlist("tags"),
                words=request.POST.get("words", ""),
                now=clock.now(),
            )
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, "Thank you. You can change your rating until its time is over.")
            return redirect("web:order", order_id)
    after = selectors.after_delivery(order=order)
    said = after.rating
    is_sent = request.method == "POST"
    context = {
        "section": "orders",
        "order": order,
        "is_open": _is_open(after.rate_until),
        "rating": said,
        "stars": STARS,
        "tags": selectors.VOCABULARY.tags,
        "longest_words": selectors.VOCABULARY.longest_words,
        "chosen": request.POST.get("stars", "") if is_sent else str(said.stars) if said else "",
        "chosen_tags": request.POST.getlist("tags") if is_sent else said.tags if said else (),
        "words": request.POST.get("words", "") if is_sent else said.words if said else "",
        "error": refusal,
    }
    return render(request, "web/rate.html", context, status=refusal.status if refusal else 200)


@require_http_methods(["GET", "POST"])
@login_required
def report(request: HttpRequest, order_id: int) -> HttpResponse:
    """One thing at a time: an item or the order, what is wrong with it, photos."""
    order = _order(request, order_id)
    said = Said(
        line=request.POST.get("line", request.GET.get("line", "")),
        kind=request.POST.get("kind", ""),
        quantity=request.POST.get("quantity", "").strip(),
        words=request.POST.get("words", ""),
        key=request.POST.get("key", "") or secrets.token_urlsafe(16),
    )
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            made = services.report(
                order_id=order_id,
                customer_id=order.customer_id,
                line_id=_line_id(said.line),
                kind=said.kind,
                quantity=None if said.line == WHOLE_ORDER else _quantity(said.quantity),
                words=said.words,
                pictures=uploads.pictures(request, most=selectors.VOCABULARY.most_photos),
                key=said.key,
                now=clock.now(),
            )
        except DomainError as error:
            refusal = error
        else:
            if made.refunded is not None:
                messages.success(request, f"Sorry about that. {made.refunded} goes back to your card.")
            else:
                messages.success(request, "Thank you. Somebody looks at it; the answer appears on this page.")
            return redirect("web:order", order_id)
    after = selectors.after_delivery(order=order)
    context = {
        "section": "orders",
        "order": order,
        "is_open": _is_open(after.report_until),
        "lines": after.lines,
        "kinds": selectors.VOCABULARY.kinds,
        "most_photos": selectors.VOCABULARY.most_photos,
        "longest_words": selectors.VOCABULARY.longest_words,
        "said": said,
        "had_photos": bool(request.FILES),
        "error": refusal,
    }
    return render(request, "web/report.html", context, status=refusal.status if refusal else 200)


@require_POST
@login_required
def withdraw(request: HttpRequest, order_id: int, issue_id: int) -> HttpResponse:
    try:
        services.withdraw(issue_id=issue_id, customer_id=customer_id(request) or 0, now=clock.now())
    except NotFound as missing:
        raise Http404 from missing
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Your report is withdrawn. You can report it again while there is time.")
    return redirect("web:order", order_id)


@require_GET
@login_required
def photo(request: HttpRequest, order_id: int, issue_id: int, position: int) -> HttpResponse:
    try:
        found = selectors.photo(issue_id=issue_id, position=position, customer_id=customer_id(request) or 0)
    except NotFound as missing:
        raise Http404 from missing
    headers = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "default-src 'none'"}
    return HttpResponse(found.content, content_type=found.content_type, headers=headers)


def context(order: Order, zone: ZoneInfo) -> dict[str, object]:
    """Of the order's own page. At most 4 queries; none before the delivery."""
    after = selectors.after_delivery(order=order)
    until = after.report_until
    return {
        "after": after,
        "can_say": _is_open(until),
        "say_until": f"{until.astimezone(zone):%-d %B, %-I:%M %p}" if until else "",
    }


def _order(request: HttpRequest, order_id: int) -> Order:
    try:
        return orders.order(order_id=order_id, customer_id=customer_id(request) or 0)
    except NotFound as missing:
        raise Http404 from missing


def _is_open(until: datetime | None) -> bool:
    return until is not None and clock.now() <= until


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 0


def _line_id(text: str) -> int | None:
    if not text:
        raise Invalid("Choose what it is about: one item, or the whole order.")
    return None if text == WHOLE_ORDER else ids.parse(text)


def _quantity(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Invalid("Say how much of it as a number, such as 1 or 0.5; or leave it empty for all of it.") from None
