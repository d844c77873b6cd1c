"""The ``Idempotency-Key`` header (IETF draft-ietf-httpapi-idempotency-key-header) and what it protects."""

import hashlib

from django.http import HttpRequest
from rest_framework.request import Request

from apps.common.errors import IdempotencyKeyMissing

MAX_LENGTH = 80


def key(request: Request | HttpRequest) -> str:
    """The request's idempotency key; raises ``IdempotencyKeyMissing`` without one, or with one over 80 characters."""
    found = request.headers.get("Idempotency-Key", "").strip()
    if not 0 < len(found) <= MAX_LENGTH:
        raise IdempotencyKeyMissing(f"Send an Idempotency-Key header of 1 to {MAX_LENGTH} characters.")
    return found


def fingerprint(*parts: object) -> str:
    """64 hex digits that differ when any of ``parts`` does."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
