"""What runs on a schedule. Beat only says when; what to do when late or doubled is the task's matter."""

from typing import Any

from celery.schedules import crontab

EVERY_SECONDS = {
    "celery_app.heartbeat": 5,
    "common.relay_all": 1,
    "common.forget_answers": 600,
    "payments.sweep": 60,
    "payments.pay_out": 300,
    "orders.sweep_all": 10,
    "orders.report_stuck": 600,
    "inventory.release_expired": 30,
    "slots.release_expired": 30,
    "slots.open_windows": 3600,
    "notifications.send_all": 5,
    "dispatch.plan_zones": 3,
    "dispatch.sweep": 5,
    "dispatch.weigh_zones": 60,
    "shoppers.sweep": 5,
    "sharding.look_after_moves": 30,
}
"""Task name -> seconds. The queue follows from the name (``conf.ROUTES``) or from the task's own ``queue=``."""

DAILY_AT = {
    "dispatch.fit_roads": (8, 10),
    "dispatch.train_etas": (8, 40),
}
"""Task name -> hour and minute, UTC: night in America. By the clock, as days counted from beat's start would begin anew
with each deploy."""


def entries() -> dict[str, dict[str, Any]]:
    """Celery's form. A run that nobody took before the next is due is dropped: a stopped worker leaves no backlog."""
    often = {
        name: {"task": name, "schedule": float(seconds), "options": {"expires": max(seconds, 2)}}
        for name, seconds in EVERY_SECONDS.items()
    }
    daily = {
        name: {"task": name, "schedule": crontab(hour=hour, minute=minute), "options": {"expires": 86_400}}
        for name, (hour, minute) in DAILY_AT.items()
    }
    return often | daily
