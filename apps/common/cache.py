"""Django's cache in a Redis that may be away: nobody waits for it again and again."""

import time
from typing import Any, Final

from django_redis.cache import RedisCache
from django_redis.client import DefaultClient
from django_redis.exceptions import ConnectionInterrupted
from typing_extensions import override

REST_S: Final = 2.0

_rests_until: dict[str, float] = {}
"""By server, for all threads of the process: on the monotonic clock."""


class RestingCache(RedisCache):  # type: ignore[misc]  # the package tells no types
    """After one call without an answer the server is left alone for ``REST_S``, and the cache is as good as empty.

    A server that is gone refuses at once; one that hangs costs each call its whole time-out, and a plan or a page
    makes several.
    """

    @property
    @override
    def client(self) -> Any:
        client = super().client
        if time.monotonic() < _rests_until.get(str(self._server), 0.0):
            raise ConnectionInterrupted(connection=None)
        return _Noticing(client, str(self._server))


class _Noticing:
    """The client, whose failures begin the rest."""

    def __init__(self, client: DefaultClient, server: str) -> None:
        self._client, self._server = client, server

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return found(*args, **kwargs)
            except ConnectionInterrupted:
                _rests_until[self._server] = time.monotonic() + REST_S
                raise

        return call
