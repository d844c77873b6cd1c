"""On a schedule, every minute: what webhooks did not tell."""

from celery import shared_task

import sharding
from apps.common import clock
from apps.payments import services


@shared_task(name="payments.sweep")
def sweep() -> None:
    for alias in sharding.aliases("customer"):
        services.sweep(using=alias, now=clock.now())
