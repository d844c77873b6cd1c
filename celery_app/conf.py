"""Celery's settings and why each is as it is. Knows neither Django nor the apps."""

from typing import Any

VISIBILITY_TIMEOUT_S = 120

QUEUES = ("critical", "dispatch", "events", "bulk")

ROUTES = {
    "payments.*": {"queue": "critical"},
    "orders.*": {"queue": "critical"},
    "common.forget_answers": {"queue": "bulk"},
    "dispatch.fit_roads": {"queue": "bulk"},
    "dispatch.train_etas": {"queue": "bulk"},
    "dispatch.*": {"queue": "dispatch"},
    "shoppers.*": {"queue": "dispatch"},
    "catalog.*": {"queue": "bulk"},
    "analytics.*": {"queue": "bulk"},
    "privacy.*": {"queue": "bulk"},
    "sharding.*": {"queue": "bulk"},
}
"""Queue by a task's name, else by its first word, else ``events``. What ``send_task`` is told goes before this."""


def settings(*, broker_url: str) -> dict[str, Any]:
    """Celery settings for one broker.

    A task is acknowledged after it ran *and* put back when its process dies (either alone loses
    work); its hard time limit stays under half the visibility timeout, or two healthy workers run
    it at once; the two ``unacked_restore`` options bring a killed worker's tasks back in seconds.
    """
    return {
        "broker_url": kombu_url(broker_url),
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_time_limit": VISIBILITY_TIMEOUT_S // 2 - 5,
        "task_soft_time_limit": VISIBILITY_TIMEOUT_S // 2 - 15,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": "events",
        "task_routes": ROUTES,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 2,
        },
        "worker_soft_shutdown_timeout": 5.0,
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
    }


def kombu_url(url: str) -> str:
    """A Redis address in Celery's spelling: it says ``redis+socket://…?virtual_host=0`` for ``unix://…?db=0``."""
    if not url.startswith("unix://"):
        return url
    return url.replace("unix://", "redis+socket://", 1).replace("db=", "virtual_host=", 1)
