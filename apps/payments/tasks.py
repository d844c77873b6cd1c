"""On a schedule, every minute: what webhooks did not tell."""

from celery import shared_task

import sharding
from apps.common import clock, databases
from apps.payments import services


@shared_task(name="payments.sweep")
def sweep() -> None:
    databases.for_each(sharding.aliases("customer"), lambda alias: services.sweep(using=alias, now=clock.now()))
    services.sweep_transfers(now=clock.now())
    services.sweep_payouts(now=clock.now())


@shared_task(name="payments.pay_out")
def pay_out() -> None:
    """The day's transfers, some at a time; the day is that of UTC."""
    now = clock.now()
    services.pay_out(day=now.date(), now=now)
