"""Every few seconds: what is due in each customer shard."""

from celery import shared_task
from django.core.cache import cache

import sharding
from apps.common import clock, databases
from apps.notifications import services

PAUSE = "notifications:mail_server_is_away"
PAUSE_SECONDS = 20
_TOO_LATE_SECONDS = 10
"""A run that nobody began by then is dropped: the next ones do its work."""


@shared_task(name="notifications.send_due")
def send_due(using: str) -> None:
    """A mail server that does not answer is left alone for a while, lest the worker does nothing but wait for it."""

    def send(alias: str) -> None:
        if services.send_due(using=alias, now=clock.now()).is_broken:
            cache.set(PAUSE, 1, PAUSE_SECONDS)

    if not cache.get(PAUSE):
        databases.for_each([using], send)


@shared_task(name="notifications.send_all")
def send_all() -> None:
    """One task for each shard: one that has much to send, or does not answer, delays no other."""
    for alias in sharding.aliases("customer"):
        send_due.apply_async(args=[alias], expires=_TOO_LATE_SECONDS)
