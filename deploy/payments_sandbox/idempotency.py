"""Idempotency keys: https://docs.stripe.com/api/idempotent_requests

The first answer given after work began is kept for a day, refusals and failures included. What never began
(a malformed request, a second one at the same time) leaves no trace.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.payments_sandbox.errors import ApiError, invalid
from deploy.payments_sandbox.state import Store

KEPT_FOR = 86_400
Answer = tuple[int, str]


class Keys:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._in_use: set[str] = set()

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        if len(key) > 255:
            raise invalid("Idempotency keys can be at most 255 characters long.")
        with self._lock:
            if key in self._in_use:
                raise ApiError(
                    409,
                    "There is currently another in-progress request using this Stripe Idempotent Key (that probably "
                    "means you submitted twice, and the other request is still going through).",
                    code="idempotency_key_in_use",
                    kind="idempotency_error",
                )
            self._in_use.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._in_use.discard(key)

    def known(self, key: str, endpoint: str, request: bytes) -> Answer | None:
        """The answer kept for this key; refuses the key if it was used for something else."""
        db, since = self._store.db, self._store.now() - KEPT_FOR
        row = db.execute(
            "SELECT endpoint, request, status, body FROM answers WHERE key = ? AND at > ?", (key, since)
        ).fetchone()
        if row is None:
            return None
        if row[0] != endpoint:
            raise _reused(f"for the same endpoint they were first used for ('{row[0]}' vs '{endpoint}')", key)
        if row[1] != _digest(request):
            raise _reused("with the same parameters they were first used with", key)
        return row[2], row[3]

    def keep(self, key: str, endpoint: str, request: bytes, answer: Answer) -> None:
        self._store.db.execute(
            "INSERT OR REPLACE INTO answers (key, endpoint, request, at, status, body) VALUES (?, ?, ?, ?, ?, ?)",
            (key, endpoint, _digest(request), self._store.now(), *answer),
        )


def _digest(request: bytes) -> str:
    # A digest, also because the request may hold a card number.
    return hashlib.sha256(request).hexdigest()


def _reused(how: str, key: str) -> ApiError:
    shown = key.split(" ", 1)[-1]
    message = (
        f"Keys for idempotent requests can only be used {how}. Try using a key other than '{shown}' if you meant "
        "to execute a different request."
    )
    return ApiError(400, message, kind="idempotency_error")
