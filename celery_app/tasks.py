"""Tasks that belong to no app."""

import time

from celery import shared_task
from django.core.cache import cache

from sharding import moves

HEARTBEAT_KEY = "celery_app:heartbeat"
HEARTBEAT_KEPT_S = 300
MOVE_PATIENCE_S = 20.0


@shared_task(name="celery_app.heartbeat")
def heartbeat() -> None:
    """Leave the time where ``manage.py doctor`` looks: beat is alive, and a worker does what it says."""
    cache.set(HEARTBEAT_KEY, time.time(), HEARTBEAT_KEPT_S)


@shared_task(name="sharding.look_after_moves")
def look_after_moves() -> None:
    """Go on with moves of buckets that lost their process, and delete old copies whose time is over.

    The task's time limit interrupts a long one; the next run goes on with it.
    """
    moves.look_after(patience=MOVE_PATIENCE_S)
