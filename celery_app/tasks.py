"""Tasks that belong to no app."""

import time

from celery import shared_task
from django.core.cache import cache

HEARTBEAT_KEY = "celery_app:heartbeat"
HEARTBEAT_KEPT_S = 300


@shared_task(name="celery_app.heartbeat")
def heartbeat() -> None:
    """Leave the time where ``manage.py doctor`` looks: beat is alive, and a worker does what it says."""
    cache.set(HEARTBEAT_KEY, time.time(), HEARTBEAT_KEPT_S)
