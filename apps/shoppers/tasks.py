from celery import shared_task

import sharding
from apps.common import clock, databases
from apps.shoppers import services


@shared_task(name="shoppers.sweep")
def sweep() -> None:
    """Free shoppers whose claim ran out, and end the shifts that are over, or whose shoppers vanished."""
    now = clock.now()

    def sweep_shard(alias: str) -> None:
        services.release_expired(using=alias, now=now)
        services.end_abandoned_shifts(using=alias, now=now)
        services.end_shifts(using=alias, now=now)

    databases.for_each(sharding.aliases("shopper"), sweep_shard)
