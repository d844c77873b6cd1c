from celery import shared_task

import sharding
from apps.common import clock
from apps.inventory import services


@shared_task(name="inventory.release_expired")
def release_expired() -> None:
    """Free what unfinished orders held, in every store's database. Runs every few seconds."""
    now = clock.now()
    for alias in sharding.aliases("store"):
        services.release_expired(using=alias, now=now)
