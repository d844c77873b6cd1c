"""``celery -A celery_app.app worker -Q critical`` (or dispatch, events, bulk); ``… beat``."""

import os

from celery import Celery
from django.conf import settings

from celery_app import schedule

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "instacart.settings")

app = Celery("instacart", include=["celery_app.tasks"])
app.conf.update(settings.CELERY)
app.conf.beat_schedule = schedule.entries()
app.autodiscover_tasks()
