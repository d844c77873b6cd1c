"""Statements of stores and shoppers, as pages and as CSV: all of them for operators, their own for a store's staff."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import partial
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from apps.accounts import selectors as accounts
from apps.accounts.api.operators import only_operators
from apps.common import clock, tables
from apps.common.api import actor
from apps.common.errors import NotFound
from apps.common.money import Money
from apps.shoppers import selectors as shoppers
from apps.shoppers.errors import NotAShopper
from apps.statements import selectors
from apps.statements.errors import PeriodInvalid
from apps.statements.types import Row, Span, Statement
from apps.stores import selectors as stores

PERIODS = ("day", "week", "month")
TITLES = {
    "goods": "Goods",
    "commission": "Commission",
    "deposits": "Deposits",
    "refunds": "Refunds",
    "other": "Other",
    "batch_pay": "Batch pay",
    "peak_pay": "Peak pay",
    "tip": "Tips",
    "discounts": "Discounts",
    "fees": "Fees",
    "taxes": "Taxes",
    "tips": "Tips",
}
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Party:
    kind: str
    id: int
    name: str
    zone: tzinfo
    """By whose clock days are cut: the store's, for shoppers UTC."""
    span: Span
    ask: Callable[..., Statement]


def find(request: HttpRequest) -> HttpResponse:
    """Whose statement: a store by its code or number, a shopper by e-mail address or number."""
    only_operators(request)
    kind, text, refusal = request.GET.get("kind", "store"), request.GET.get("who", "").strip(), ""
    if text:
        party_id = _store_id(text) if kind == "store" else _shopper_id(text)
        if party_id is not None:
            return redirect("backoffice:statement", kind if kind == "shopper" else "store", party_id)
        refusal = f"{text} is no {'shopper' if kind == 'shopper' else 'store'} we know."
    context = {
        **admin.site.each_context(request),
        "title": "Statements",
        "text": text,
        "kind": kind,
        "refusal": refusal,
    }
    return render(request, "backoffice/find_statement.html", context, status=404 if refusal else 200)


def statement(request: HttpRequest, party_kind: str, party_id: str) -> HttpResponse:
    only_operators(request)
    party = _party(request, party_kind, int(party_id))
    own = reverse("backoffice:statement", args=[party_kind, party_id])
    context = {**admin.site.each_context(request), "title": f"Statement of {party.name}", "by_operator": True}
    return render(request, "backoffice/statement.html", {**context, **_context(request, party, own)})


def statement_csv(request: HttpRequest, party_kind: str, party_id: str) -> StreamingHttpResponse:
    only_operators(request)
    return _csv(_party(request, party_kind, int(party_id)))


@require_GET
@login_required
def of_store(request: HttpRequest, store_id: int) -> HttpResponse:
    """For the store's own staff."""
    _only_its_staff(request, store_id)
    own = reverse("backoffice:store_statement", args=[store_id])
    context = {"section": "store", **_context(request, _party(request, "store", store_id), own)}
    return render(request, "backoffice/store_statement.html", context)


@require_GET
@login_required
def of_store_csv(request: HttpRequest, store_id: int) -> StreamingHttpResponse:
    _only_its_staff(request, store_id)
    return _csv(_party(request, "store", store_id))


def _only_its_staff(request: HttpRequest, store_id: int) -> None:
    if store_id not in accounts.staff_store_ids(user_id=actor.user_id(request)):
        raise PermissionDenied


def _party(request: HttpRequest, kind: str, party_id: int) -> Party:
    """Whose statement, and for when: ``period`` and ``day`` of the address, this month unless said otherwise."""
    zone: tzinfo = UTC
    try:
        if kind == "store":
            store = stores.store(store_id=party_id)
            name, zone = store.name, ZoneInfo(store.timezone)
        else:
            name = shoppers.shopper(shopper_id=party_id).name
    except (NotFound, NotAShopper) as missing:
        raise Http404 from missing
    text = request.GET.get("day") or ""
    try:
        day = date.fromisoformat(text) if text else clock.now().astimezone(zone).date()
        span = selectors.span(request.GET.get("period") or "month", day, zone)
    except (ValueError, PeriodInvalid) as error:
        raise Http404 from error
    ask: Callable[..., Statement] = (
        partial(selectors.of_store, store_id=party_id, span=span)
        if kind == "store"
        else partial(selectors.of_shopper, shopper_id=party_id, span=span)
    )
    return Party(kind=kind, id=party_id, name=name, zone=zone, span=span, ask=ask)


