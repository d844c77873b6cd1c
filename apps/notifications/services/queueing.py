"""Take down what is to be told."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sharding
from apps.notifications import domain, models
from apps.notifications.domain import Status


@sharding.repeatable
def notify(*, customer_id: int, kind: str, key: str, facts: Mapping[str, Any], now: datetime) -> bool:
    """See to it that the customer is told; False, and nothing happens, when ``key`` was taken down before.

    ``key`` names the occasion (``order-7:placed``), so that an event that is delivered twice is told once. ``facts``
    are ids and times as JSON, nothing personal: the composer of ``kind`` finds the rest when the letter is sent, within
    seconds. Raises ``KindUnknown``. 3 queries.
    """
    domain.checked_kind(kind)
    with sharding.atomic(sharding.home("customer", customer_id)):
        _, is_new = models.Notification.objects.get_or_create(
            customer_id=customer_id,
            key=key,
            defaults={
                "kind": kind,
                "facts": dict(facts),
                "status": Status.QUEUED,
                "created_at": now,
                "due_at": now,
            },
        )
    return is_new
