"""A tip that is changed after the delivery."""

import re
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.common import clock
from apps.common.api import ids
from apps.common.errors import DomainError, NotFound
from apps.common.money import Money
from apps.orders import selectors, services
from apps.orders.types import Order, Tip
from apps.payments import selectors as payments
from apps.payments.types import Card
from apps.web.views.shared import customer_id

_PRESETS = (5, 10, 15, 20)
"""Percent of what the order came to."""
_DOLLARS = re.compile(r"\$?([0-9]{1,4})(?:\.([0-9]{2}))?")
_SAID = {
    "": "Your tip was that much already.",
    "charged": "Thank you. Your shopper gets all of it.",
    "asked": "Thank you. Your bank has not answered yet; we look again by ourselves.",
}
_WHY = {
    "authentication_required": "Your bank wants to see you for this payment. Try another card.",
    "card_not_found": "That card is not here any more. Try another one.",
}


@dataclass(frozen=True, slots=True)
class Preset:
    percent: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Shown:
    """The tip as the order's page shows it."""

    tip: Tip
    presets: list[Preset]
    cards: tuple[Card, ...]
    """To choose from; none where there is one only."""
    refusal: str


def shown(order: Order) -> Shown | None:
    """None before the order is delivered and paid. 4 queries then, and 1 for the cards while it can be raised."""
    if order.delivered_at is None or order.captured is None:
        return None
    tip = selectors.tip(order_id=order.id, customer_id=order.customer_id, now=clock.now())
    if tip is None:
        return None
    presets = [Preset(percent, Money(tip.paid.cents * percent // 100, tip.paid.currency)) for percent in _PRESETS]
    cards = payments.cards(customer_id=order.customer_id) if tip.is_raisable else ()
    return Shown(
        tip=tip,
        presets=[preset for preset in presets if tip.amount.cents + 50 <= preset.amount.cents <= tip.most.cents],
        cards=cards if len(cards) > 1 else (),
        refusal=_refusal(tip.declined_code),
    )


@require_POST
@login_required
def change(request: HttpRequest, order_id: int) -> HttpResponse:
    try:
        order = selectors.order(order_id=order_id, customer_id=customer_id(request) or 0)
    except NotFound as missing:
        raise Http404 from missing
    typed = _DOLLARS.fullmatch(request.POST.get("to") or request.POST.get("own", ""))  # the button that was pressed
    if typed is None:
        messages.error(request, "Say the whole tip in dollars, such as 7 or 7.50.")
        return redirect("web:order", order_id)
    to = Money(int(typed[1]) * 100 + int(typed[2] or 0), order.tip.currency)
    card = request.POST.get("card")
    try:
        said = services.raise_tip(
            order_id=order_id,
            customer_id=order.customer_id,
            to=to,
            card_id=ids.parse(card) if card else None,
            now=clock.now(),
        )
    except DomainError as error:
        messages.error(request, str(error))
    else:
        if said == "declined":
            messages.error(request, "Your tip was not changed.")
        else:
            messages.success(request, _SAID[said])
    return redirect("web:order", order_id)


def _refusal(code: str) -> str:
    return _WHY.get(code, "Your bank declined the card. Nothing was charged; try another card.") if code else ""
