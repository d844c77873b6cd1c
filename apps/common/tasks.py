"""Deliver what the outboxes hold, at once when nudged and every second in case a nudge was lost; forget old answers."""

from celery import shared_task

import sharding
from apps.common import clock, databases, idempotency, outbox


@shared_task(name="common.relay")
def relay(using: str) -> None:
    while outbox.relay(using=using, now=clock.now()) == outbox.BATCH:
        pass


@shared_task(name="common.relay_all")
def relay_all() -> None:
    databases.for_each(sharding.all_aliases(), relay)


@shared_task(name="common.forget_answers")
def forget_answers() -> None:
    """Answers kept for requests that may be sent again go after a day. Repeating, and being late, is harmless."""
    now = clock.now()
    for keyspace in idempotency.keyspaces():

        def forget(alias: str, keyspace: str = keyspace) -> None:
            idempotency.forget(keyspace=keyspace, using=alias, now=now)

        databases.for_each(sharding.aliases(keyspace), forget)
