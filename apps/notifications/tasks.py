"""Every few seconds: what is due in each customer shard."""

from celery import shared_task
from django.core.cache import cache

import sharding
from apps.common import clock, databases
from apps.notifications import services

PAUSE = "notifications:mail_server_is_away"
PAUSE_SECONDS = 20


@shared_task(name="notifications.send_due")
def send_due() -> None:
    """A mail server that does not answer is left alone for a while, lest the worker does nothing but wait for it."""

    def send(alias: str) -> None:
        if cache.get(PAUSE):
            return
        if services.send_due(using=alias, now=clock.now()).is_broken:
            cache.set(PAUSE, 1, PAUSE_SECONDS)

    databases.for_each(sharding.aliases("customer"), send)
