"""Double clicks, two devices, two operators, a person and the rules: money goes back once, in amount too."""

from collections import Counter
from decimal import Decimal

import pytest

from apps.common import outbox
from apps.common.money import Money
from apps.orders import selectors as orders
from apps.orders import services as order_services
from apps.orders.types import RefundLine
from apps.support import models, selectors, services
from tests.orders.invariants import violations
from tests.support.factories import PICTURES, SOON, make_delivered, now_of, report, stored_files
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def order():
    return make_delivered()


def kinds(answers):
    return Counter(type(answer).__name__ for answer in answers)


def settled(order, provider, cents):
    outbox.drain()
    (intent,) = provider.intents_of(order.id)
    assert now_of(order).refunded == Money(cents)
    assert provider.returned_cents(intent.id) == cents
    assert violations(provider, store_id=order.store_id) == []


def test_twenty_clicks_are_one_report(order, provider):
    answers = answers_at_once(lambda _: report(order, pictures=PICTURES), 20)
    assert kinds(answers) == {"Issue": 20}
    assert len({answer.id for answer in answers}) == 1
    assert {answer.status for answer in answers} == {"resolved_refund"}
    assert stored_files() == 2
    settled(order, provider, 698)


def test_two_devices_are_given_back_what_was_paid_and_no_more(order, provider):
    """Each believes that nobody has reported the two milks yet."""
    answers = answers_at_once(lambda n: report(order, key=f"device {n}"), 6)
    assert kinds(answers) == {"Issue": 1, "AlreadyReported": 5}
    settled(order, provider, 698)


def test_reports_of_pieces_add_up_to_the_line(order, provider):
    answers = answers_at_once(lambda n: report(order, key=f"device {n}", quantity=Decimal(1)), 6)
    assert kinds(answers) == {"Issue": 2, "AlreadyReported": 4}
    settled(order, provider, 698)


def test_the_limit_of_an_order_holds_between_reports_at_once(provider):
    order = make_delivered(quantities={"milk": "9"})
    answers = answers_at_once(lambda n: report(order, 0, key=str(n), quantity=Decimal(2)), 4)
    assert Counter((answer.status, answer.waits_for) for answer in answers) == {
        ("resolved_refund", ""): 2,  # 6.98 each, 20.00 at most
        ("opened", "much"): 1,
        ("opened", "often"): 1,
    }
    settled(order, provider, 1396)


def test_of_two_operators_one_decides(order, provider):
    issue = report(order, kind="damaged")

    def decide(n):
        if n % 2:
            return services.uphold(issue_id=issue.id, reason="as_reported", user_id=n, now=SOON).status
        return services.decline(issue_id=issue.id, reason="not_shown", user_id=n, now=SOON).status

    answers = answers_at_once(decide, 10)
    assert kinds(answers) == {"str": 5, "IllegalStep": 5}
    (outcome,) = {answer for answer in answers if isinstance(answer, str)}
    found = selectors.issue_for_staff(issue_id=issue.id)
    assert found.status == outcome
    assert [step.to_status for step in found.history] == ["opened", outcome]
    settled(order, provider, 698 if outcome == "resolved_refund" else 0)


def test_a_customer_and_an_operator_at_once(order, provider):
    issue = report(order, kind="damaged")

    def act(n):
        if n % 2:
            return services.uphold(issue_id=issue.id, reason="as_reported", user_id=n, now=SOON).status
        return services.withdraw(issue_id=issue.id, customer_id=order.customer_id, now=SOON).status

    answers = answers_at_once(act, 8)
    (outcome,) = {answer for answer in answers if isinstance(answer, str)}
    settled(order, provider, 698 if outcome == "resolved_refund" else 0)


def test_a_report_and_a_refund_by_hand_at_once(order, provider):
    line = RefundLine(line_id=order.lines[1].id, quantity=Decimal(2))

    def act(n):
        if n % 2:
            return report(order, key=str(n))
        return order_services.refund(
            order_id=order.id, key=f"hand {n}", reason="missing", actor="staff:1", now=SOON, lines=[line]
        )

    answers_at_once(act, 6)
    assert len(orders.refunds(order_id=order.id)) == 1
    settled(order, provider, 698)


def test_a_report_while_the_card_is_charged(provider):
    order = make_delivered(is_paid=False)

    def act(n):
        return report(order) if n else outbox.drain()

    answers_at_once(act, 2)
    outbox.drain()
    assert models.OrderIssue.objects.get(customer_id=order.customer_id).status == "resolved_refund"
    settled(order, provider, 698)
