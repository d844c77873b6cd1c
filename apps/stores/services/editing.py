from collections.abc import Collection
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sharding
from apps.common.geo import Point
from apps.stores import domain, models
from apps.stores.errors import HoursInvalid, RetailerNotFound, StoreInvalid, StoreNotFound, ZoneNotFound
from apps.stores.types import OpeningHours


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
        if not models.Store.objects.select_for_update().filter(pk=store_id).exists():
            raise StoreNotFound("There is no such store.")
        models.StoreHours.objects.filter(store_id=store_id).delete()
        models.StoreHours.objects.bulk_create(
            models.StoreHours(store_id=store_id, weekday=day.weekday, opens=day.opens, closes=day.closes)
            for day in hours
        )


def pause(*, store_id: int) -> None:
    """Stop taking orders; repeating it changes nothing. Raises ``StoreNotFound``."""
    _set_paused(store_id, is_paused=True)


def resume(*, store_id: int) -> None:
    """Take orders again; repeating it changes nothing. Raises ``StoreNotFound``."""
    _set_paused(store_id, is_paused=False)


def _set_paused(store_id: int, *, is_paused: bool) -> None:
    if not models.Store.objects.filter(pk=store_id).update(is_paused=is_paused):
        raise StoreNotFound("There is no such store.")
