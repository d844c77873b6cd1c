"""``make_store()`` for any test: consecutive stores live on different shards."""

import itertools
from datetime import time
from typing import Any

from apps.common.geo import Point
from apps.stores import models, selectors
from apps.stores.types import Store

_numbers = itertools.count(1)

COLUMBUS = Point(39.9612, -82.9988)


def make_store(
    *,
    point: Point = COLUMBUS,
    retailer: str = "Test Grocer",
    zone: str = "Columbus",
    opens: time | None = time(8),
    closes: time = time(22),
    **fields: Any,
) -> Store:
    """A store in Columbus, Ohio, open every day; ``fields`` are columns of the table, ``opens=None`` gives no hours."""
    number = next(_numbers)
    retailer_row, _ = models.Retailer.objects.get_or_create(name=retailer)
    zone_row, _ = models.Zone.objects.get_or_create(
        name=zone, defaults={"lat": COLUMBUS.lat, "lng": COLUMBUS.lng, "radius_m": 60_000}
    )
    values: dict[str, Any] = {
        "id": number * 10_000 + number * 3_571 % 10_000,  # buckets 3571, 7142, 713, 4284 …: one shard after the other
        "retailer": retailer_row,
        "zone": zone_row,
        "code": f"test-{number}",
        "name": f"Test Grocer {number}",
        "address": f"{number} High St",
        "city": "Columbus",
        "state": "OH",
        "postcode": "43215",
        "lat": point.lat,
        "lng": point.lng,
        "timezone": "America/New_York",
        "delivery_radius_m": 12_000,
        "minimum_basket_cents": 1_000,
    }
    row = models.Store.objects.create(**(values | fields))
    if opens is not None:
        models.StoreHours.objects.bulk_create(
            models.StoreHours(store=row, weekday=weekday, opens=opens, closes=closes) for weekday in range(7)
        )
    return selectors.store(store_id=row.pk)
