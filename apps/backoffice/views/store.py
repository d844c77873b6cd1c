"""What the people in a store look at: the orders to come."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts import selectors as accounts
from apps.backoffice.views import endings
from apps.common import clock
from apps.common.api import actor
from apps.fulfilment import selectors as fulfilment
from apps.slots import selectors as slots
from apps.stores import selectors as stores


@require_GET
@login_required
def today(request: HttpRequest) -> HttpResponse:
    """The open orders of the staff member's stores. 4 queries and 3 for each shard of the stores."""
    store_ids = accounts.staff_store_ids(user_id=actor.user_id(request))
    if not store_ids:
        raise PermissionDenied
    known = stores.stores(store_ids=store_ids)
    names = {store_id: known[store_id].name for store_id in store_ids if store_id in known}
    found = fulfilment.open_orders(store_ids=store_ids)
    closed = {order.order_id for order in slots.stranded(now=clock.now(), store_ids=store_ids)}
    context = {"section": "store", "names": names, "orders": found, "closed": closed, "reasons": endings.REASONS}
    return render(request, "backoffice/store.html", context)
