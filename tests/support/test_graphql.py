import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadedfile import SimpleUploadedFile

import sharding
from apps.accounts.models import User
from apps.common import clock
from apps.common.api.graphql import LoadingGraphQLView
from apps.support import models, selectors
from instacart.schema import schema
from tests.common.test_photos import JPEG
from tests.orders.factories import make_customer, make_placed_order
from tests.queries import counted
from tests.support.factories import SOON, make_delivered, report

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

RATE = "mutation ($input: RateOrderInput!) { rateOrder(input: $input) { rating { stars tags words } } }"
REPORT = """
mutation ($input: ReportIssueInput!) {
  reportIssue(input: $input) { issue { id lineName kind quantity status refundedCents photos history { toStatus } } }
}
"""
WITHDRAW = "mutation ($input: WithdrawIssueInput!) { withdrawIssue(input: $input) { issue { status } } }"
AFTER = """
query ($id: ID!) {
  afterDelivery(orderId: $id) {
    rateUntil reportUntil rating { stars }
    issues { kind status photos history { toStatus } } lines { name found left costUnit }
  }
}
"""
MINE = "query ($after: String) { issues(after: $after, first: 2) { nodes { id kind status photos } nextCursor } }"


@pytest.fixture(autouse=True)
def an_hour_later():
    with clock.shifted_to(SOON):
        yield


@pytest.fixture
def ask(rf):
    def post(query, customer_id=None, files=(), **variables):
        if files:
            body = {"query": query, "variables": json.dumps(variables), "photos": list(files)}
            request = rf.post("/graphql/", body)
        else:
            request = rf.post("/graphql/", {"query": query, "variables": variables}, content_type="application/json")
        request.user = User(pk=customer_id) if customer_id else AnonymousUser()
        return json.loads(LoadingGraphQLView.as_view(schema=schema)(request).content)

    return post


@pytest.fixture
def order():
    return make_delivered()


def codes(answer):
    return [error["extensions"]["code"] for error in answer["errors"]]


def about(order, line=1, **changes):
    return {
        "orderId": str(order.id),
        "lineId": str(order.lines[line].id),
        "kind": "missing",
        "idempotencyKey": "one",
        **changes,
    }


def test_a_delivery_is_rated_and_rated_anew(ask, order):
    sent = {"orderId": str(order.id), "stars": 4, "tags": ["friendly"], "words": "Thanks"}
    answer = ask(RATE, order.customer_id, input=sent)
    assert answer["data"]["rateOrder"]["rating"] == {"stars": 4, "tags": ["friendly"], "words": "Thanks"}
    answer = ask(RATE, order.customer_id, input={"orderId": str(order.id), "stars": 5})
    assert answer["data"]["rateOrder"]["rating"] == {"stars": 5, "tags": [], "words": ""}


def test_something_is_reported_with_photos_and_taken_back(ask, order):
    picture = SimpleUploadedFile("photo.txt", JPEG, content_type="text/plain")
    answer = ask(REPORT, order.customer_id, files=[picture], input=about(order, kind="other", words="Odd"))
    issue = answer["data"]["reportIssue"]["issue"]
    assert (issue["status"], issue["refundedCents"], issue["lineName"]) == ("opened", None, "Whole milk")
    assert issue["photos"] == [f"/orders/{order.id}/reports/{issue['id']}/photos/1/"]
    answer = ask(WITHDRAW, order.customer_id, input={"issueId": issue["id"]})
    assert answer["data"]["withdrawIssue"]["issue"]["status"] == "withdrawn"


def test_what_is_believed_comes_back_refunded(ask, order):
    answer = ask(REPORT, order.customer_id, input=about(order, quantity="1"))
    issue = answer["data"]["reportIssue"]["issue"]
    assert (issue["quantity"], issue["status"], issue["refundedCents"]) == ("1.000", "resolved_refund", 349)
    assert [step["toStatus"] for step in issue["history"]] == ["opened", "resolved_refund"]
    again = ask(REPORT, order.customer_id, input=about(order, quantity="1"))
    assert again == answer


