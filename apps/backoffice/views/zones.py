"""A zone on a map of its own: what waits, who could take it, what was made of it, now and within the last hour."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import cos, radians
from typing import Final

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from apps.accounts.api.operators import only_operators
from apps.common import clock
from apps.common.geo import Point
from apps.dispatch import selectors as dispatch
from apps.dispatch.types import HeatCell, ZoneBatch, ZonePicture
from apps.fulfilment.types import Standing
from apps.stores import selectors as stores

LOOKED_BACK = 60
"""Minutes."""
TITLES: Final = {
    "assign": "Assigned to",
    "keep_back": "Kept back",
    "forbid": "Not for",
    "pin": "Batch kept together",
    "withdraw": "Offer withdrawn from",
    "take_back": "Taken back from",
}
"""Overrides as people say them."""
WIDTH, HEIGHT, MARGIN = 1000, 620, 40


@dataclass(frozen=True, slots=True)
class Mark:
    x: float
    y: float
    label: str
    kind: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    points: str
    label: str
    kind: str


def zones(request: HttpRequest) -> HttpResponse:
    """All zones, to choose one. 2 queries."""
    only_operators(request)
    context = {**admin.site.each_context(request), "title": "Dispatch", "zones": stores.zones()}
    return render(request, "backoffice/zones.html", context)


def zone(request: HttpRequest, zone_id: int) -> HttpResponse:
    """One zone as it stood ``?ago=`` minutes ago, an hour at most. With ``?ago=0`` the page renews itself.

    ``?heat=1`` lays over it where shoppers are short now; that is not kept for the past.
    """
    only_operators(request)
    now = clock.now()
    ago = _minutes(request.GET.get("ago", ""))
    picture = dispatch.zone_picture(zone_id=zone_id, at=now - timedelta(minutes=ago), now=now)
    if picture is None:
        raise Http404
    is_heated = not ago and request.GET.get("heat") == "1"
    cells = dispatch.heat_map(zone_id=zone_id, now=now) if is_heated else ()
    return render(
        request,
        "backoffice/zone.html",
        {
            **admin.site.each_context(request),
            "title": f"Dispatch in {picture.zone.name}",
            "picture": picture,
            "store_names": {store.id: store.name for store in picture.stores},
            "overrides": dispatch.zone_overrides(store_ids=[store.id for store in picture.stores], now=now),
            "titles": TITLES,
            "may_decide": may_decide(request),
            "ago": ago,
            "looked_back": LOOKED_BACK,
            "width": WIDTH,
            "height": HEIGHT,
            "is_heated": is_heated,
            "cells": cells,
            **_drawn(picture, cells),
        },
    )


def _minutes(text: str) -> int:
    return min(int(text), LOOKED_BACK) if text.isascii() and text.isdigit() else 0


def may_decide(request: HttpRequest) -> bool:
    """Instead of the planner."""
    return request.user.has_perm("dispatch.steer_dispatch")


# The map: no streets, as they would be somebody else's server.


def _drawn(picture: ZonePicture, cells: Sequence[HeatCell]) -> dict[str, object]:
    at_store = {store.id: store.point for store in picture.stores}
    known = [*picture.loose, *(order for batch in picture.batches for order in batch.orders)]
    orders = [(order, order.drop) for order in known if order.drop]
    idle = picture.idle or ()
    places = [*at_store.values(), *(drop for _, drop in orders), *(shopper.point for shopper in idle)]
    places += [corner for cell in cells for corner in cell.boundary]
    place = _Projection(places or [picture.zone.point])
    return {
        "store_marks": [Mark(*place(store.point), store.name) for store in picture.stores],
        "order_marks": [Mark(*place(drop), _told(order), order.stage, order.id) for order, drop in orders],
        "shopper_marks": [Mark(*place(one.point), f"Shopper {one.shopper_id}, free") for one in idle],
        "areas": [_area(place, cell) for cell in cells],
        "lines": [_line(place, at_store[batch.store_id], batch) for batch in picture.batches if batch.orders],
    }


def _told(order: Standing) -> str:
    window = f"{order.window_starts_at:%H:%M} to {order.window_ends_at:%H:%M} UTC"
    return f"Order {order.order_id}: {order.stage}, {order.line_count} lines, {window}"


def _line(place: "_Projection", store: Point, batch: ZoneBatch) -> Line:
    way: Iterable[Point] = [store, *(order.drop for order in batch.orders if order.drop)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, way))
    return Line(points, f"Batch {batch.id}: {batch.state}, {len(batch.orders)} orders", batch.state)


def _area(place: "_Projection", cell: HeatCell) -> Line:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, cell.boundary))
    near = f"{cell.orders:g} orders and {cell.shoppers:g} shoppers near"
    return Line(points, f"Level {cell.level}: {near}, {cell.extra_pay} more a batch", f"heat{cell.level}")


class _Projection:
    """Degrees to the picture's units, north up, as large as fits and no more than 100 metres a unit wide."""

    def __init__(self, places: Sequence[Point]) -> None:
        self._west, self._north = min(p.lng for p in places), max(p.lat for p in places)
        east, south = max(p.lng for p in places), min(p.lat for p in places)
        self._shrink = cos(radians((self._north + south) / 2))
        across, down = (east - self._west) * self._shrink, self._north - south
        self._scale = min(
            (WIDTH - 2 * MARGIN) / across if across else 1e5, (HEIGHT - 2 * MARGIN) / down if down else 1e5, 1e5
        )
        self._left = (WIDTH - across * self._scale) / 2
        self._top = (HEIGHT - down * self._scale) / 2

    def __call__(self, point: Point) -> tuple[float, float]:
        x = self._left + (point.lng - self._west) * self._shrink * self._scale
        return round(x, 1), round(self._top + (self._north - point.lat) * self._scale, 1)
