from collections.abc import Collection
from datetime import date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sharding
from apps.common import outbox
from apps.common.geo import Point
from apps.stores import domain, models
from apps.stores.errors import HoursInvalid, RetailerNotFound, StoreInvalid, StoreNotFound, ZoneNotFound
from apps.stores.events import HoursChanged
from apps.stores.types import OpeningHours, SpecialDay


def create_retailer(*, name: str) -> int:
    """The retailer's id; one of that name that is there already is the one."""
    return models.Retailer.objects.get_or_create(name=name)[0].pk


def create_zone(*, name: str, point: Point, radius_m: int) -> int:
    """The zone's id; one of that name that is there already is the one and keeps its place."""
    place = {"lat": point.lat, "lng": point.lng, "radius_m": radius_m}
    return models.Zone.objects.get_or_create(name=name, defaults=place)[0].pk


def create_store(
    *,
    retailer_id: int,
    zone_id: int,
    code: str,
    name: str,
    address: str,
    city: str,
    state: str,
    postcode: str,
    point: Point,
    timezone: str,
    currency: str = "USD",
    delivery_radius_m: int = domain.DEFAULT_RADIUS_M,
    minimum_basket_cents: int = domain.DEFAULT_MINIMUM_BASKET_CENTS,
) -> int:
    """The new store's id. A store that has ``code`` already is left as it is, and its id returned.

    Raises ``StoreInvalid`` (code or time zone), ``RetailerNotFound``, ``ZoneNotFound``.
    """
    if not code or code != code.strip().lower() or len(code) > 64:
        raise StoreInvalid("A store's code is lower case and has 1 to 64 characters.")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise StoreInvalid(f"{timezone} is not a time zone.") from error
    with sharding.atomic("default"):
        if not models.Retailer.objects.filter(pk=retailer_id).exists():
            raise RetailerNotFound("There is no such retailer.")
        if not models.Zone.objects.filter(pk=zone_id).exists():
            raise ZoneNotFound("There is no such zone.")
        row, _ = models.Store.objects.get_or_create(
            code=code,
            defaults={
                "retailer_id": retailer_id,
                "zone_id": zone_id,
                "name": name,
                "address": address,
                "city": city,
                "state": state,
                "postcode": postcode,
                "lat": point.lat,
                "lng": point.lng,
                "timezone": timezone,
                "currency": currency,
                "delivery_radius_m": delivery_radius_m,
                "minimum_basket_cents": minimum_basket_cents,
            },
        )
    return row.pk


def set_hours(*, store_id: int, hours: Collection[OpeningHours]) -> None:
    """Make ``hours`` the store's whole week; a weekday left out is a closed one.

    Raises ``HoursInvalid`` (a weekday twice or not 0 to 6), ``StoreNotFound``.
    """
    days = [day.weekday for day in hours]
    if len(set(days)) != len(days) or not set(days) <= set(range(7)):
        raise HoursInvalid("Hours are given once for a weekday, Monday (0) to Sunday (6).")
    with sharding.atomic("default"):
        _lock(store_id)
        had_hours = models.StoreHours.objects.filter(store_id=store_id).delete()[0] > 0
        models.StoreHours.objects.bulk_create(
            models.StoreHours(store_id=store_id, weekday=day.weekday, opens=day.opens, closes=day.closes)
            for day in hours
        )
        if had_hours:  # without, it has no windows that would have to follow
            note_hours_changed(store_id=store_id)


def set_special_day(*, store_id: int, day: SpecialDay) -> None:
    """Let ``day``'s hours count on its date instead of the usual ones; a second time they replace the first.

    Windows outside the new hours are withdrawn right after, by the event. Raises ``HoursInvalid`` for one time
    without the other, ``StoreNotFound``.
    """
    if (day.opens is None) != (day.closes is None):
        raise HoursInvalid("Give both times, or neither for a day on which the store is closed.")
    columns = {"opens": day.opens, "closes": day.closes, "reason": day.reason[:60]}
    with sharding.atomic("default"):
        _lock(store_id)
        models.SpecialDay.objects.update_or_create(store_id=store_id, date=day.date, defaults=columns)
        note_hours_changed(store_id=store_id)


def clear_special_day(*, store_id: int, date: date) -> None:
    """Let the usual hours count on ``date`` again; nothing to do where they do. Raises ``StoreNotFound``."""
    with sharding.atomic("default"):
        _lock(store_id)
        if models.SpecialDay.objects.filter(store_id=store_id, date=date).delete()[0]:
            note_hours_changed(store_id=store_id)


def note_hours_changed(*, store_id: int) -> None:
    """Tell that the store's hours or special days were edited, inside the caller's transaction. 1 query."""
    outbox.emit(HoursChanged(store_id=store_id), using="default")


def _lock(store_id: int) -> None:
    if not models.Store.objects.select_for_update().filter(pk=store_id).exists():
        raise StoreNotFound("There is no such store.")


def pause(*, store_id: int, until: datetime | None = None) -> None:
    """Stop taking orders, until ``until`` if that is given; repeating it changes nothing. Raises ``StoreNotFound``."""
    _set_paused(store_id, is_paused=True, until=until)


def resume(*, store_id: int) -> None:
    """Take orders again; repeating it changes nothing. Raises ``StoreNotFound``."""
    _set_paused(store_id, is_paused=False, until=None)


def set_receipt_check(*, store_id: int, is_on: bool) -> None:
    """Whether shoppers have to check the till's receipt there. Raises ``StoreNotFound``."""
    if not models.Store.objects.filter(pk=store_id).update(checks_receipts=is_on):
        raise StoreNotFound("There is no such store.")


def _set_paused(store_id: int, *, is_paused: bool, until: datetime | None) -> None:
    if not models.Store.objects.filter(pk=store_id).update(is_paused=is_paused, paused_until=until):
        raise StoreNotFound("There is no such store.")
