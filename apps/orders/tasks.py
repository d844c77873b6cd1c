import logging

from celery import shared_task

import sharding
from apps.common import clock, databases
from apps.orders import selectors, services

logger = logging.getLogger(__name__)


@shared_task(name="orders.sweep")
def sweep(using: str) -> None:
    services.sweep(using=using, now=clock.now())


@shared_task(name="orders.sweep_all")
def sweep_all() -> None:
    """One task for each shard: a shard that does not answer delays no other."""
    for alias in sharding.aliases("customer"):
        sweep.delay(alias)


@shared_task(name="orders.expire_replacements")
def expire_replacements(using: str) -> None:
    services.expire_replacements(using=using, now=clock.now())


@shared_task(name="orders.expire_replacements_all")
def expire_replacements_all() -> None:
    """One task for each shard, as ``sweep_all``."""
    for alias in sharding.aliases("customer"):
        expire_replacements.delay(alias)


@shared_task(name="orders.report_stuck")
def report_stuck() -> None:
    """Call for a person, in the log."""
    databases.for_each(sharding.aliases("customer"), _report_stuck)


def _report_stuck(alias: str) -> None:
    stuck = selectors.stuck(using=alias, now=clock.now())
    if stuck:
        logger.error("orders.stuck %s", " ".join(map(str, stuck)))