def test_what_may_be_said_and_was(ask, order):
    report(order, kind="damaged")
    found = ask(AFTER, order.customer_id, id=str(order.id))["data"]["afterDelivery"]
    assert found["rating"] is None
    assert found["rateUntil"] == found["reportUntil"] == "2026-03-16T15:25:00+00:00"
    assert [(one["kind"], one["status"]) for one in found["issues"]] == [("damaged", "opened")]
    assert [(line["name"], line["found"], line["left"]) for line in found["lines"]] == [
        ("Bananas", "2.500", "2.500"),
        ("Whole milk", "2.000", "0.000"),
        ("Root beer, 6 bottles", "1.000", "1.000"),
    ]
    waiting = make_placed_order()
    found = ask(AFTER, waiting.customer_id, id=str(waiting.id))["data"]["afterDelivery"]
    assert found == {"rating": None, "rateUntil": None, "reportUntil": None, "issues": [], "lines": []}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "stolen"}, "issue_invalid"),
        ({"quantity": "9"}, "issue_invalid"),
        ({"lineId": None}, "issue_invalid"),
        ({"lineId": "4711"}, "issue_invalid"),
        ({"orderId": "4711"}, "order_not_found"),
        ({"idempotencyKey": ""}, "idempotency_key_missing"),
    ],
)
def test_refusals_have_codes_and_change_nothing(ask, order, changes, code):
    answer = ask(REPORT, order.customer_id, input={**about(order), **changes})
    assert codes(answer) == [code]
    assert not models.OrderIssue.objects.filter(customer_id=order.customer_id).exists()


def test_more_refusals(ask, order):
    stranger = make_customer().id
    rated = {"orderId": str(order.id), "stars": 9}
    assert codes(ask(RATE, order.customer_id, input=rated)) == ["rating_invalid"]
    assert codes(ask(RATE, stranger, input={**rated, "stars": 5})) == ["order_not_found"]
    assert codes(ask(RATE, input=rated)) == ["sign_in_required"]
    assert codes(ask(REPORT, stranger, input=about(order))) == ["order_not_found"]
    assert codes(ask(AFTER, stranger, id=str(order.id))) == ["order_not_found"]
    text = SimpleUploadedFile("photo.jpg", b"<svg/>", content_type="image/jpeg")
    assert codes(ask(REPORT, order.customer_id, files=[text], input=about(order))) == ["photo_invalid"]
    ask(REPORT, order.customer_id, input=about(order))
    assert codes(ask(REPORT, order.customer_id, input=about(order, idempotencyKey="two"))) == ["already_reported"]
    assert codes(ask(REPORT, order.customer_id, input=about(order, 0))) == ["idempotency_conflict"]
    (issue,) = selectors.issues(customer_id=order.customer_id).issues
    assert codes(ask(WITHDRAW, stranger, input={"issueId": str(issue.id)})) == ["issue_not_found"]
    assert codes(ask(WITHDRAW, order.customer_id, input={"issueId": str(issue.id)})) == ["issue_illegal_step"]
    with clock.shifted_to(SOON.replace(month=4)):
        assert codes(ask(RATE, order.customer_id, input={**rated, "stars": 5})) == ["too_late"]
    unfound = make_delivered(found={1: "0"})
    assert codes(ask(REPORT, unfound.customer_id, input=about(unfound))) == ["line_not_charged"]
    waiting = make_placed_order()
    assert codes(ask(RATE, waiting.customer_id, input={"orderId": waiting.id, "stars": 5})) == ["not_delivered"]


def test_lists_ask_as_often_however_much_there_is(ask, order):
    alias = sharding.alias_for("customer", order.customer_id)
    report(order, kind="damaged", key="a", pictures=[JPEG])

    def asked(query, **variables):
        with counted() as queries:
            assert "errors" not in ask(query, order.customer_id, **variables)
        return queries.by_alias

    assert asked(MINE) == {alias: 3}
    assert asked(AFTER, id=str(order.id)) == {alias: 9}
    report(order, 0, kind="damaged", key="b", pictures=[JPEG])
    report(order, None, kind="late", key="c")
    assert asked(MINE) == {alias: 3}
    assert asked(AFTER, id=str(order.id)) == {alias: 9}
    page = ask(MINE, order.customer_id)["data"]["issues"]
    assert [node["kind"] for node in page["nodes"]] == ["late", "damaged"]
    rest = ask(MINE, order.customer_id, after=page["nextCursor"])["data"]["issues"]
    assert (len(rest["nodes"]), rest["nextCursor"]) == (1, None)
