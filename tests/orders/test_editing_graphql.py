"""``editOrder`` as a customer's app sends it."""

import json

import pytest
from django.contrib.auth.models import AnonymousUser

from apps.accounts.models import User
from apps.common.api.graphql import LoadingGraphQLView
from instacart.schema import schema
from tests.orders.edits import wanted
from tests.orders.factories import BANANAS, BEER, MILK, make_customer, make_market, make_placed_order

pytestmark = pytest.mark.django_db(databases="__all__")

EDIT = """
mutation ($i: EditOrderInput!) {
  editOrder(input: $i) { order { isEditable lines { name quantity isTakenOut isPartial reason } } }
}
"""


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market, quantities={BANANAS: "9", MILK: "2"})


@pytest.fixture
def send(rf, market, order):
    def post(quantities, *, customer_id=None, key="k", **more):
        lines = [{"itemId": str(market.item_ids.get(c, c)), "quantity": q} for c, q in quantities.items()]
        given = {"orderId": str(order.id), "lines": lines, "idempotencyKey": key, **more}
        request = rf.post("/graphql/", {"query": EDIT, "variables": {"i": given}}, content_type="application/json")
        request.user = AnonymousUser() if customer_id == 0 else User(pk=customer_id or order.customer_id)
        return json.loads(LoadingGraphQLView.as_view(schema=schema)(request).content)

    return post


def code(answer):
    (error,) = answer["errors"]
    return error["extensions"]["code"]


def test_lines_are_added_changed_and_taken_out_at_once(market, order, send):
    for _ in range(2):
        answer = send({BEER: "1", MILK: "0"})
        edited = answer["data"]["editOrder"]["order"]
        assert edited["isEditable"] is True
        assert [(one["name"], one["quantity"], one["isTakenOut"], one["reason"]) for one in edited["lines"]] == [
            ("Bananas", "9.000", False, ""),
            ("Whole milk", "2.000", True, "taken_out"),
            ("Root beer, 6 bottles", "1.000", False, ""),
        ]
        assert not any(one["isPartial"] for one in edited["lines"])
    assert wanted(order, market) == {BANANAS: "9", BEER: "1"}


@pytest.mark.parametrize(
    ("quantities", "refusal"),
    [
        ({MILK: "1.5"}, "quantity_not_whole"),
        ({MILK: "1000"}, "quantity_out_of_range"),
        ({"4711": "1"}, "items_unavailable"),
        ({"x": "1"}, "not_found"),
        ({BANANAS: "0", MILK: "0"}, "nothing_left"),
    ],
)
def test_a_refusal_has_its_code_and_changes_nothing(market, order, send, quantities, refusal):
    assert code(send(quantities)) == refusal
    assert wanted(order, market) == {BANANAS: "9", MILK: "2"}


def test_a_key_is_for_one_change(market, order, send):
    send({MILK: "3"})
    assert code(send({MILK: "4"})) == "idempotency_conflict"
    assert code(send({MILK: "4"}, key="")) == "idempotency_key_missing"
    assert wanted(order, market)[MILK] == "3"


def test_nobody_else_changes_it(market, order, send):
    assert code(send({MILK: "3"}, customer_id=make_customer().id)) == "order_not_found"
    assert "errors" in send({MILK: "3"}, customer_id=0)
    assert wanted(order, market)[MILK] == "2"
