"""The socket side: HTTP/1.1 with kept connections, and breaking them on purpose."""

import contextlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from deploy.payments_sandbox.app import Answer, App, Request
from deploy.payments_sandbox.state import Store

_LARGEST_BODY = 1_000_000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"

    def _respond(self) -> None:
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            self._send(Answer(413))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(length))
        self._send(self.server.app.answer(Request(self.command, path, query, headers, body)))

    do_GET = do_POST = do_DELETE = _respond  # noqa: N815 - the names http.server calls

    def _send(self, answer: Answer) -> None:
        if answer.cut is not None:
            self.close_connection = True
        if answer.cut == "refuse":
            # Closing with nothing left to linger for sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer.cut in ("refuse", "drop_before", "drop_after"):
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        sent = answer.body[: len(answer.body) // 2] if answer.cut == "half_answer" else answer.body
        self.wfile.write(sent)
        self.wfile.flush()

    wbufsize = -1  # head and body leave in one packet

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a request may name a card."""


class Server(ThreadingHTTPServer):
    """`with Server(0, …) as server: server.url`. Port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        *,
        database: str,
        webhook_url: str | None = None,
        webhook_secrets: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._connections: set[socket.socket] = set()
        self.app = App(Store(database, seed=seed), webhook_url=webhook_url, webhook_secrets=webhook_secrets or [])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        """Without the half-close of the base class, which would turn a reset into an ordinary end."""
        self._connections.discard(request)
        self.close_request(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that hang up are what this server is for."""

    def start(self) -> None:
        """Serves in a thread, until `stop`."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        # Kept connections would go on being answered by their threads.
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.app.close()
