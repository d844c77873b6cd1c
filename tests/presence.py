"""Redis as it is before anybody was seen."""

import redis
from django.conf import settings


def forget_everybody() -> None:
    """Presence of earlier tests would be seen by later ones. Patient: the application's own client gives up at once."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10) as server:
        server.flushdb()
