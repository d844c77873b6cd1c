"""Reports: believed at once or left to a person, refunded once and never above what was paid."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

import sharding
from apps.common import outbox
from apps.common.errors import IdempotencyConflict, IdempotencyKeyMissing, PhotoInvalid
from apps.common.money import Money
from apps.orders import selectors as orders
from apps.orders import services as order_services
from apps.orders.errors import NotRefundable, OrderNotFound
from apps.orders.types import RefundLine
from apps.support import models, selectors, services
from apps.support.errors import (
    AlreadyReported,
    DecisionInvalid,
    IllegalStep,
    IssueInvalid,
    IssueNotFound,
    LineNotCharged,
    NotDelivered,
    PhotoNotFound,
    TooLate,
)
from tests.common.test_photos import EXIF, JPEG, PNG
from tests.orders.factories import make_customer, make_market, make_placed_order
from tests.orders.invariants import violations
from tests.queries import counted
from tests.support.factories import PICTURES, SOON, make_delivered, now_of, report, stored_files

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

BY = {"user_id": 9, "now": SOON}


@pytest.fixture
def order():
    return make_delivered()


def steps_of(issue):
    return [(step.to_status, step.actor, step.reason) for step in issue.history]


def again(issue):
    return selectors.issue_for_staff(issue_id=issue.id)


def nothing_happened(order):
    return (
        not models.OrderIssue.objects.filter(customer_id=order.customer_id).exists()
        and orders.refunds(order_id=order.id) == ()
        and stored_files() == 0
    )


def test_what_was_missing_is_given_back_at_once(order, provider):
    issue = report(order, quantity=Decimal(1))
    assert (issue.status, issue.reason, issue.refunded, issue.refund_quantity) == (
        "resolved_refund", "by_rules", Money(349), 1,
    )  # fmt: skip
    assert steps_of(issue) == [
        ("opened", f"customer:{order.customer_id}", ""),
        ("resolved_refund", "rules", "by_rules"),
    ]
    outbox.drain()
    (refund,) = orders.refunds(order_id=order.id)
    assert (refund.amount, refund.status, refund.reason, refund.actor) == (Money(349), "paid", "missing", "rules")
    (intent,) = provider.intents_of(order.id)
    assert provider.returned_cents(intent.id) == 349
    assert violations(provider, store_id=order.store_id) == []


def test_sent_again_it_is_the_same_report(order):
    first = report(order, pictures=PICTURES)
    assert report(order, pictures=PICTURES, now=SOON + timedelta(days=30)) == first
    with pytest.raises(IdempotencyConflict):
        report(order, 0)
    assert len(orders.refunds(order_id=order.id)) == 1
    assert stored_files() == 2


def test_a_line_is_refunded_once_however_often_it_is_reported(order):
    report(order, quantity=Decimal(1), key="a")
    with pytest.raises(AlreadyReported, match="only 1 of it is left"):
        report(order, key="b")
    report(order, quantity=Decimal(1), key="c")
    with pytest.raises(AlreadyReported, match="all of it"):
        report(order, quantity=Decimal(1), key="d")
    assert now_of(order).refunded == Money(698)
    assert len(selectors.issues_of_order(order_id=order.id, customer_id=order.customer_id)) == 2


def test_what_was_refunded_otherwise_is_not_refunded_again(order):
    line = order.lines[1].id
    order_services.refund(
        order_id=order.id,
        key="x",
        reason="missing",
        actor="staff:1",
        now=SOON,
        lines=[RefundLine(line_id=line, quantity=Decimal(2))],
    )
    issue = report(order)
    assert (issue.status, issue.waits_for) == ("opened", "nothing_left")
    with pytest.raises(NotRefundable):
        services.uphold(issue_id=issue.id, reason="as_reported", **BY)
    assert steps_of(again(issue)) == [("opened", f"customer:{order.customer_id}", "")]
    assert now_of(order).refunded == Money(698)


def test_more_than_the_limit_of_one_order_waits_for_a_person():
    order = make_delivered(quantities={"beer": "2", "milk": "2"})
    milk, beer = (
        next(n for n, line in enumerate(order.lines) if line.name.startswith(name)) for name in ("Whole", "Root")
    )
    assert report(order, beer, key="a", quantity=Decimal(1)).status == "resolved_refund"  # 11.59
    assert report(order, milk, key="b", quantity=Decimal(2)).status == "resolved_refund"  # 6.98
    third = report(order, beer, key="c", quantity=Decimal(1))
    assert (third.status, third.waits_for, third.refunded) == ("opened", "much", None)
    assert now_of(order).refunded == Money(1159 + 698)


def test_the_fourth_report_in_ninety_days_waits_for_a_person():
    market, customer = make_market(), make_customer()
    seen = []
    for n in range(4):
        order = make_delivered(market=market, customer=customer, quantities={"milk": "2"})
        seen.append(report(order, 0, key=str(n), quantity=Decimal(1)).waits_for)
    assert seen == ["", "", "", "often"]
    services.withdraw(issue_id=selectors.queue().issues[0].id, customer_id=customer.id, now=SOON)
    models.OrderIssue.objects.filter(customer_id=customer.id, key="0").update(opened_at=SOON - timedelta(days=90))
    assert report(order, 0, key="4", quantity=Decimal(1)).waits_for == ""


@pytest.mark.parametrize(
    ("line", "asked", "waits"),
    [
        (1, {"kind": "damaged"}, "no_photo"),
        (1, {"kind": "poor_quality"}, "no_photo"),
        (1, {"kind": "other", "words": "It smells"}, "no_rule"),
        (None, {"kind": "late"}, "no_line"),
        (None, {"kind": "other", "words": "No bag"}, "no_rule"),
    ],
)
def test_what_the_rules_leave_to_a_person(order, line, asked, waits):
    issue = report(order, line, **asked)
    assert (issue.status, issue.waits_for, issue.refunded) == ("opened", waits, None)
    assert orders.refunds(order_id=order.id) == ()
    assert [one.id for one in selectors.queue().issues] == [issue.id]


def test_a_photo_is_believed_and_says_nothing_but_the_picture(order):
    with_exif = JPEG[:2] + EXIF + JPEG[2:]
    issue = report(order, kind="damaged", pictures=[with_exif, PNG])
    assert (issue.status, issue.photos) == ("resolved_refund", 2)
    asked = {"issue_id": issue.id, "customer_id": order.customer_id}
    assert selectors.photo(**asked, position=1).content == JPEG
    assert selectors.photo(**asked, position=2).content_type == "image/png"
    for nobodys in ({**asked, "position": 3}, {**asked, "position": 1, "customer_id": make_customer().id}):
        with pytest.raises(PhotoNotFound):
            selectors.photo(**nobodys)


@pytest.mark.parametrize(
    ("line", "asked", "refusal"),
    [
        (1, {"quantity": Decimal(3)}, IssueInvalid),
        (1, {"quantity": Decimal("0.5")}, IssueInvalid),
        (None, {"kind": "missing"}, IssueInvalid),
        (None, {"kind": "late", "quantity": Decimal(1)}, IssueInvalid),
        (1, {"kind": "late"}, IssueInvalid),
        (1, {"kind": "stolen"}, IssueInvalid),
        (None, {"kind": "other"}, IssueInvalid),
        (1, {"line_id": 4711}, IssueInvalid),
        (1, {"words": "x" * 1001}, IssueInvalid),
        (1, {"pictures": [PNG] * 6}, IssueInvalid),
        (1, {"pictures": [PNG, b"<svg/>"]}, PhotoInvalid),
        (1, {"key": ""}, IdempotencyKeyMissing),
        (1, {"now": SOON + timedelta(days=15)}, TooLate),
    ],
)
def test_what_cannot_be_meant_changes_nothing(order, line, asked, refusal):
    with pytest.raises(refusal):
        report(order, line, **asked)
    assert nothing_happened(order)


def test_what_was_not_charged_or_delivered_or_theirs_is_not_reported(order):
    unfound = make_delivered(found={1: "0"})
    with pytest.raises(LineNotCharged):
        report(unfound)
    waiting = make_placed_order()
    with pytest.raises(NotDelivered):
        report(waiting)
    with pytest.raises(OrderNotFound):
        report(order, customer_id=make_customer().id)
    assert nothing_happened(order)
    assert nothing_happened(unfound)


def test_before_the_card_is_charged_it_waits_for_that_and_is_decided_then():
    order = make_delivered(is_paid=False)
    issue = report(order)
    assert (issue.status, issue.waits_for) == ("opened", "not_charged")
    outbox.drain()
    assert (again(issue).status, again(issue).refunded) == ("resolved_refund", Money(698))
    assert len(orders.refunds(order_id=order.id)) == 1


def test_a_person_upholds_in_part_with_a_reason(order, provider):
    issue = report(order, kind="damaged")
    decided = services.uphold(
        issue_id=issue.id, reason="in_part", quantity=Decimal(1), fault="store", note="One is whole", **BY
    )
    assert (decided.status, decided.reason, decided.refunded, decided.fault) == (
        "resolved_refund", "in_part", Money(349), "store",
    )  # fmt: skip
    assert decided.history[-1].note == "One is whole"
    assert services.uphold(issue_id=issue.id, reason="as_reported", **BY) == decided
    outbox.drain()
    assert now_of(order).refunded == Money(349)
    assert violations(provider, store_id=order.store_id) == []
    report(order, key="rest", quantity=Decimal(1))  # what was not given back may still be reported


def test_a_report_about_the_order_is_upheld_with_an_amount(order, provider):
    issue = report(order, None, kind="late")
    for bad in ({}, {"quantity": Decimal(1)}, {"amount": Money(100), "fault": "mine"}):
        with pytest.raises(DecisionInvalid):
            services.uphold(issue_id=issue.id, reason="goodwill", **bad, **BY)
    with pytest.raises(NotRefundable):
        services.uphold(issue_id=issue.id, reason="goodwill", amount=order.total + Money(1), **BY)
    assert again(issue).status == "opened"
    services.uphold(issue_id=issue.id, reason="goodwill", amount=Money(500), **BY)
    outbox.drain()
    assert now_of(order).refunded == Money(500)
    assert violations(provider, store_id=order.store_id) == []


@pytest.mark.parametrize(
    "bad", [{"reason": "as_ordered"}, {"reason": ""}, {"quantity": Decimal(3)}, {"amount": Money(1)}]
)
def test_decisions_that_cannot_be_meant(order, bad):
    issue = report(order, kind="damaged")
    with pytest.raises(DecisionInvalid):
        services.uphold(issue_id=issue.id, **{"reason": "as_reported", **bad}, **BY)
    assert again(issue) == issue


def test_declining_is_undone_as_long_as_no_money_has_moved(order):
    issue = report(order, kind="damaged")
    with pytest.raises(DecisionInvalid):
        services.decline(issue_id=issue.id, reason="other", **BY)
    declined = services.decline(issue_id=issue.id, reason="not_shown", note="Dark", **BY)
    assert (declined.status, declined.reason, selectors.queue().issues) == ("declined", "not_shown", ())
    assert services.decline(issue_id=issue.id, reason="as_ordered", **BY) == declined
    with pytest.raises(IllegalStep):
        services.uphold(issue_id=issue.id, reason="as_reported", **BY)
    assert services.reopen(issue_id=issue.id, **BY).status == "opened"
    services.uphold(issue_id=issue.id, reason="as_reported", **BY)
    for refused in (services.decline, services.reopen):
        with pytest.raises(IllegalStep):
            refused(issue_id=issue.id, **({"reason": "as_ordered"} if refused is services.decline else {}), **BY)
    assert [step.to_status for step in again(issue).history] == ["opened", "declined", "opened", "resolved_refund"]
    assert now_of(order).refunded == Money(698)


def test_what_was_declined_does_not_come_back_over_another_report(order):
    declined = report(order, kind="damaged", key="a")
    services.decline(issue_id=declined.id, reason="not_shown", **BY)
    report(order, kind="missing", key="b")
    late = report(order, None, kind="late", key="c")
    services.decline(issue_id=late.id, reason="as_ordered", **BY)
    report(order, None, kind="late", key="d")
    for issue in (declined, late):
        with pytest.raises(AlreadyReported):
            services.reopen(issue_id=issue.id, **BY)
        assert again(issue).status == "declined"


def test_a_customer_takes_a_report_back(order):
    issue = report(order, kind="damaged")
    with pytest.raises(IssueNotFound):
        services.withdraw(issue_id=issue.id, customer_id=make_customer().id, now=SOON)
    assert services.withdraw(issue_id=issue.id, customer_id=order.customer_id, now=SOON).status == "withdrawn"
    assert services.withdraw(issue_id=issue.id, customer_id=order.customer_id, now=SOON).status == "withdrawn"
    with pytest.raises(IllegalStep):
        services.uphold(issue_id=issue.id, reason="as_reported", **BY)
    assert orders.refunds(order_id=order.id) == ()
    assert report(order, key="again").status == "resolved_refund"


def test_whether_anything_stands_against_an_order(order):
    asked = {"order_id": order.id, "customer_id": order.customer_id}
    assert selectors.standing_issue(**asked) is None
    issue = report(order, kind="damaged")
    assert selectors.standing_issue(**asked) == issue.id
    services.decline(issue_id=issue.id, reason="not_shown", **BY)
    assert selectors.standing_issue(**asked) is None
    services.reopen(issue_id=issue.id, **BY)
    services.uphold(issue_id=issue.id, reason="as_reported", **BY)
    assert selectors.standing_issue(**asked) == issue.id


@pytest.mark.parametrize(
    "change",
    [
        {"status": "resolved_refund", "reason": "by_rules", "decided_at": SOON, "waits_for": ""},  # nothing given back
        {"status": "declined", "decided_at": SOON, "waits_for": ""},
        {"status": "gone"},
        {"refund_quantity": Decimal(3)},
        {"quantity": Decimal(0)},
        {"kind": "stolen"},
        {"status": "withdrawn", "waits_for": ""},
    ],
)
def test_the_database_refuses_what_must_not_be(order, change):
    issue = report(order, kind="damaged")
    row = models.OrderIssue.objects.filter(customer_id=order.customer_id, pk=issue.id)
    with pytest.raises(IntegrityError), transaction.atomic(using=sharding.alias_for("customer", order.customer_id)):
        row.update(**change)
    assert again(issue) == issue


def test_lists_ask_as_often_however_much_there_is(order):
    report(order, kind="damaged", key="a", quantity=Decimal(1), pictures=PICTURES)

    def asked(question):
        with counted() as queries:
            question()
        return queries.by_alias

    alias = sharding.alias_for("customer", order.customer_id)

    def everything():
        return [
            asked(lambda: selectors.issues(customer_id=order.customer_id)),
            asked(lambda: selectors.issues_of_order(order_id=order.id, customer_id=order.customer_id)),
            asked(lambda: selectors.after_delivery(order=order)),
            asked(lambda: selectors.queue()),
        ]

    before = everything()
    assert before[:3] == [{alias: 3}, {alias: 3}, {alias: 4}]
    for n in range(2):
        report(order, 2 * n, kind="damaged", key=f"more {n}", pictures=PICTURES if n else [])
    report(order, None, kind="late", key="late")
    assert everything() == before
    assert len(selectors.issues(customer_id=order.customer_id).issues) == 4


def test_pages_of_ones_own_reports(order):
    made = [
        report(order, kind="damaged", key="a"),
        report(order, 0, kind="damaged", key="b"),
        report(order, None, kind="late", key="c"),
    ]
    first = selectors.issues(customer_id=order.customer_id, limit=2)
    assert [issue.id for issue in first.issues] == [made[2].id, made[1].id]
    second = selectors.issues(customer_id=order.customer_id, limit=2, after=first.next_cursor)
    assert [issue.id for issue in second.issues] == [made[0].id]
    assert second.next_cursor is None
