"""Against a mail server on a socket: what smtplib says when the line breaks is what the sending rests on."""

import socketserver
import threading
import time
from datetime import timedelta

import pytest

import sharding
from apps.notifications import selectors, services
from tests.accounts.factories import NOW, make_customer

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("composers")]


class _Session(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 for one sender; ``server.does`` says what becomes of each letter, in turn."""

    def handle(self):
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == "DATA":
                self.say("354 go on")
                while self.rfile.readline().strip() != b".":
                    pass
                if not self.take():
                    return
            elif verb == "RCPT" and self.server.does[:1] == ["refuse"]:
                self.server.does.pop(0)
                self.say("550 nobody here")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def take(self):
        self.server.taken += 1
        match self.server.does.pop(0) if self.server.does else "take":
            case "cut":
                return False
            case "hang":
                time.sleep(0.6)
                return False
        self.say("250 taken")
        return True

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Session)
        self.does: list[str] = []
        self.taken = 0


@pytest.fixture
def smtp(settings):
    with _Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
        settings.EMAIL_TIMEOUT = 0.3
        yield server
        server.shutdown()


def run(minutes=0):
    now = NOW + timedelta(minutes=minutes)
    return sum(services.send_due(using=alias, now=now).sent for alias in sharding.aliases("customer"))


def told(n=1):
    customers = [make_customer() for _ in range(n)]
    for customer in customers:
        services.notify(customer_id=customer, kind="order_placed", key="o:placed", facts={}, now=NOW)
    return customers


def state(customer_id):
    (row,) = selectors.to_customer(customer_id=customer_id)
    return row.status, row.reason, row.copies


def test_several_letters_are_taken(smtp):
    customers = told(3)
    assert run() == 3
    assert [state(customer) for customer in customers] == [("sent", "", 1)] * 3
    assert smtp.taken == 3


@pytest.mark.parametrize(("fault", "reason"), [("cut", "SMTPServerDisconnected"), ("hang", "SMTPServerDisconnected")])
def test_a_line_that_breaks_after_the_letter_is_an_unknown_outcome(smtp, fault, reason):
    (customer,) = told()
    smtp.does = [fault, fault]
    assert run() == 0
    assert state(customer) == ("queued", reason, 1)
    assert run(1) == 0
    assert state(customer) == ("failed", "outcome_unknown", 2)
    assert run(60) == 0
    assert smtp.taken == 2


def test_an_address_the_server_does_not_have_is_known_not_to_have_it(smtp):
    (customer,) = told()
    smtp.does = ["refuse"]
    assert run() == 0
    assert state(customer) == ("failed", "address_refused", 0)
    assert smtp.taken == 0


def test_nobody_at_that_port_is_known_too(smtp, settings):
    (customer,) = told()
    settings.EMAIL_PORT = 1
    assert run() == 0
    assert state(customer) == ("queued", "ConnectionRefusedError", 0)
