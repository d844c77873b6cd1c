import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import stripe

from deploy.payments_sandbox.server import Server

SECRET = "whsec_for_tests"


class Receiver(ThreadingHTTPServer):
    """An endpoint that keeps what it is sent and answers with the next status of `answers`, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ReceiverHandler)
        self.received: list[tuple[str, str]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/webhooks/"

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in list(self.received)]


class _ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.received.append((body, self.headers["Stripe-Signature"]))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def _shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(0, database=str(tmp_path_factory.mktemp("sandbox") / "payments.sqlite"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sandbox(_shared_server: Server) -> Server:
    """A sandbox that remembers nothing yet."""
    httpx.post(f"{_shared_server.url}/_sandbox/reset").raise_for_status()
    return _shared_server


@pytest.fixture
def told(receiver: Receiver, tmp_path: Any) -> Iterator[Server]:
    """A sandbox that tells `receiver` what happens."""
    server = Server(0, database=str(tmp_path / "told.sqlite"), webhook_url=receiver.url, webhook_secrets=[SECRET])
    server.start()
    yield server
    server.stop()


def client_of(server: Server, key: str = "sk_test_tests", **options: Any) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": server.url}, **options)


@pytest.fixture
def client(sandbox: Server) -> stripe.StripeClient:
    return client_of(sandbox, max_network_retries=0)


@pytest.fixture
def control(sandbox: Server) -> Callable[..., Any]:
    """`control("faults", kind="429")` posts to /_sandbox/faults; without values it reads."""
    return controls_of(sandbox)


def controls_of(server: Server) -> Callable[..., Any]:
    def call(name: str, **values: Any) -> Any:
        url = f"{server.url}/_sandbox/{name}"
        answer = httpx.post(url, json=values) if values else httpx.get(url)
        answer.raise_for_status()
        return answer.json()

    return call


def eventually(true: Callable[[], bool], *, within: float = 5.0) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return true()


def pay(client: stripe.StripeClient, method: str = "pm_card_visa", amount: int = 1000, **more: Any) -> Any:
    """A payment intent, confirmed at once with a card."""
    options = more.pop("options", {})
    params = {"amount": amount, "currency": "usd", "payment_method": method, "confirm": True, **more}
    if "return_url" not in params:
        params["allowed_payment_method_types"] = ["card"]
    return client.v1.payment_intents.create(params, options)


def hold(client: stripe.StripeClient, amount: int = 1000, **more: Any) -> Any:
    return pay(client, amount=amount, capture_method="manual", **more)
