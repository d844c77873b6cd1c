"""One order with everything known about it, wherever its parts live.

An order's id names its shard, so nothing here searches: each part is asked of the one database that has it.
"""

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.accounts import selectors as accounts
from apps.accounts.api.operators import only_operators
from apps.backoffice.views import endings
from apps.common import clock
from apps.common.api import ids
from apps.common.errors import DomainError, NotFound
from apps.dispatch import selectors as dispatch
from apps.fulfilment import selectors as fulfilment
from apps.notifications import selectors as notifications
from apps.orders import selectors as orders
from apps.orders import services
from apps.payments import selectors as payments
from apps.slots import selectors as slots
from apps.slots.types import Window
from apps.stores import selectors as stores
from apps.support import selectors as support


def find(request: HttpRequest) -> HttpResponse:
    """A field for the order's id; a known id goes straight to its page."""
    only_operators(request)
    text = request.GET.get("id", "").strip()
    refusal = ""
    if text:
        try:
            order_id = ids.parse(text)
            orders.owner(order_id=order_id)
        except NotFound:
            refusal = f"There is no order {text}."
        else:
            return redirect("backoffice:order", order_id)
    context = {**admin.site.each_context(request), "title": "Find an order", "text": text, "refusal": refusal}
    return render(request, "backoffice/find_order.html", context, status=404 if refusal else 200)


def order(request: HttpRequest, order_id: int) -> HttpResponse:
    """The order's time line, lines, money, payments and batch. About 20 queries, however long it is."""
    only_operators(request)
    try:
        found = orders.order_for_staff(order_id=order_id)
    except NotFound as missing:
        context = {**admin.site.each_context(request), "title": "Find an order", "text": order_id, "refusal": missing}
        return render(request, "backoffice/find_order.html", context, status=404)
    now, store = clock.now(), stores.store(store_id=found.store_id)
    windows: tuple[Window, ...] = ()
    if found.is_reschedulable:
        windows = slots.open_windows(store_id=store.id, now=now, minutes=found.window_minutes)
    return render(
        request,
        "backoffice/order.html",
        {
            **admin.site.each_context(request),
            "title": f"Order {order_id}",
            "order": found,
            "customer": accounts.profile(customer_id=found.customer_id),
            "store": store,
            "letters": notifications.to_customer(customer_id=found.customer_id, about={"order_id": order_id}),
            "windows": [window for window in windows if window.id != found.window_id],
            "payments": payments.payments(customer_id=found.customer_id, order_id=order_id),
            "store_order": fulfilment.of_order(store_id=found.store_id, order_id=order_id),
            "receipt": fulfilment.receipt(store_id=found.store_id, order_id=order_id),
            "batch": dispatch.batch_of_order(store_id=found.store_id, order_id=order_id),
            "after": support.after_delivery(order=found),
            "estimate": [entry for entry in found.adjustments if entry.phase == "estimate"],
            "can_cancel": found.is_cancelable_for_customer,
            "reasons": endings.REASONS,
            "final": [entry for entry in found.adjustments if entry.phase == "final"],
        },
    )


@require_POST
def reschedule(request: HttpRequest, order_id: int) -> HttpResponse:
    """Move the order to the window that was chosen, in the operator's name."""
    only_operators(request)
    try:
        services.reschedule_by_staff(
            order_id=order_id,
            window_id=ids.parse(request.POST.get("window", "")),
            user_id=int(request.user.pk or 0),
            now=clock.now(),
        )
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The order has its new window; the customer sees it on the order's page.")
    return redirect("backoffice:order", order_id)
