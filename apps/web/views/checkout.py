"""Where, when, with what, for how much: the last page before an order."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import groupby
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts import selectors as accounts
from apps.carts import selectors as carts
from apps.carts.types import Cart
from apps.common import clock
from apps.common.api import ids
from apps.common.errors import DomainError, IdempotencyConflict, IdempotencyKeyMissing, NotFound
from apps.common.geo import Point
from apps.common.money import Money
from apps.orders import selectors as orders_selectors
from apps.orders import services as orders
from apps.payments import selectors as payments
from apps.slots import selectors as slots
from apps.slots.types import Window
from apps.stores import selectors as directory
from apps.stores.types import Store
from apps.web import wording
from apps.web.views.shared import ADDRESS_KEY, customer_id

TIPS = ((0, "No tip"), (200, "$2"), (400, "$4"), (600, "$6"), (1000, "$10"))
USUAL_TIP = 400


@dataclass(frozen=True, slots=True)
class WindowChoice:
    id: int
    starts: str
    ends: str
    fee: Money
    kind: str
    """In the customer's words; empty for a scheduled one."""


@dataclass(frozen=True, slots=True)
class Day:
    label: str
    windows: list[WindowChoice]
    is_open: bool
    """Shown unfolded: it holds the chosen window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    address: int | None
    window: int | None
    card: int | None
    tip: int


@require_http_methods(["GET", "POST"])
@login_required
def checkout(request: HttpRequest, store_id: int) -> HttpResponse:
    try:
        store = directory.store(store_id=store_id)
    except NotFound as missing:
        raise Http404 from missing
    if request.method != "POST":
        return _page(request, store)
    key = request.POST.get("key", "")[:80]
    try:
        placed = orders.place(
            customer_id=customer_id(request) or 0,
            store_id=store_id,
            cart_version=_int(request.POST.get("cart_version", ""), 0),
            window_id=_chosen_id(request.POST.get("window", "")),
            address_id=_chosen_id(request.POST.get("address", "")),
            card_id=_chosen_id(request.POST.get("card", "")),
            tip=Money(_int(request.POST.get("tip", ""), -1)),
            promotion_code=_promotion_code(request.POST.get("promotion", "")),
            seen_total=_seen_total(request.POST.get("total", ""), store),
            birth_date=_date(request.POST.get("birth_date", "")),
            idempotency_key=key,
            now=clock.now(),
        )
    except DomainError as error:
        is_used_up = isinstance(error, IdempotencyConflict | IdempotencyKeyMissing)
        return _page(request, store, error=error, key="" if is_used_up else key)
    return redirect("web:order", placed.order_id)


def _page(request: HttpRequest, store: Store, *, error: DomainError | None = None, key: str = "") -> HttpResponse:
    customer, now = customer_id(request) or 0, clock.now()
    cart = carts.cart(customer_id=customer, store_id=store.id)
    if not cart.lines:
        if error:
            messages.error(request, str(error))
        return redirect("web:cart", store.id)
    addresses = accounts.addresses(customer_id=customer)
    cards = payments.cards(customer_id=customer)
    given = request.POST if request.method == "POST" else request.GET
    address_id = _one_of(given.get("address"), [a.id for a in addresses], request.session.get(ADDRESS_KEY))
    door = next((address.point for address in addresses if address.id == address_id), None)
    windows = slots.open_windows(store_id=store.id, now=now, minutes=_minutes(cart, store, door))
    chosen = Chosen(
        address=address_id,
        window=_one_of(given.get("window"), [window.id for window in windows]),
        card=_one_of(given.get("card"), [card.id for card in cards]),
        tip=_tip(given.get("tip", "")),
    )
    window = next((entry for entry in windows if entry.id == chosen.window), None)
    address = next((entry for entry in addresses if entry.id == chosen.address), None)
    preview = partial(
        orders_selectors.preview,
        customer_id=customer,
        cart=cart,
        store=store,
        window=window,
        point=address.point if address else None,
        tip=Money(chosen.tip, store.currency),
        now=now,
    )
    code = _promotion_code(given.get("promotion", ""))
    promotion_error = None
    try:
        quote = preview(promotion_code=code)
    except DomainError as refusal:
        quote, promotion_error = preview(), refusal
    return render(
        request,
        "web/checkout.html",
        {
            "section": "stores",
            "store": store,
            "cart": cart,
            "addresses": addresses,
            "cards": cards,
            "days": list(_days(windows, store, chosen.window)),
            "tips": TIPS,
            "chosen": chosen,
            "quote": quote,
            "charges": wording.charges(quote.charges),
            "birth_date": given.get("birth_date", ""),
            "promotion": code,
            "promotion_error": promotion_error,
            "key": key or secrets.token_urlsafe(16),
            "can_place": chosen.address and chosen.window and chosen.card,
            "error": error,
        },
        status=error.status if error else 200,
    )


def _days(windows: tuple[Window, ...], store: Store, chosen: int | None) -> Iterator[Day]:
    zone, now = ZoneInfo(store.timezone), clock.now()
    for label, of_day in groupby(windows, key=lambda window: wording.day(window.starts_at, now, zone)):
        choices = [
            WindowChoice(
                window.id,
                wording.clock_time(window.starts_at, zone),
                wording.clock_time(window.ends_at, zone),
                window.fee,
                wording.KINDS.get(window.kind, ""),
            )
            for window in of_day
        ]
        yield Day(label, choices, is_open=any(choice.id == chosen for choice in choices))


def _minutes(cart: Cart, store: Store, door: Point | None) -> int:
    units = sum(line.quantity for line in cart.lines)
    return slots.minutes_needed(lines=len(cart.lines), units=units, store=store, door=door)


def _one_of(text: str | None, known: list[int], preferred: int | None = None) -> int | None:
    """The id that was chosen if it is one of ``known``, else the preferred or first of them."""
    for candidate in (_int(text or "", 0), preferred):
        if candidate in known:
            return candidate
    return known[0] if known else None


def _chosen_id(text: str) -> int:
    """The posted id; nothing chosen is answered like an id that is not there."""
    return ids.parse(text)


def _tip(text: str) -> int:
    """The chosen tip if it is one of those to choose from, in cents."""
    cents = _int(text, USUAL_TIP)
    return cents if cents in dict(TIPS) else USUAL_TIP


def _date(text: str) -> date | None:
    """What a date field sends; None for anything else, which is answered like no date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _promotion_code(text: str) -> str:
    return text.strip().upper()[:30]


def _seen_total(text: str, store: Store) -> Money | None:
    """What the page showed; None where somebody sent none."""
    return Money(_int(text, 0), store.currency) if text else None


def _int(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default
