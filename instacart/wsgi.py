"""What uWSGI serves: pages, GraphQL, REST and the admin."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "instacart.settings")

application = get_wsgi_application()
