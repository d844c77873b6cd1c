"""The task that asks the road server, and how a planner has it run."""

import logging
from collections.abc import Sequence

from celery import current_app, shared_task
from django.core.cache import cache
from kombu.exceptions import OperationalError

from apps.dispatch.travel import circuit, configured, filling

NAME = "dispatch.fill_travel_times"
QUEUE = "bulk"  # a slow road server must not hold up the workers that plan
logger = logging.getLogger(__name__)


def ask_later(zone_id: int, cells: Sequence[int], hour: int) -> None:
    """Have a worker learn the times between the cells. One task for a zone at a time, none while the server rests.

    Without a broker nothing is asked, and planning goes on.
    """
    if circuit.is_resting(configured.name()):
        return
    if not cache.add(f"dispatch:travel:asked:{zone_id}", 1, timeout=configured.ASK_EVERY_S):
        return
    try:
        current_app.send_task(
            NAME, args=[list(cells), hour], queue=QUEUE, retry=False, expires=configured.ASK_EVERY_S, ignore_result=True
        )
    except (OperationalError, OSError):
        logger.warning("travel.not_asked zone=%s", zone_id)


@shared_task(name=NAME)
def fill_travel_times(cells: list[int], hour: int) -> None:
    provider = configured.provider()
    if provider is None:
        return
    filling.fill(
        cells,
        provider=provider,
        known=configured.remembered(hour),
        limits=configured.limits(),
        budget=configured.budget(),
    )
