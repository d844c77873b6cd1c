"""One order of a zone, for an operator who wants to decide instead of the planner."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.api.operators import only_operators
from apps.backoffice.views.zones import TITLES, may_decide
from apps.common import clock
from apps.common.api import ids
from apps.common.errors import Conflict, DomainError, Invalid
from apps.dispatch import selectors, services
from apps.dispatch.types import By, SteeredOrder

DONE: Final = {
    "keep_back": "Nobody is asked for the order until then.",
    "forbid": "The shopper is not asked for the order.",
    "pin": "The batch stays together.",
    "withdraw": "The offer is withdrawn.",
    "take_back": "The batch is taken back.",
    "undo": "Undone. The planner decides again.",
}


@require_http_methods(["GET", "POST"])
def order(request: HttpRequest, zone_id: int, store_order_id: int) -> HttpResponse:
    """What is known and was decided of the order; the buttons for who holds ``dispatch.steer_dispatch``."""
    only_operators(request)
    now = clock.now()
    steered = selectors.steered_order(store_order_id=store_order_id, now=now)
    if steered is None or steered.store.zone_id != zone_id:
        raise Http404
    refusal: DomainError | None = None
    if request.method == "POST":
        if not may_decide(request):
            raise PermissionDenied
        try:
            messages.success(request, _decide(steered, request.POST, int(request.user.pk or 0), now))
        except DomainError as error:
            refusal = error
            steered = selectors.steered_order(store_order_id=store_order_id, now=now) or steered
        else:
            return redirect("backoffice:zone_order", zone_id, store_order_id)
    context = {
        **admin.site.each_context(request),
        "title": f"Order {steered.order.order_id}",
        "steered": steered,
        "titles": TITLES,
        "zone_id": zone_id,
        "standing": [one for one in steered.history if not one.outcome and one.expires_at > now],
        "ended": [one for one in steered.history if one.outcome or one.expires_at <= now],
        "may_decide": may_decide(request),
        "refusal": refusal,
        "typed": request.POST,
        "typed_with": request.POST.getlist("with"),
    }
    return render(request, "backoffice/zone_order.html", context, status=refusal.status if refusal else 200)


def _decide(steered: SteeredOrder, typed: QueryDict, operator_id: int, now: datetime) -> str:
    """Does what the form asks; the sentence that says so."""
    action = typed.get("action", "")
    if action == "undo":
        ours = {one.id for one in steered.history}
        services.undo(override_id=_one_of(ours, typed.get("override_id", "")), operator_id=operator_id, now=now)
        return DONE[action]
    by = By(operator_id=operator_id, reason=typed.get("reason", ""), now=now, until=_until(typed.get("minutes"), now))
    if action == "assign":
        return _assign(steered, typed, by)
    orders: Mapping[str, Callable[[], None]] = {
        "keep_back": lambda: services.keep_back(store_id=steered.store.id, store_order_id=steered.order.id, by=by),
        "forbid": lambda: services.forbid(
            store_id=steered.store.id,
            store_order_id=steered.order.id,
            shopper_id=ids.parse(typed.get("shopper_id", "")),
            by=by,
        ),
        "pin": lambda: services.pin(batch_id=_batch(steered, typed), by=by),
        "withdraw": lambda: services.withdraw(batch_id=_batch(steered, typed), by=by),
        "take_back": lambda: services.take_back(batch_id=_batch(steered, typed), by=by),
    }
    if action not in orders:
        raise Invalid("Choose what to do.")
    orders[action]()
    return DONE[action]


def _assign(steered: SteeredOrder, typed: QueryDict, by: By) -> str:
    shopper_id = ids.parse(typed.get("shopper_id", ""))
    others = [ids.parse(text) for text in typed.getlist("with")]
    is_asked = services.assign(
        store_id=steered.store.id, store_order_ids=[steered.order.id, *others], shopper_id=shopper_id, by=by
    )
    if is_asked:
        return f"Shopper {shopper_id} is being asked."
    return f"Shopper {shopper_id} was taken just now; he is asked as soon as he is free, while this stands."


def _batch(steered: SteeredOrder, typed: QueryDict) -> int:
    """The batch that the operator saw, if it still is the order's."""
    return _one_of({steered.batch.id} if steered.batch else set(), typed.get("batch_id", ""))


def _one_of(known: set[int], text: str) -> int:
    number = ids.parse(text)
    if number not in known:
        raise Conflict("That has changed meanwhile; look at the page again.")
    return number


def _until(text: str | None, now: datetime) -> datetime | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise Invalid("Say for how many minutes, in digits.")
    return now + timedelta(minutes=int(text))
