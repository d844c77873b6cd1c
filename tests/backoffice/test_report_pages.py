"""Reports that wait for a person: seen with photos and the order's time line, decided with a reason, undone."""

import pytest
from django.test import Client

import sharding
from apps.accounts import services as accounts
from apps.common import clock, outbox
from apps.common.money import Money
from apps.support import selectors
from tests.accounts.factories import make_staff
from tests.common.test_photos import JPEG
from tests.queries import counted
from tests.support.conftest import photos_of_their_own
from tests.support.factories import SOON, make_delivered, now_of, rate, report
from tests.web.pages import Html, signed_in

__all__ = ["photos_of_their_own"]

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def an_hour_later(a_monday_morning):
    with clock.shifted_to(SOON):
        yield


@pytest.fixture
def order():
    return make_delivered()


def text_of(response, status=200):
    assert response.status_code == status
    return " ".join(Html.of(response).text.split())


def decide(browser, issue, status=200, **sent):
    return text_of(browser.post(f"/admin/reports/{issue.id}/", sent, follow=True), status)


def again(issue):
    return selectors.issue_for_staff(issue_id=issue.id)


def test_the_queue_says_what_waits_and_why(operator, order):
    assert "Nothing waits for a person." in text_of(operator.get("/admin/reports/"))
    report(order, kind="damaged", key="a")
    report(order, None, kind="late", key="b")
    report(order, 0, key="c")  # decided by the rules
    text = text_of(operator.get("/admin/reports/"))
    assert "It is damaged Whole milk (2)" in text
    assert "No photo of what can be photographed" in text
    assert "The order came late the order" in text
    assert "Not about an item: there is no price to go by" in text
    assert "Bananas" not in text


def test_a_report_is_seen_with_all_that_is_known(operator, order):
    rate(order, 2, words="Sad")
    issue = report(order, kind="other", words=EVIL, pictures=[JPEG, JPEG])
    page = operator.get(f"/admin/reports/{issue.id}/")
    assert Html.of(page).h1 == 1
    assert EVIL not in page.content.decode()
    text = text_of(page)
    for said in (
        "Whole milk: 2 of 2, $3.49 each", "Worth $6.98", "None of the usual reasons", "1 report in 90 days",
        "2 of 5 “Sad”", EVIL, "delivered by shopper:7", "settled by system", f"opened by customer:{order.customer_id}",
    ):  # fmt: skip
        assert said in text
    found = operator.get(f"/admin/reports/{issue.id}/photos/2/")
    assert (found.content, found["Content-Type"]) == (JPEG, "image/jpeg")
    assert operator.get(f"/admin/reports/{issue.id}/photos/3/").status_code == 404
    assert operator.get("/admin/reports/4711/").status_code == 404
    text = text_of(operator.get(f"/admin/orders/{order.id}/"))
    assert "Rating 2 of 5 “Sad” Report Something else: Whole milk (we are looking at it)" in text


def test_it_is_upheld_in_part_and_the_money_goes_back(operator, order):
    issue = report(order, kind="damaged")
    text = decide(operator, issue, action="uphold", quantity="1", reason="in_part", fault="store", note="One is whole")
    assert "$3.49 goes back to the customer's card." in text
    assert "cannot be called back from here" in text
    made = again(issue)
    assert (made.status, made.reason, made.fault, made.history[-1].note) == (
        "resolved_refund", "in_part", "store", "One is whole",
    )  # fmt: skip
    assert made.history[-1].actor.startswith("staff:")
    outbox.drain()
    assert now_of(order).refunded == Money(349)


def test_an_amount_for_the_order(operator, order):
    issue = report(order, None, kind="late")
    for amount, status in (
        ("", 422),
        ("x", 422),
        ("5.001", 422),
        ("NaN", 422),
        ("-1", 422),
        ("1e9", 422),
        ("999", 409),
    ):
        decide(operator, issue, status, action="uphold", amount=amount, reason="goodwill")
    assert again(issue).status == "opened"
    assert "$5.00 goes back" in decide(operator, issue, action="uphold", amount="5", reason="goodwill")
    assert now_of(order).refunded == Money(500)


