"""What a view does not answer for itself."""

from collections.abc import Callable

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader

from apps.common import outbox
from apps.common.api import errors


class NudgeOnce:
    """Workers hear once of all that a request has committed: telling them costs as much as a query."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with outbox.nudges_together():
            return self.get_response(request)


class AnswerForDatabases:
    """Says 503 while a database that the view needs is away: as a page to people, as a problem to programs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        refused = errors.refusal(exception) if isinstance(exception, OperationalError) else None
        if refused is None:
            return None
        if "text/html" in request.headers.get("Accept", "") or "HX-Request" in request.headers:
            # Without the request: what pages know of it may be in the database that is away.
            page = loader.get_template("503.html").render()
            return HttpResponse(page, status=refused.status, headers=errors.headers_of(refused))
        return errors.answer(refused)
