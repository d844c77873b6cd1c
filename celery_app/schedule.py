"""What runs on a schedule. Beat only says when; what to do when late or doubled is the task's matter."""

from typing import Any

EVERY_SECONDS = {
    "celery_app.heartbeat": 5,
    "common.relay_all": 1,
    "payments.sweep": 60,
    "orders.sweep_all": 10,
    "orders.report_stuck": 600,
    "inventory.release_expired": 30,
    "slots.release_expired": 30,
    "slots.open_windows": 3600,
    "dispatch.plan_zones": 3,
    "dispatch.sweep": 5,
    "dispatch.weigh_zones": 60,
    "shoppers.sweep": 5,
    "sharding.look_after_moves": 30,
}
"""Task name -> seconds. The queue follows from the name (``conf.ROUTES``) or from the task's own ``queue=``."""


def entries() -> dict[str, dict[str, Any]]:
    """Celery's form. A run that nobody took before the next is due is dropped: a stopped worker leaves no backlog."""
    return {
        name: {"task": name, "schedule": float(seconds), "options": {"expires": max(seconds, 2)}}
        for name, seconds in EVERY_SECONDS.items()
    }
