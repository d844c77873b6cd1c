"""One request to a road server, bounded in time and in size."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import httpx

from apps.dispatch.travel.providers import Malformed, Minutes, Provider
from cython_ext.dispatch.travel import Point

LARGEST_ANSWER: Final = 8 * 1024 * 1024
LONGEST_REST_S: Final = 300.0


class Unanswered(Exception):
    """The server is away, busy, slow or speaks nonsense: it is best left alone.

    The message names the kind of failure only. What a server says may repeat the places or the key it was sent.
    """

    def __init__(self, reason: str, rest_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.rest_seconds = rest_seconds
        """For how long the server asked to be left alone, if it said."""


class Refused(Exception):
    """The server is well, but one of the places is on none of its roads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    connect_seconds: float
    read_seconds: float


class Client:
    """Connections to one server, kept for several requests; a context manager."""

    def __init__(self, provider: Provider, limits: Limits) -> None:
        self._provider = provider
        self._limits = limits
        self._http = httpx.Client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def minutes(self, sources: Sequence[Point], targets: Sequence[Point], *, until: float) -> Minutes:
        """Minutes by index, of what the server answers. ``until`` is of ``time.monotonic``; it may be overrun by one
        wait for bytes, ``read_seconds`` at most. Raises ``Unanswered`` or ``Refused``.
        """
        try:
            found = self._provider.minutes(json.loads(self._answer(sources, targets, until)))
        except httpx.HTTPError as error:
            raise Unanswered(type(error).__name__) from None
        except (Malformed, ValueError, RecursionError) as error:
            raise Unanswered(f"malformed answer, {type(error).__name__}") from None
        return {(a, b): m for (a, b), m in found.items() if 0 <= a < len(sources) and 0 <= b < len(targets)}

    def _answer(self, sources: Sequence[Point], targets: Sequence[Point], until: float) -> bytes:
        left = until - time.monotonic()
        if left <= 0:
            raise Unanswered("out of time")
        ask = self._provider.ask(sources, targets)
        timeout = httpx.Timeout(min(self._limits.read_seconds, left), connect=min(self._limits.connect_seconds, left))
        body = None if ask.body is None else json.dumps(ask.body).encode()
        headers = {**ask.headers, "Content-Type": "application/json"} if body else dict(ask.headers)
        with self._http.stream(ask.method, ask.url, content=body, headers=headers, timeout=timeout) as response:
            if response.status_code == httpx.codes.BAD_REQUEST and self._provider.refuses_places:
                raise Refused
            if response.status_code != httpx.codes.OK:
                raise Unanswered(f"status {response.status_code}", _retry_after(response))
            pieces, size = [], 0
            for piece in response.iter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST_ANSWER:
                    raise Unanswered("answer too large")
                if time.monotonic() > until:
                    raise Unanswered("out of time")
        return b"".join(pieces)


def _retry_after(response: httpx.Response) -> float | None:
    """``Retry-After`` in seconds (RFC 9110, 10.2.3); its form as a date is not asked of anybody here."""
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()):
        return None
    return min(float(text[:9]), LONGEST_REST_S)
