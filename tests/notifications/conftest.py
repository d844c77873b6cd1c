"""Letters of one kind that say what the test wants, and a mail server that does what the test wants."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from apps.notifications import domain
from apps.notifications.services import composing
from apps.notifications.types import Letter


class Server(EmailBackend):
    """Django's in-memory backend, which can also fail: ``faults`` are raised one a letter, before it is taken;

    ``after`` likewise, once it was; ``is_away`` refuses to be called.
    """

    is_away = False
    faults: list[Exception] = []
    after: list[Exception] = []
    on_send: Callable[[], None] | None = None

    def open(self) -> bool:
        if Server.is_away:
            raise ConnectionRefusedError(111, "somebody@example.com is what a server might say")
        return True

    def send_messages(self, messages: Any) -> int:
        if Server.on_send is not None:
            Server.on_send()
        if Server.faults:
            raise Server.faults.pop(0)
        taken = super().send_messages(messages)
        if Server.after:
            raise Server.after.pop(0)
        return taken


@pytest.fixture(autouse=True)
def server(settings: Any) -> Iterator[type[Server]]:
    settings.EMAIL_BACKEND = "tests.notifications.conftest.Server"
    settings.EMAIL_FROM = "Larder <orders@larder.example>"
    Server.is_away, Server.faults, Server.after, Server.on_send = False, [], [], None
    mail.outbox = []
    yield Server
    Server.is_away, Server.faults, Server.after, Server.on_send = False, [], [], None


VALUES = {
    "store": "North <Market>",
    "window": "today",
    "total": "$12.30",
    "hold": "$15.00",
    "deadline": "9 PM",
    "why": "Because.",
    "delivered": "at noon",
    "money": "Paid.",
    "amount": "$1.00",
}


@pytest.fixture
def composers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Composers by kind, for the test to replace; each says ``VALUES``."""

    def plain(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
        return Letter(values=VALUES, link="https://x.example/o/", account_link="https://x.example/account/")

    known: dict[str, Any] = dict.fromkeys(domain.KINDS, plain)
    monkeypatch.setattr(composing, "_composers", known)
    return known
