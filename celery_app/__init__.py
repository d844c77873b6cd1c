"""The Celery application and its schedule. Apps never import it: they declare tasks with ``shared_task``."""
