"""On a schedule, every minute: what webhooks did not tell."""

from celery import shared_task

import sharding
from apps.common import clock, databases
from apps.payments import services


@shared_task(name="payments.sweep")
def sweep() -> None:
    databases.for_each(sharding.aliases("customer"), lambda alias: services.sweep(using=alias, now=clock.now()))
