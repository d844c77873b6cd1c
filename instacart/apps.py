"""The wiring as a Django app: its management commands, and one Celery application in every process."""

from django.apps import AppConfig

from celery_app.app import app as celery  # noqa: F401 (tasks sent by any process find their broker through it)


class InstacartConfig(AppConfig):
    name = "instacart"
