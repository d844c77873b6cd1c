import math
from collections.abc import Collection, Mapping
from datetime import date

from django.db.models import Avg, FloatField, QuerySet
from django.db.models.expressions import F
from django.db.models.functions import Cast

from apps.common import clock
from apps.common.geo import Point
from apps.common.money import Money
from apps.common.remembered import Remembered
from apps.stores import domain, models
from apps.stores.errors import StoreNotFound
from apps.stores.types import OpeningHours, SpecialDay, Store, Zone

_METRES_PER_DEGREE = 111_000


def store(*, store_id: int) -> Store:
    """Raises ``StoreNotFound``. 1 query; none for one that was asked for in the last ``REFERENCE_SECONDS``."""
    found = _known.one(store_id)
    if found is None:
        raise StoreNotFound("There is no such store.")
    return found


def store_by_code(*, code: str) -> Store:
    """Raises ``StoreNotFound``. 1 query."""
    row = _rows().filter(code=code.strip().lower()).first()
    if row is None:
        raise StoreNotFound(f"There is no store with the code {code}.")
    return _store(row)


def stores(*, store_ids: Collection[int]) -> dict[int, Store]:
    """Those of ``store_ids`` that exist, by id. 1 query for those that were not asked for lately."""
    return _known.get(store_ids)


def stores_delivering_to(*, point: Point) -> tuple[Store, ...]:
    """The stores whose circle holds ``point``, nearest first, paused ones among them. 1 query.

    The database sifts by latitude (and, away from the poles, longitude), each store with its own
    radius; the distance itself decides afterwards.
    """
    reach = Cast(F("delivery_radius_m"), FloatField()) / _METRES_PER_DEGREE
    near = _rows().filter(lat__gte=point.lat - reach, lat__lte=point.lat + reach)
    if abs(point.lat) < 85 and abs(point.lng) < 178:  # beyond, a few kilometres are many degrees, or pass 180
        shrink = math.cos(math.radians(abs(point.lat) + 1))
        near = near.filter(lng__gte=point.lng - reach / shrink, lng__lte=point.lng + reach / shrink)
    found = [candidate for row in near if domain.delivers_to(candidate := _store(row), point)]
    return tuple(sorted(found, key=lambda store: (domain.distance_m(store.point, point), store.id)))


def delivers_to(*, store: Store, point: Point) -> bool:
    """Whether ``point`` lies in the store's circle. No query."""
    return domain.delivers_to(store, point)


def distance_m(*, store: Store, point: Point) -> float:
    """Metres in a straight line from the store to ``point``. No query."""
    return domain.distance_m(store.point, point)


def every_store() -> tuple[Store, ...]:
    """By name: what a visitor sees who has not said where they are. 1 query."""
    return tuple(_store(row) for row in _rows().order_by("name", "id"))


def postcode_point(*, postcode: str) -> Point | None:
    """The middle of the stores with this ZIP code, for an address that nobody has located better. 1 query.

    None when no store has it; the four digits after a dash do not count.
    """
    same = models.Store.objects.filter(postcode=postcode.strip().partition("-")[0])
    middle = same.aggregate(lat=Avg("lat"), lng=Avg("lng"))
    return None if middle["lat"] is None else Point(middle["lat"], middle["lng"])


def zones() -> tuple[Zone, ...]:
    """1 query."""
    return tuple(_zone(row) for row in models.Zone.objects.order_by("id"))


def stores_of_zone(*, zone_id: int) -> tuple[Store, ...]:
    """By id; none for an unknown zone. 1 query."""
    return tuple(_store(row) for row in _rows().filter(zone_id=zone_id).order_by("id"))


def opening_hours(*, store_id: int) -> tuple[OpeningHours, ...]:
    """From Monday on; a weekday that is missing is a closed one. 1 query."""
    return tuple(opening_hours_of(store_ids=[store_id]).get(store_id, ()))


def opening_hours_of(*, store_ids: Collection[int]) -> Mapping[int, tuple[OpeningHours, ...]]:
    """``opening_hours`` of many stores by store id. 1 query."""
    found: dict[int, list[OpeningHours]] = {}
    for row in models.StoreHours.objects.filter(store_id__in=store_ids).order_by("store_id", "weekday"):
        hours = OpeningHours(weekday=row.weekday, opens=row.opens, closes=row.closes)
        found.setdefault(row.store_id, []).append(hours)
    return {store_id: tuple(hours) for store_id, hours in found.items()}


def special_days(*, store_id: int, since: date) -> tuple[SpecialDay, ...]:
    """Of the store, from ``since`` on, the earliest first. 1 query."""
    return special_days_of(store_ids=[store_id], since=since).get(store_id, ())


def special_days_of(*, store_ids: Collection[int], since: date) -> Mapping[int, tuple[SpecialDay, ...]]:
    """``special_days`` of many stores by store id. 1 query."""
    found: dict[int, list[SpecialDay]] = {}
    rows = models.SpecialDay.objects.filter(store_id__in=store_ids, date__gte=since).order_by("store_id", "date")
    for row in rows:
        day = SpecialDay(date=row.date, opens=row.opens, closes=row.closes, reason=row.reason)
        found.setdefault(row.store_id, []).append(day)
    return {store_id: tuple(days) for store_id, days in found.items()}


def _by_id(store_ids: Collection[int]) -> dict[int, Store]:
    return {row.pk: _store(row) for row in _rows().filter(pk__in=store_ids)}


_known = Remembered(_by_id)


def _rows() -> QuerySet[models.Store]:
    return models.Store.objects.select_related("retailer")


def _store(row: models.Store) -> Store:
    return Store(
        id=row.pk,
        retailer_id=row.retailer_id,
        retailer_name=row.retailer.name,
        code=row.code,
        name=row.name,
        address=row.address,
        city=row.city,
        state=row.state,
        postcode=row.postcode,
        point=Point(row.lat, row.lng),
        timezone=row.timezone,
        currency=row.currency,
        zone_id=row.zone_id,
        delivery_radius_m=row.delivery_radius_m,
        minimum_basket=Money(row.minimum_basket_cents, row.currency),
        is_paused=row.is_paused and (row.paused_until is None or clock.now() < row.paused_until),
        paused_until=row.paused_until if row.is_paused else None,
        checks_receipts=row.checks_receipts,
    )


def _zone(row: models.Zone) -> Zone:
    return Zone(id=row.pk, name=row.name, point=Point(row.lat, row.lng), radius_m=row.radius_m)
