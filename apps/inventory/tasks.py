from celery import shared_task

import sharding
from apps.common import clock, databases
from apps.inventory import services


@shared_task(name="inventory.release_expired")
def release_expired() -> None:
    """Free what unfinished orders held, in every store's database. Runs every few seconds."""
    now = clock.now()
    databases.for_each(sharding.aliases("store"), lambda alias: services.release_expired(using=alias, now=now))
