"""Orders in windows that were withdrawn because their store turned out to be closed then."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.api.operators import only_operators
from apps.common import clock
from apps.slots import selectors as slots
from apps.stores import selectors as stores


@dataclass(frozen=True, slots=True)
class Row:
    order_id: int
    store: str
    window: str
    """By the store's clock."""


@require_GET
def withdrawn(request: HttpRequest) -> HttpResponse:
    """The earliest window first. 1 query for each store shard, and 1 for the stores."""
    only_operators(request)
    found = slots.stranded(now=clock.now())
    known = stores.stores(store_ids={order.store_id for order in found})
    rows = []
    for order in found:
        store = known[order.store_id]
        zone = ZoneInfo(store.timezone)
        starts, ends = order.starts_at.astimezone(zone), order.ends_at.astimezone(zone)
        rows.append(Row(order.order_id, store.name, f"{starts:%a %-d %b, %H:%M} to {ends:%H:%M}"))
    context = {**admin.site.each_context(request), "title": "Orders while the store is closed", "rows": rows}
    return render(request, "backoffice/withdrawn.html", context)
