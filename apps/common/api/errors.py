"""Refusals as ``application/problem+json`` (RFC 9457), with a stable ``code`` beside its members."""

import logging
from typing import Any

from django.db import OperationalError
from django.http import JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.common.errors import DomainError, Unavailable
from sharding import ShardUnavailable

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible now",
    415: "Unsupported media type",
    422: "Not valid",
    429: "Too many requests",
    503: "Try again later",
}


RETRY_AFTER_S = 2
"""As long as a database that failed is left alone."""


def refusal(error: BaseException | None) -> DomainError | None:
    """What callers hear about ``error``; None about a bug. That a database is away is logged here."""
    if isinstance(error, DomainError):
        return error
    if not isinstance(error, OperationalError):
        return None
    if isinstance(error, ShardUnavailable):
        logger.warning("database.away %s", error.alias)
    else:  # too many connections, a full disk, a lost race
        logger.error("database.failed", exc_info=error)
    return Unavailable("Part of our system does not answer just now. Try again in a moment.")


def problem(error: DomainError) -> dict[str, Any]:
    """``error`` as the members of a problem document."""
    return _members(status=error.status, code=error.code, detail=str(error))


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Django REST framework's exception handler. Anything unforeseen stays an exception (and is logged as one)."""
    refused = refusal(error)
    if refused is not None:
        headers = headers_of(refused)
        return Response(problem(refused), status=refused.status, content_type=CONTENT_TYPE, headers=headers)
    response = exception_handler(error, context)
    if response is None:
        return None
    code, detail, extra = "invalid", "What was sent is not valid.", {}
    if isinstance(error, exceptions.ValidationError):
        response.status_code = 422
        extra = {"errors": error.detail}
    elif isinstance(error, exceptions.APIException):
        code, detail = str(error.get_codes()), str(error.detail)
    else:
        code, detail = "not_found", "There is nothing here by that id."
    response.data = {**_members(status=response.status_code, code=code, detail=detail), **extra}
    response.content_type = CONTENT_TYPE
    return response


def answer(error: DomainError) -> JsonResponse:
    """``error`` for a view that is not Django REST framework's."""
    return JsonResponse(problem(error), status=error.status, content_type=CONTENT_TYPE, headers=headers_of(error))


def headers_of(error: DomainError) -> dict[str, str]:
    """What goes with the status of a refusal."""
    if error.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(RETRY_AFTER_S)} if error.status == 503 else {}


def _members(*, status: int, code: str, detail: str) -> dict[str, Any]:
    title = _TITLES.get(status, "Error")
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
