"""Refusals as ``application/problem+json`` (RFC 9457), with a stable ``code`` beside its members."""

import logging
from typing import Any

from django.http import JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.common.errors import DomainError

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


def problem(error: DomainError) -> dict[str, Any]:
    """``error`` as the members of a problem document."""
    return _members(status=error.status, code=error.code, detail=str(error))


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Django REST framework's exception handler. Anything unforeseen stays an exception (and is logged as one)."""
    if isinstance(error, DomainError):
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
        return Response(problem(error), status=error.status, content_type=CONTENT_TYPE, headers=headers)
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
    return JsonResponse(problem(error), status=error.status, content_type=CONTENT_TYPE)


def _members(*, status: int, code: str, detail: str) -> dict[str, Any]:
    title = _TITLES.get(status, "Error")
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
