"""What may be brought instead of something that is out: the customer's answers, while the order is being picked."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.common import clock
from apps.common.api import ids
from apps.common.errors import DomainError, NotFound
from apps.orders import selectors, services
from apps.stores import selectors as directory
from apps.web.views import orders
from apps.web.views.shared import customer_id


@require_POST
@login_required
def answer(request: HttpRequest, order_id: int, replacement_id: int) -> HttpResponse:
    """Yes or no. For htmx the part of the order's page that changes, else the whole page again."""
    refusal: DomainError | None = None
    try:
        services.answer_replacement(
            order_id=order_id,
            customer_id=customer_id(request) or 0,
            replacement_id=replacement_id,
            approve=request.POST.get("answer") == "yes",
            now=clock.now(),
        )
    except NotFound as missing:
        raise Http404 from missing
    except DomainError as error:
        refusal = error
    if request.headers.get("HX-Request"):
        return orders.live_part(request, order_id, refusal)
    if refusal:
        messages.error(request, str(refusal))
    return redirect("web:order", order_id)


@require_GET
@login_required
def alternatives(request: HttpRequest, order_id: int, line_id: int) -> HttpResponse:
    """What else there is instead of a line."""
    try:
        order = selectors.order(order_id=order_id, customer_id=customer_id(request) or 0)
    except NotFound as missing:
        raise Http404 from missing
    line = next((line for line in order.lines if line.id == line_id), None)
    if line is None:
        raise Http404
    found = selectors.alternatives(order_id=order_id, customer_id=order.customer_id, line_id=line_id)
    context = {
        "section": "orders",
        "order": order,
        "line": line,
        "store": directory.store(store_id=order.store_id),
        "alternatives": found,
    }
    return render(request, "web/alternatives.html", context)


@require_POST
@login_required
def choose(request: HttpRequest, order_id: int, line_id: int) -> HttpResponse:
    try:
        services.choose_instead(
            order_id=order_id,
            customer_id=customer_id(request) or 0,
            line_id=line_id,
            item_id=ids.parse(request.POST.get("item", "")),
            now=clock.now(),
        )
    except NotFound as missing:
        raise Http404 from missing
    except DomainError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Your shopper knows what you want instead.")
    return redirect("web:order", order_id)
