"""Shoppers for any test: ``make_shopper(zone_id=…)``."""

from datetime import UTC, datetime
from itertools import count

from apps.common.geo import Point
from apps.shoppers import services

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)
DOWNTOWN = Point(39.9612, -82.9988)

_numbers = count(1)


def make_shopper(
    zone_id: int,
    *,
    online: bool = True,
    point: Point = DOWNTOWN,
    name: str = "Grace Hopper",
    user_id: int | None = None,
    now: datetime = NOW,
) -> int:
    """Id of a new shopper; consecutive ones live on different shards. ``user_id`` makes somebody who exists one."""
    number = next(_numbers)
    shopper_id = user_id or 5_000_000 + number * 10_000 + (1_000, 6_500, 3_500, 9_000)[number % 4] + number % 900
    services.register(user_id=shopper_id, name=name, zone_id=zone_id, now=now)
    if online:
        services.go_online(shopper_id=shopper_id, point=point, now=now)
    return shopper_id
