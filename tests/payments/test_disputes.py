"""A customer's bank takes money back, and decides: taken down once, in the books, whatever order the news come in."""

import pytest
from django.db import IntegrityError

from apps.common.money import Money
from apps.ledger import selectors as ledger
from apps.payments import models, selectors, services
from tests.payments.factories import NOW, make_card
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ADA, GRACE = 1, 9_001
ORDER = 77
_numbers = iter(range(1, 10_000))


def pay(customer_id, payment_method="pm_card_visa"):
    card_id = make_card(customer_id, payment_method)
    named = {"customer_id": customer_id, "order_id": ORDER, "step": "estimate", "now": NOW}
    services.authorise(**named, amount=Money(5000), card_id=card_id, return_url="")
    return services.capture(**named, amount=Money(4000)).intent_id


def tell(intent, kind="charge.dispute.created"):
    """The webhook's news, without its signature."""
    event_id = f"evt_{next(_numbers)}"
    payload = {"object": "du_1", "owner": "", "intent": intent}
    models.StripeEvent.objects.create(id=event_id, type=kind, payload=payload, received_at=NOW)
    services.handle_event(event_id=event_id, now=NOW)


def disputes(customer_id):
    return [(one.amount.cents, one.status) for one in selectors.disputes(customer_id=customer_id, order_id=ORDER)]


def books(customer_id):
    found = ledger.balance(customer_id=customer_id, order_id=ORDER).cents
    return {account: cents for account, cents in found.items() if cents and account != "customer"}


def unexplained():
    found: list[str] = []
    services.compare_with_provider(now=NOW.replace(year=2099), tell=lambda what, cents: found.append(what))
    return found


@pytest.mark.parametrize("customer_id", [ADA, GRACE])
@pytest.mark.parametrize("won", [True, False])
def test_it_is_taken_down_once_and_decided_once(fake_gateway, customer_id, won):
    intent = pay(customer_id)
    fake_gateway.dispute(intent)
    assert unexplained() != []  # nobody has told us yet
    tell(intent)
    tell(intent)
    assert disputes(customer_id) == [(4000, "open")]
    assert books(customer_id) == {"disputed": 4000}
    assert unexplained() == []
    fake_gateway.decide_dispute(intent, won=won)
    tell(intent, "charge.dispute.closed")
    tell(intent, "charge.dispute.funds_withdrawn")  # old news
    assert disputes(customer_id) == [(4000, "won" if won else "lost")]
    assert books(customer_id) == ({"provider_cash": 4000} if won else {"platform_revenue": 4000})
    assert unexplained() == []


def test_news_of_the_end_may_come_before_those_of_the_beginning(fake_gateway):
    intent = pay(ADA)
    fake_gateway.dispute(intent)
    fake_gateway.decide_dispute(intent, won=True)
    tell(intent, "charge.dispute.closed")
    tell(intent)
    assert disputes(ADA) == [(4000, "won")]
    assert books(ADA) == {"provider_cash": 4000}


def test_the_same_news_from_many_sides_at_once(fake_gateway):
    intent = pay(ADA)
    fake_gateway.dispute(intent)
    answers_at_once(lambda _: tell(intent), 5)
    assert disputes(ADA) == [(4000, "open")]
    assert books(ADA) == {"disputed": 4000}


def test_the_database_refuses_a_decision_without_its_time(fake_gateway):
    intent = pay(ADA)
    fake_gateway.dispute(intent)
    tell(intent)
    with pytest.raises(IntegrityError, match="payments_dispute_status"):
        models.Dispute.objects.filter(customer_id=ADA).update(status="won")


def test_the_card_that_disputes_over_http(sandbox):
    intent = pay(ADA, "pm_card_createDispute")
    tell(intent)
    assert disputes(ADA) == [(4000, "open")]
    (dispute,) = sandbox.objects("dispute")
    assert sandbox.totals()["disputed"] == 4000
    sandbox.decide_dispute(dispute["id"], won=True)
    tell(intent, "charge.dispute.closed")
    assert disputes(ADA) == [(4000, "won")]
    assert unexplained() == []
    assert sandbox.totals()["disputed"] == 0
