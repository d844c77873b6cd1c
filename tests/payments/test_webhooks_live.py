"""The sandbox posting its own signed events to our running web server: doubled, shuffled, over real HTTP."""

import time

import pytest

from apps.common import clock, outbox
from apps.common.money import Money
from apps.payments import gateway, models, selectors, services
from apps.payments.stripe_gateway import StripeGateway
from deploy.payments_sandbox.server import Server
from tests.payments.factories import make_card
from tests.payments.fixtures import Sandbox

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

ADA = 1
SECRET = "whsec_tests"


@pytest.fixture
def talking(live_server, settings):
    server = Server(0, database=":memory:", webhook_url=f"{live_server.url}/webhooks/stripe/", webhook_secrets=[SECRET])
    server.start()
    settings.STRIPE_API_BASE, settings.STRIPE_SECRET_KEY = server.url, "sk_test_tests"
    settings.STRIPE_WEBHOOK_SECRETS = (SECRET,)
    with gateway.replaced_by(StripeGateway(timeout=5.0)):
        yield Sandbox(server)
    server.stop()


def eventually(true, *, within=10.0):
    until = time.monotonic() + within
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


def test_a_customer_who_answers_the_bank_and_closes_the_browser(talking):
    talking.tell(duplicate=4, shuffle=1)
    payment = services.authorise(
        customer_id=ADA,
        order_id=1,
        step="estimate",
        amount=Money(5000),
        card_id=make_card(ADA, "pm_card_authenticationRequired"),
        return_url="http://127.0.0.1:8000/orders/1/",
        now=clock.now(),
    )
    assert payment.status == "requires_action"
    talking.answer_bank(payment.action_url, "approve")

    def noted():
        return set(models.StripeEvent.objects.values_list("type", flat=True))

    assert eventually(lambda: {"payment_intent.created", "payment_intent.amount_capturable_updated"} <= noted())
    outbox.drain()
    [payment] = selectors.payments(customer_id=ADA, order_id=1)
    assert payment.status == "authorised"
    assert talking.intents() == [("requires_capture", 5000, 0)]
    assert not models.StripeEvent.objects.filter(handled_at=None).exists()
