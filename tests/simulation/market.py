"""The marketplace in this process, behind the same HTTP client that the simulation uses."""

from collections.abc import Callable

import httpx
from asgiref.sync import sync_to_async
from django.conf import settings
from typing_extensions import override

from instacart.wsgi import application

BASE = settings.PUBLIC_URL


Turn = int | dict[str, object] | Exception | Callable[[httpx.Request], httpx.Response]


class InProcess(httpx.AsyncBaseTransport):
    """Hands every request to the WSGI application, in the thread and the transaction of the test."""

    def __init__(self) -> None:
        self._wsgi = httpx.WSGITransport(app=application)

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        def ask() -> httpx.Response:
            sent = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            answer = self._wsgi.handle_request(sent)
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.read())

        body = await request.aread()
        return await sync_to_async(ask)()


class Script(httpx.AsyncBaseTransport):
    """Answers one request after the other by ``script``: a status, a body, an exception, or what a function says.

    The last one is for all that follow. ``requests`` keeps what was asked.
    """

    def __init__(self, *script: Turn) -> None:
        self._script = list(script)
        self.requests: list[httpx.Request] = []

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        turn = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(turn, Exception):
            raise turn
        if isinstance(turn, int):
            return httpx.Response(turn, text="<h1>No JSON here</h1>")
        if isinstance(turn, dict):
            return httpx.Response(200, json=turn)
        return turn(request)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self, base_url=BASE)
