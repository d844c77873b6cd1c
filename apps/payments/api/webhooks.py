from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.common import clock
from apps.common.api import errors
from apps.common.errors import DomainError
from apps.payments import services

MAX_BYTES = 512 * 1024


@csrf_exempt
@require_POST
def stripe(request: HttpRequest) -> HttpResponse:
    """Stripe calls here, and again for three days until it reads a 2xx."""
    if int(request.headers.get("Content-Length") or 0) > MAX_BYTES:
        return HttpResponse(status=413)
    try:
        services.receive_event(
            payload=request.body, signature=request.headers.get("Stripe-Signature", ""), now=clock.now()
        )
    except DomainError as error:
        return errors.answer(error)
    return HttpResponse(status=204)
