from datetime import timedelta

from celery import shared_task

import sharding
from apps.common import clock, databases
from apps.slots import domain, services
from apps.stores import selectors as stores


@shared_task(name="slots.release_expired")
def release_expired() -> None:
    """Free the minutes that unfinished orders held, in every store's database. Runs every few seconds."""
    now = clock.now()
    databases.for_each(sharding.aliases("store"), lambda alias: services.release_expired(using=alias, now=now))


@shared_task(name="slots.open_windows")
def open_windows() -> None:
    """Keep the windows of the coming days open for every store that has hours. Runs once an hour."""
    now = clock.now()
    first_day = now.date() - timedelta(days=1)  # it is still yesterday in the west
    for zone in stores.zones():
        for store in stores.stores_of_zone(zone_id=zone.id):
            services.open_windows(store_id=store.id, first_day=first_day, days=domain.DAYS_AHEAD + 2, now=now)