def _context(request: HttpRequest, party: Party, own: str) -> dict[str, object]:
    try:
        found = party.ask(after=request.GET.get("after"))
    except NotFound as missing:
        raise Http404 from missing
    own_columns = tuple(name for name in found.columns if name != "other" or found.totals.get(name))
    columns = (*own_columns, *found.notes)
    asked = f"period={party.span.period}&day={party.span.first}"
    return {
        "party": party,
        "found": found,
        "own": own,
        "csv": f"{own}csv/?{asked}",
        "more": f"{own}?{asked}&after={found.next_cursor}" if found.next_cursor else "",
        "periods": PERIODS,
        "titles": [TITLES.get(column, column) for column in own_columns],
        "note_titles": [TITLES.get(column, column) for column in found.notes],
        "rows": [
            {
                "ref": row.ref,
                "at": _moment(row.at, party.zone),
                "amounts": [Money(row.cents.get(column, 0)) for column in columns],
                "net": Money(row.net),
            }
            for row in found.rows
        ],
        "sums": [(TITLES.get(column, column), Money(found.totals.get(column, 0))) for column in own_columns],
        "moves": [
            {"move": move, "at": _moment(move.at, party.zone), "amount": Money(-move.cents)} for move in found.moves
        ],
        "balance": {
            "opening": Money(found.opening),
            "net": Money(found.net),
            "moved": Money(-found.moved),
            "closing": Money(found.closing),
        },
    }


class _Line:
    """What ``csv`` writes a line into: it is sent as it is."""

    def write(self, line: str) -> str:
        return line


def _csv(party: Party) -> StreamingHttpResponse:
    """The whole statement, 500 rows in memory at a time; amounts in currency units, with a point."""
    writer = csv.writer(_Line())
    answer = StreamingHttpResponse(
        (writer.writerow(line) for line in _lines(party)), content_type="text/csv; charset=utf-8"
    )
    name = f"statement-{party.kind}-{party.id}-{party.span.first}-{party.span.period}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _lines(party: Party) -> Iterator[Sequence[str]]:
    first = found = party.ask(limit=_PAGE)
    columns = (*found.columns, *found.notes)
    what = "order" if party.kind == "store" else "batch"
    yield ("what", "id", "at", *columns, "balance_change", "for")
    blank = [""] * len(columns)
    start, end = (_moment(at, party.zone) for at in (party.span.starts_at, party.span.ends_at))
    yield ("opening balance", "", start, *blank, _amount(first.opening), tables.harmless(party.name))
    while True:
        for row in found.rows:
            yield (what, str(row.ref), _moment(row.at, party.zone), *_amounts(row, columns), _amount(row.net), "")
        if found.next_cursor is None:
            break
        found = party.ask(after=found.next_cursor, limit=_PAGE)
    for move in first.moves:
        at = _moment(move.at, party.zone)
        yield ("transfer", str(move.transfer_id), at, *blank, _amount(-move.cents), tables.harmless(move.payout))
    yield ("closing balance", "", end, *blank, _amount(first.closing), tables.harmless(party.name))


def _amounts(row: Row, columns: Sequence[str]) -> list[str]:
    return [_amount(row.cents.get(column, 0)) for column in columns]


def _amount(cents: int) -> str:
    """-12.05: a number to every spreadsheet, and no formula."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def _moment(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _store_id(text: str) -> int | None:
    try:
        found = stores.store(store_id=int(text)) if _is_number(text) else stores.store_by_code(code=text)
    except NotFound:
        return None
    return found.id


def _shopper_id(text: str) -> int | None:
    shopper_id = int(text) if _is_number(text) else accounts.user_id_by_email(email=text)
    try:
        return shoppers.shopper(shopper_id=shopper_id).id if shopper_id else None
    except NotAShopper:
        return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
