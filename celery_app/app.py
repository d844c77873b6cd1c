"""``celery -A celery_app.app worker -Q critical`` (or dispatch, events, bulk); ``… beat``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "instacart.settings")

app = Celery("instacart")
app.config_from_object("django.conf:settings", namespace="CELERY_SETTINGS")
app.autodiscover_tasks()
