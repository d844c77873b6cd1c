"""Answer a repeated request as it was answered the first time."""

from collections.abc import Callable
from typing import Any

import sharding
from apps.common.errors import IdempotencyConflict
from apps.common.models import IdempotencyKey


def once(*, owner: str, key: str, fingerprint: str, using: str, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """``answer()`` the first time ``owner`` sends ``key``, the stored first answer every later time.

    ``answer`` runs inside the transaction on ``using`` that stores it, so it may change that
    database only. ``fingerprint`` (a hash of the request) tells a repetition from a reused key:
    another one raises ``IdempotencyConflict``. A refusal (exception) is not stored.

    Answers do not move with a bucket: let ``using`` be a database whose rows stay, such as the global one.
    """
    keys = IdempotencyKey.objects.using(using)
    with sharding.atomic(using):
        stored, is_new = keys.get_or_create(owner=owner, key=key, defaults={"fingerprint": fingerprint, "answer": {}})
        if is_new:
            stored.answer = answer()
            stored.save(using=using, update_fields=["answer"])
    if stored.fingerprint != fingerprint:
        raise IdempotencyConflict("This idempotency key was used before for another request.")
    result: dict[str, Any] = stored.answer
    return result
