"""The page that a monitoring system reads."""

import contextlib
import hmac

from django.conf import settings
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from sharding import metrics
from sharding.moves import progress


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every figure, to whoever has ``METRICS_TOKEN``. Nobody else learns that there is such a page.

    An address is no proof: behind a proxy on this machine everybody comes from 127.0.0.1.
    """
    wanted = f"Bearer {settings.METRICS_TOKEN}"
    given = request.headers.get("Authorization", "")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Http404
    with contextlib.suppress(OperationalError):  # the directory is away: its moves are not what matters then
        progress.measure()
    return HttpResponse(metrics.rendered(), content_type=metrics.CONTENT_TYPE)