def test_it_is_declined_and_that_is_undone(operator, order):
    issue = report(order, kind="damaged")
    assert "Write down the other reason." in decide(operator, issue, 422, action="decline", reason="other")
    assert "No money has moved." in decide(operator, issue, action="decline", reason="not_shown")
    assert "The photos do not show it" in text_of(operator.get(f"/admin/reports/{issue.id}/"))
    assert "Open again." in decide(operator, issue, action="reopen")
    assert again(issue).status == "opened"
    decide(operator, issue, action="uphold", quantity="2", reason="as_reported")
    assert "cannot become declined" in decide(operator, issue, 409, action="decline", reason="not_shown")
    assert again(issue).status == "resolved_refund"


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"action": "delete"},
        {"action": "uphold"},
        {"action": "uphold", "quantity": "x", "reason": "as_reported"},
        {"action": "uphold", "quantity": "9", "reason": "as_reported"},
        {"action": "decline", "reason": "goodwill"},
        {"action": "decline", "reason": "as_ordered", "fault": "moon"},
    ],
)
def test_what_cannot_be_meant_decides_nothing(operator, order, sent):
    issue = report(order, kind="damaged")
    decide(operator, issue, 422, **sent)
    assert again(issue) == issue
    assert now_of(order).refunded == Money(0)


def test_support_decides_and_others_do_not(operator, order):
    issue = report(order, kind="damaged", pictures=[])
    helper = make_staff(email="helper@example.com")
    accounts.grant_role(user_id=helper, role="support")
    support = signed_in(helper)
    assert "It is damaged" in text_of(support.get("/admin/reports/"))
    assert str(order.id) in text_of(support.get(f"/admin/reports/{issue.id}/"))
    assert support.get(f"/admin/orders/{order.id}/").status_code == 403
    assert support.get("/admin/support/rating/").status_code == 200
    clerk = make_staff(email="clerk@example.com")
    accounts.grant_role(user_id=clerk, role="store_manager", store_id=order.store_id)
    for path in ("/admin/reports/", f"/admin/reports/{issue.id}/", f"/admin/reports/{issue.id}/photos/1/"):
        assert signed_in(clerk).get(path).status_code == 403
        assert Client().get(path).status_code == signed_in(order.customer_id).get(path).status_code == 302
    sent = {"action": "uphold", "quantity": "2", "reason": "as_reported"}
    assert signed_in(clerk).post(f"/admin/reports/{issue.id}/", sent).status_code == 403
    assert signed_in(clerk).get("/admin/support/orderissue/").status_code == 403
    assert again(issue).status == "opened"
    assert "goes back" in decide(support, issue, **sent)


def test_what_was_said_is_listed(operator, order):
    rate(order, 2, words="Sad")
    issue = report(order, None, kind="late")
    assert "Sad" in operator.get("/admin/support/rating/").content.decode()
    assert "late" in operator.get("/admin/support/orderissue/", {"q": str(order.id)}).content.decode()
    assert operator.get(f"/admin/support/orderissue/{issue.id}/change/").status_code == 200


def test_pages_ask_as_often_however_much_there_is(operator, order):
    issue = report(order, kind="damaged", key="a")

    def asked(path):
        operator.get(path)
        with counted() as queries:
            assert operator.get(path).status_code == 200
        return queries.by_alias

    # of the global database: the session's user, their role, two for their permissions, the stores
    shards = dict.fromkeys(sharding.aliases("customer"), 1)
    assert asked("/admin/reports/") == {"default": 5, **shards}
    before = asked(f"/admin/reports/{issue.id}/")
    for n, line in enumerate((0, 2)):
        report(order, line, kind="damaged", key=f"b{n}")
    assert asked("/admin/reports/") == {"default": 5, **shards}
    after = asked(f"/admin/reports/{issue.id}/")
    assert after == before
    assert set(after) == {"default", sharding.alias_for("customer", order.customer_id)}
