"""What customers report, and the decision of a person about it."""

from datetime import datetime
from decimal import Decimal, InvalidOperation

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.api.operators import is_operator, only_helpers
from apps.common import clock
from apps.common.errors import DomainError, Invalid, NotFound
from apps.common.money import Money
from apps.orders import selectors as orders
from apps.orders import services as order_services
from apps.orders.errors import NotRefundable
from apps.orders.types import RefundLine
from apps.stores import selectors as stores
from apps.support import selectors, services
from apps.support.types import Issue

SHOWN = 50
EARLIER = 10


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """What waits for a person, the longest waiting first. 1 query for each customer shard, and 1 for the stores."""
    only_helpers(request)
    found = selectors.queue(limit=SHOWN)
    context = {
        **admin.site.each_context(request),
        "title": "Reports",
        "queue": found,
        "stores": stores.stores(store_ids={issue.store_id for issue in found.issues}),
        "waits": selectors.VOCABULARY.waits,
        "shown": SHOWN,
    }
    return render(request, "backoffice/reports.html", context)


@require_http_methods(["GET", "POST"])
def report(request: HttpRequest, issue_id: int) -> HttpResponse:
    """One report with the order's time line beside it; a POST decides it. About 15 queries."""
    only_helpers(request)
    now = clock.now()
    issue = _issue(issue_id)
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            messages.success(request, _decide(issue, request.POST, int(request.user.pk or 0), now))
        except DomainError as error:
            refusal = error
            issue = _issue(issue_id)
        else:
            return redirect("backoffice:report", issue_id)
    order = orders.order_for_staff(order_id=issue.order_id)
    earlier = selectors.issues(customer_id=issue.customer_id, limit=EARLIER + 1).issues
    context = {
        **admin.site.each_context(request),
        "title": issue.kind_title,
        "issue": issue,
        "order": order,
        "line": next((line for line in order.lines if line.id == issue.line_id), None),
        "store": stores.store(store_id=issue.store_id),
        "price": _price(issue),
        "rating": selectors.rating(order_id=order.id, customer_id=order.customer_id),
        "earlier": [one for one in earlier if one.id != issue.id][:EARLIER],
        "reports_lately": selectors.reports_lately(customer_id=issue.customer_id, now=now),
        "words": selectors.VOCABULARY,
        "may_see_order": is_operator(request),
        "photos": range(1, issue.photos + 1),
        "refusal": refusal,
        "typed": request.POST,
    }
    return render(request, "backoffice/report.html", context, status=refusal.status if refusal else 200)


@require_GET
def photo(request: HttpRequest, issue_id: int, position: int) -> HttpResponse:
    only_helpers(request)
    try:
        found = selectors.photo(issue_id=issue_id, position=position)
    except NotFound as missing:
        raise Http404 from missing
    headers = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": "default-src 'none'"}
    return HttpResponse(found.content, content_type=found.content_type, headers=headers)


def _issue(issue_id: int) -> Issue:
    try:
        return selectors.issue_for_staff(issue_id=issue_id)
    except NotFound as missing:
        raise Http404 from missing


def _decide(issue: Issue, sent: QueryDict, user_id: int, now: datetime) -> str:
    """Do what was sent, and say what was done."""
    note, reason, fault = (sent.get(name, "") for name in ("note", "reason", "fault"))
    match sent.get("action"):
        case "uphold":
            amount = None
            if issue.line_id is None:
                cents = _number(sent.get("amount", ""), "an amount, such as 5.00") * 100
                if cents != cents.to_integral_value():
                    raise Invalid("An amount has at most two decimals.")
                amount = Money(int(cents), orders.order_for_staff(order_id=issue.order_id).total.currency)
            quantity = sent.get("quantity", "").strip() if issue.line_id else ""
            made = services.uphold(
                issue_id=issue.id,
                user_id=user_id,
                reason=reason,
                fault=fault,
                note=note,
                now=now,
                amount=amount,
                quantity=_number(quantity, "how much of it, as a number") if quantity else None,
            )
            return f"{made.refunded} goes back to the customer's card."
        case "decline":
            services.decline(issue_id=issue.id, user_id=user_id, reason=reason, fault=fault, note=note, now=now)
            return "Declined; the customer sees it on the order's page. To undo that, open it again below."
        case "reopen":
            services.reopen(issue_id=issue.id, user_id=user_id, note=note, now=now)
            return "Open again."
        case _:
            raise Invalid("Uphold it, decline it or open it again.")


def _number(text: str, what: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise Invalid(f"Enter {what}.") from None
    if not number.is_finite() or abs(number) > 1_000_000:
        raise Invalid(f"Enter {what}.")
    return number


def _price(issue: Issue) -> Money | str:
    """What all that was reported costs, or why it cannot be given back; empty where it is about no line."""
    if issue.line_id is None or issue.status != "opened":
        return ""
    try:
        lines = [RefundLine(line_id=issue.line_id, quantity=issue.quantity)]
        return order_services.quote_refund(order_id=issue.order_id, lines=lines)
    except NotRefundable as refusal:
        return str(refusal)
