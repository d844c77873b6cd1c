"""Deliver what the outboxes hold: at once when nudged, and every second in case a nudge was lost."""

from celery import shared_task

import sharding
from apps.common import clock, databases, outbox


@shared_task(name="common.relay")
def relay(using: str) -> None:
    while outbox.relay(using=using, now=clock.now()) == outbox.BATCH:
        pass


@shared_task(name="common.relay_all")
def relay_all() -> None:
    databases.for_each(sharding.all_aliases(), relay)
