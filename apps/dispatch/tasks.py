import logging
import random

from celery import shared_task

import sharding
from apps.common import clock, databases
from apps.dispatch import domain, services
from apps.dispatch.steering import peaks
from apps.dispatch.travel.tasks import fill_travel_times  # noqa: F401 (workers look for tasks here)
from apps.stores import selectors as stores

logger = logging.getLogger(__name__)


@shared_task(name="dispatch.plan_zones")
def plan_zones() -> None:
    """Plan each zone in a task of its own: a zone in trouble delays no other. A run that nobody took is dropped.

    In another order each time: workers that cannot keep up drop the last ones, and no zone is to be always among them.
    """
    zones = list(stores.zones())
    random.shuffle(zones)
    for zone in zones:
        plan_zone.apply_async(args=[zone.id], expires=domain.PLAN_EVERY.total_seconds())


@shared_task(name="dispatch.plan_zone")
def plan_zone(zone_id: int) -> None:
    report = services.plan(zone_id=zone_id, now=clock.now())
    if report.waiting_orders:
        logger.info("dispatch.planned %s", report)


@shared_task(name="dispatch.weigh_zones")
def weigh_zones() -> None:
    """Weigh each zone's cells in a task of its own."""
    for zone in stores.zones():
        weigh_zone.apply_async(args=[zone.id], expires=peaks.WEIGH_EVERY.total_seconds())


@shared_task(name="dispatch.weigh_zone")
def weigh_zone(zone_id: int) -> None:
    services.weigh_cells(zone_id=zone_id, now=clock.now())


@shared_task(name="dispatch.sweep")
def sweep() -> None:
    """End the offers and overrides whose time is up, and take back batches that nobody began, or goes on with."""
    now = clock.now()

    def sweep_shard(alias: str) -> None:
        services.expire_offers(using=alias, now=now)
        services.reclaim_stale(using=alias, now=now)
        services.reclaim_silent(using=alias, now=now)
        services.end_overrides(using=alias, now=now)

    databases.for_each(sharding.aliases("store"), sweep_shard)
