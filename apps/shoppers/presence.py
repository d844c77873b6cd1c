"""Where shoppers are, in Redis: fast, and gone without harm.

Per zone a GEO set of positions, a sorted set of when each was last heard of, and a mark that says
the two are complete. A Redis that lost its memory lost the mark too: then the databases are asked,
and what they know is put back. Every function raises ``PresenceLost`` when Redis does not answer.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.common.geo import Point
from apps.shoppers import domain

_TIMEOUT_S = 0.25
_COMPLETE_FOR_S = 24 * 3600


class PresenceLost(Exception):
    """Redis does not answer, or has forgotten."""


def note(*, zone_id: int, shopper_id: int, point: Point, at: datetime) -> None:
    """The shopper was at ``point``; ignored when something newer is known."""
    position, seen, _ = _keys(zone_id)
    try:
        is_newer = _redis().zadd(seen, {str(shopper_id): at.timestamp()}, gt=True, ch=True)
        if is_newer:
            _redis().geoadd(position, (point.lng, point.lat, str(shopper_id)))
    except (redis.RedisError, OSError) as error:
        raise PresenceLost from error


def forget(*, zone_id: int, shopper_id: int) -> None:
    position, seen, _ = _keys(zone_id)
    try:
        with _redis().pipeline(transaction=False) as pipe:
            pipe.zrem(seen, str(shopper_id))
            pipe.zrem(position, str(shopper_id))
            pipe.execute()
    except (redis.RedisError, OSError) as error:
        raise PresenceLost from error


def in_zone(*, zone_id: int, now: datetime) -> dict[int, Point]:
    """Everybody heard of in the last ``domain.PRESENCE``. Raises ``PresenceLost`` also when it may be incomplete."""
    position, seen, complete = _keys(zone_id)
    stale = (now - domain.PRESENCE).timestamp()
    try:
        with _redis().pipeline(transaction=False) as pipe:
            pipe.exists(complete)
            pipe.zrangebyscore(seen, f"({stale}", "+inf")
            is_complete, members = pipe.execute()
        if not is_complete:
            raise PresenceLost
        places = _redis().geopos(position, *members) if members else []
    except (redis.RedisError, OSError) as error:
        raise PresenceLost from error
    return {
        int(member): Point(place[1], place[0])
        for member, place in zip(members, places, strict=True)
        if place is not None
    }


def place(*, zone_id: int, shopper_id: int, now: datetime) -> Point | None:
    """The shopper's position, or None when it is stale or unknown."""
    position, seen, _ = _keys(zone_id)
    try:
        with _redis().pipeline(transaction=False) as pipe:
            pipe.zscore(seen, str(shopper_id))
            pipe.geopos(position, str(shopper_id))
            score, places = pipe.execute()
    except (redis.RedisError, OSError) as error:
        raise PresenceLost from error
    if score is None or score <= (now - domain.PRESENCE).timestamp() or places[0] is None:
        return None
    lng, lat = places[0]
    return Point(lat, lng)


def refill(*, zone_id: int, known: Iterable[tuple[int, Point, datetime]], now: datetime) -> None:
    """Put back what the databases know, and mark the zone complete. Newer reports are kept."""
    for shopper_id, point, at in known:
        note(zone_id=zone_id, shopper_id=shopper_id, point=point, at=at)
    position, seen, complete = _keys(zone_id)
    stale = (now - domain.PRESENCE).timestamp()
    try:
        gone = _redis().zrangebyscore(seen, "-inf", stale)
        with _redis().pipeline(transaction=False) as pipe:
            if gone:
                pipe.zrem(seen, *gone)
                pipe.zrem(position, *gone)
            pipe.set(complete, "1", ex=_COMPLETE_FOR_S)
            pipe.execute()
    except (redis.RedisError, OSError) as error:
        raise PresenceLost from error


def _keys(zone_id: int) -> tuple[str, str, str]:
    return f"shoppers:zone:{zone_id}:position", f"shoppers:zone:{zone_id}:seen", f"shoppers:zone:{zone_id}:complete"


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # by itself it tries for seconds; the databases answer sooner
    )
