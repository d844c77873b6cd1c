"""``make_window(store_id)`` for any test that delivers something."""

import itertools
from datetime import datetime, timedelta

from apps.common import clock
from apps.slots import domain, models, selectors
from apps.slots.types import Window

_numbers = itertools.count(0)


def make_window(
    store_id: int,
    *,
    starts_at: datetime | None = None,
    length_minutes: int = 60,
    kind: str = domain.SCHEDULED,
    capacity_minutes: int = 600,
    held_minutes: int = 0,
    cutoff_at: datetime | None = None,
    fee_cents: int = 399,
) -> Window:
    """A window of the store, tomorrow unless ``starts_at`` says when; orders are taken until an hour before."""
    if starts_at is None:
        starts_at = clock.now().replace(second=0, microsecond=0) + timedelta(days=1, minutes=next(_numbers))
    if cutoff_at is None:
        cutoff_at = starts_at + timedelta(hours=1 if kind == domain.IMMEDIATE else -1)
    row = models.DeliveryWindow.objects.create(
        store_id=store_id,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=length_minutes),
        kind=kind,
        capacity_minutes=capacity_minutes,
        held_minutes=held_minutes,
        cutoff_at=cutoff_at,
        fee_cents=fee_cents,
    )
    return selectors.window(store_id=store_id, window_id=row.pk)
