"""Two providers for any test that pays: ``from tests.payments.fixtures import fake_gateway`` in its conftest."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.payments import gateway
from apps.payments.fake import FakeGateway
from apps.payments.stripe_gateway import StripeGateway
from deploy.payments_sandbox.server import Server

HTTP = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0))  # noqa: S501
"""Shared, because each client of its own reads all the machine's certificates, though nothing here is encrypted."""

__all__ = ["HTTP", "Sandbox", "fake_gateway", "sandbox", "sandbox_server"]


class Sandbox:
    """The payments sandbox as a test sees it: its switches, and what it knows."""

    def __init__(self, server: Server) -> None:
        self.url = server.url

    def fail(self, endpoint: str, kind: str, *, count: int | None = 1, **more: Any) -> None:
        self._post("faults", endpoint=endpoint, kind=kind, count=count, **more)

    def heal(self) -> None:
        self._post("faults", clear=True)

    def tell(self, **controls: Any) -> None:
        """How webhooks are sent from now on: ``duplicate``, ``shuffle``, ``hold``, ``drop``."""
        self._post("webhooks", **controls)

    def advance(self, *, seconds: float) -> None:
        self._post("clock", advance=seconds)

    def reset(self) -> None:
        HTTP.post(f"{self.url}/_sandbox/reset", json={}).raise_for_status()

    def objects(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = HTTP.get(f"{self.url}/_sandbox/dump").json()["objects"][kind]
        return found

    def intents(self) -> list[tuple[str, int, int]]:
        """Status, amount and amount taken of every payment intent, oldest first."""
        return [(one["status"], one["amount"], one["amount_received"]) for one in self.objects("payment_intent")]

    def answer_bank(self, url: str, answer: str) -> None:
        """Press ``approve`` or ``deny`` on the page to which a customer is sent."""
        answered = HTTP.post(url, data={"answer": answer})
        assert answered.status_code < 400

    def refund_by_hand(self, charge: str, cents: int) -> None:
        """As somebody does on the provider's own pages."""
        given = {"charge": charge, "amount": str(cents)}
        headers = {"Authorization": "Bearer sk_test_by_hand"}
        HTTP.post(f"{self.url}/v1/refunds", data=given, headers=headers).raise_for_status()

    def decide(self, account: str, *, enabled: bool) -> None:
        """The provider has looked at an account that is to be paid."""
        self._post("accounts", account=account, enabled=enabled)

    def dispute(self, charge: str) -> str:
        """The customer's bank takes a charge back; returns the dispute's id."""
        made = HTTP.post(f"{self.url}/_sandbox/disputes", json={"charge": charge}).raise_for_status().json()
        return str(made["id"])

    def decide_dispute(self, dispute: str, *, won: bool) -> None:
        self._post("disputes", dispute=dispute, won=won)

    def fail_payout(self, payout: str, code: str = "account_closed") -> None:
        """The owner's bank sends it back."""
        self._post("payouts", payout=payout, code=code)

    def totals(self) -> dict[str, int]:
        report = HTTP.get(f"{self.url}/_sandbox/invariants").json()
        assert report["violations"] == []
        found: dict[str, int] = report["totals"]
        return found

    def type_card(self, url: str, *, number: str) -> None:
        """Fill in the page on which a customer saves a card."""
        answered = HTTP.post(url, data={"number": number, "expiry": "12/40", "cvc": "123"})
        assert answered.status_code < 400

    def _post(self, name: str, **values: Any) -> None:
        HTTP.post(f"{self.url}/_sandbox/{name}", json=values).raise_for_status()


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Server]:
    server = Server(0, database=":memory:")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sandbox(sandbox_server: Server, settings: Any) -> Iterator[Sandbox]:
    """The real gateway, talking HTTP to a sandbox that remembers nothing yet."""
    sandbox = Sandbox(sandbox_server)
    sandbox.reset()
    settings.STRIPE_API_BASE = sandbox.url
    settings.STRIPE_SECRET_KEY = "sk_test_tests"
    with gateway.replaced_by(StripeGateway(timeout=0.5)):
        yield sandbox


@pytest.fixture
def fake_gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()
    with gateway.replaced_by(fake):
        yield fake
