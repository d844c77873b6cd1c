"""The ``Idempotency-Key`` header (IETF draft-ietf-httpapi-idempotency-key-header-07, and Stripe's way with it).

Every handler of a write is decorated with ``answered_once``. A caller that sends a key may send the request again: what
it was answered the first time it is answered again, to the byte, with ``Idempotent-Replayed: true``.

*What is kept* is what a rule has decided: what was done, and refusals (404, 409, 422). Not kept: what failed before any
rule was asked (nobody signed in, nothing readable, fields that are not valid) and what failed on our side (5xx).

*Two at the same time* wait for each other at the database, for the milliseconds that one transaction takes, and get one
answer: a 409 would have every client write the same loop for a wait that ends by itself.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Final, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

import sharding
from apps.common import clock, idempotency
from apps.common.api import actor, errors
from apps.common.errors import DomainError, IdempotencyConflict, IdempotencyKeyMissing
from apps.common.idempotency import Answer, Asked

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
MAX_LENGTH: Final = 80

Handler = Callable[..., HttpResponseBase]
Decorated = TypeVar("Decorated", bound=Handler)


@dataclass(frozen=True, slots=True)
class Rule:
    """How a decorated handler takes the header; ``rule_of`` finds it."""

    is_required: bool


class _AnsweredMeanwhile(Exception):
    """By the same request, a moment faster; what this one did is undone."""


def answered_once(
    home: Callable[..., sharding.Home], *, is_saga: bool = False, is_required: bool = False
) -> Callable[[Handler], Handler]:
    """Decorates a handler of POST, PUT, PATCH or DELETE, under ``extend_schema``.

    ``home`` is called as the handler is, less the view, and says where the request is decided. The handler runs in one
    transaction there, with its answer. It must change no other database and may not catch what fails in a transaction
    inside; what it changes and then refuses is undone. With ``is_saga`` it runs in none: it goes through several
    databases or waits for somebody, resumes what an earlier call of it has begun, and its answer is kept afterwards.
    With ``is_required`` the key may not be missing: for what is done twice when it is sent twice.

    Without a key nothing is asked of a database. With one, 2 queries more; a replay is 1 query.
    """

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def answered(view: object, request: Request, **arguments: str) -> HttpResponseBase:
            key = given_key(request)
            if key is None:
                if is_required:
                    raise IdempotencyKeyMissing(f"Send a key of your own, such as a UUID, in the header {HEADER}.")
                return handler(view, request, **arguments)
            where = home(request, **arguments)
            if where.bucket >= sharding.BUCKETS:  # an id that nobody was given: nothing can be kept with it
                return handler(view, request, **arguments)
            asked = Asked(home=where, owner=actor.user_id(request), key=key, fingerprint=_fingerprint_of(request))
            return _answered(asked, lambda: handler(view, request, **arguments), is_saga=is_saga, now=clock.now())

        answered.idempotency = Rule(is_required=is_required)  # type: ignore[attr-defined]
        return answered

    return decorate


def rule_of(handler: object) -> Rule | None:
    """None for a handler that does not look at the header."""
    found = getattr(handler, "idempotency", None)
    return found if isinstance(found, Rule) else None


def given_key(request: Request | HttpRequest) -> str | None:
    """The request's key, without the quotes that the draft puts around it; None where there is no such header.

    Raises ``IdempotencyKeyMissing`` for a header that holds none.
    """
    header = request.headers.get(HEADER)
    if header is None:
        return None
    found = header.strip()
    if len(found) >= 2 and found[0] == found[-1] == '"':
        found = found[1:-1]
    if not 0 < len(found) <= MAX_LENGTH or not (found.isascii() and found.isprintable()):
        raise IdempotencyKeyMissing(f"{HEADER} has 1 to {MAX_LENGTH} printable ASCII characters, such as a UUID.")
    return found


def of_shopper(request: Request, **_: str) -> sharding.Home:
    """Decided on the shard of the shopper who asks."""
    return sharding.home("shopper", actor.shopper_id(request))


def fingerprint(*parts: object) -> str:
    """64 hex digits that differ when any of ``parts`` does."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def _fingerprint_of(request: Request) -> str:
    """Of what is asked, however its JSON is written down. Raises what reading the body does."""
    return fingerprint(request.method, request.get_full_path(), json.dumps(request.data, sort_keys=True, default=str))


def _answered(asked: Asked, handle: Handler, *, is_saga: bool, now: datetime) -> HttpResponse:
    earlier = idempotency.kept(asked, now=now)
    if earlier is not None:
        return _response(earlier, is_replayed=True)
    try:
        if not is_saga:
            return _response(_in_one_transaction(asked, handle, now=now))
        own = _rendered(handle())
    except _AnsweredMeanwhile:
        return _replay(asked, now=now)
    except DomainError as refusal:
        if refusal.status >= 500 or refusal.status == 401:
            raise
        own = _refused(refusal)
    if idempotency.keep(asked, own, now=now):
        return _response(own)
    try:
        return _replay(asked, now=now)
    except IdempotencyConflict:  # another request with this key was faster, and what ours did is done: so it is said
        return _response(own)


@sharding.repeatable
def _in_one_transaction(asked: Asked, handle: Handler, *, now: datetime) -> Answer:
    with sharding.atomic(asked.home, is_whole=True):
        answer = _rendered(handle())
        if not idempotency.keep(asked, answer, now=now):
            raise _AnsweredMeanwhile
    return answer


def _replay(asked: Asked, *, now: datetime) -> HttpResponse:
    earlier = idempotency.kept(asked, now=now)
    if earlier is None:
        raise LookupError(f"the answer to {asked.key} was there and is gone")
    return _response(earlier, is_replayed=True)


def _rendered(response: HttpResponseBase) -> Answer:
    if not isinstance(response, Response):
        raise TypeError(f"answered_once keeps REST framework's responses, not {type(response).__name__}")
    body = b"" if response.data is None else JSONRenderer().render(response.data)
    return Answer(status=response.status_code, content_type=response.content_type or JSONRenderer.media_type, body=body)


def _refused(refusal: DomainError) -> Answer:
    body = JSONRenderer().render(errors.problem(refusal))
    return Answer(status=refusal.status, content_type=errors.CONTENT_TYPE, body=body)


def _response(answer: Answer, *, is_replayed: bool = False) -> HttpResponse:
    headers: dict[str, Any] = {REPLAYED: "true"} if is_replayed else {}
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type, headers=headers)
