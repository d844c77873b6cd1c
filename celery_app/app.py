"""``celery -A celery_app.app worker -Q critical`` (or dispatch, events, bulk); ``… beat``."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "instacart.settings")

app = Celery("instacart")
app.conf.update(settings.CELERY)
app.autodiscover_tasks()
