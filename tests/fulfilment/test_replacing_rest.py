"""Replacements through the shoppers' interface, and the customer's answers through theirs."""

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from apps.accounts.api.jwt import Claims
from tests.fulfilment.replacing import CREAM, ME, OAT, Picking
from tests.orders.conftest import a_monday_morning, provider  # noqa: F401
from tests.orders.factories import BEER, MILK

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("a_monday_morning", "provider")]

ANSWER = """mutation($i: AnswerReplacementInput!) { answerReplacement(input: $i) { order { questions { id } lines {
  name status replacement { name status shownCents orderedCents chargedCents } } } } }"""
CHOOSE = """mutation($i: ChooseReplacementInput!) { chooseReplacement(input: $i) { order { questions { id } lines {
  name replacementPolicy replacementItemId status } } } }"""
ASKED = """query($id: ID!) { order(id: $id) { questions { id lineId name quantity shownCents status } } }"""
INSTEAD = """query($o: ID!, $l: ID!) { alternatives(orderId: $o, lineId: $l) { itemId name quantity costCents } }"""


def client(user_id, scope):
    found = APIClient()
    claims = Claims(user_id=user_id, client_id="app", scopes=frozenset({scope}))
    found.force_authenticate(get_user_model()(pk=user_id), token=claims)
    return found


@pytest.fixture
def picking():
    return Picking()


@pytest.fixture
def shopper(picking):
    app = client(ME, "shopper")

    def call(verb, code, what, body=None, key="only"):
        path = f"/api/v1/shopper/orders/{picking.store_order_id}/lines/{picking.line(code).id}{what}"
        return getattr(app, verb)(path, body, format="json", headers={"Idempotency-Key": key} if key else {})

    return call


@pytest.fixture
def customer(picking):
    from django.test import Client

    browser = Client()
    browser.force_login(get_user_model().objects.get(pk=picking.customer_id))

    def ask(query, **variables):
        sent = {"query": query, "variables": variables}
        return browser.post("/graphql/", sent, content_type="application/json").json()

    return ask


def line_of(answer, name):
    return next(line for line in answer.json()["lines"] if line["name"] == name)


def test_from_the_suggestion_to_the_answer(picking, shopper, customer):
    suggested = shopper("get", MILK, "/suggestions").json()["suggestions"]
    assert [(one["name"], one["unit_price_cents"]) for one in suggested] == [("Oat milk", 369), ("Cream", 520)]
    asked = shopper("post", MILK, "/replacement", {"item_id": suggested[0]["item_id"], "quantity": "2"})
    assert asked.status_code == 200
    assert line_of(asked, "Whole milk")["replacement"] == {
        "status": "proposed",
        "is_withdrawn": False,
        "item_id": suggested[0]["item_id"],
        "name": "Oat milk",
        "code": OAT,
        "quantity": "2.000",
        "cost_unit": "each",
        "unit_price_cents": 369,
    }
    picking.tell()
    (question,) = customer(ASKED, id=str(picking.order_id))["data"]["order"]["questions"]
    assert (question["name"], question["shownCents"], question["status"]) == ("Oat milk", 738, "proposed")
    said = {"orderId": str(picking.order_id), "replacementId": question["id"], "approve": True}
    order = customer(ANSWER, i=said)["data"]["answerReplacement"]["order"]
    milk = next(line for line in order["lines"] if line["name"] == "Whole milk")
    assert (order["questions"], milk["status"]) == ([], "replaced")
    assert milk["replacement"] == {
        "name": "Oat milk",
        "status": "approved",
        "shownCents": 738,
        "orderedCents": 698,
        "chargedCents": 738,
    }
    picking.tell()
    seen = line_of(client(ME, "shopper").get(f"/api/v1/shopper/orders/{picking.store_order_id}"), "Whole milk")
    assert (seen["status"], seen["replacement"]["status"]) == ("replaced", "approved")


def test_the_customers_own_choice_is_suggested_first(picking, shopper, customer):
    (first, *_) = customer(INSTEAD, o=str(picking.order_id), l=str(picking.line(MILK).id))["data"]["alternatives"]
    assert (first["name"], first["quantity"], first["costCents"]) == ("Oat milk", "2.000", 738)
    cream = str(picking.market.item_ids[CREAM])
    wished = {"orderId": str(picking.order_id), "lineId": str(picking.line(MILK).id), "itemId": cream}
    order = customer(CHOOSE, i=wished)["data"]["chooseReplacement"]["order"]
    milk = next(line for line in order["lines"] if line["name"] == "Whole milk")
    assert (milk["replacementPolicy"], milk["replacementItemId"]) == ("item", cream)
    picking.tell()
    suggested = shopper("get", MILK, "/suggestions").json()["suggestions"]
    assert [one["name"] for one in suggested] == ["Cream", "Oat milk"]


def test_a_find_is_proposed_and_taken_back(picking, shopper):
    body = {"name": "Ginger ale", "price_cents": 899, "code": "41", "quantity": "1"}
    asked = shopper("post", BEER, "/replacement", body)
    again = shopper("post", BEER, "/replacement", body)
    assert asked.json() == again.json()
    found = line_of(again, "Root beer, 6 bottles")["replacement"]
    assert (found["item_id"], found["name"], found["unit_price_cents"]) == (None, "Ginger ale", 899)
    back = shopper("delete", BEER, "/replacement", key="back")
    assert line_of(back, "Root beer, 6 bottles")["replacement"]["is_withdrawn"] is True
    picking.tell()
    assert picking.pick_line(BEER).proposal.status == "withdrawn"
    assert picking.order.questions == ()


def test_what_is_refused_and_in_which_words(picking, shopper):
    oat = str(picking.market.item_ids[OAT])
    refused = [
        ({}, True, 422, "invalid"),
        ({"item_id": oat}, True, 422, "invalid"),
        ({"item_id": oat, "name": "x", "price_cents": 1, "quantity": "1"}, True, 422, "invalid"),
        ({"name": "x", "quantity": "1"}, True, 422, "invalid"),
        ({"item_id": oat, "quantity": "-1"}, True, 422, "replacement_invalid"),
        ({"item_id": "4711", "quantity": "1"}, True, 404, "item_not_found"),
        ({"item_id": oat, "quantity": "1"}, False, 422, "idempotency_key_missing"),
        ({"item_id": oat, "quantity": "51"}, True, 409, "out_of_stock"),
    ]
    for number, (body, has_key, status, code) in enumerate(refused):
        answer = shopper("post", MILK, "/replacement", body, key=f"key {number}" if has_key else "")
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
    assert picking.pick_line(MILK).proposal is None
    assert picking.reserved()[MILK] == Decimal(2)
    assert OAT not in picking.reserved()
    shopper("post", MILK, "/replacement", {"item_id": oat, "quantity": "1"})
    second = shopper("post", MILK, "/replacement", {"item_id": oat, "quantity": "1"}, key="second")
    assert (second.status_code, second.json()["code"]) == (409, "question_open")
    found = shopper("put", MILK, "", {"status": "found", "quantity": "2"}, key="third")
    assert (found.status_code, found.json()["code"]) == (409, "question_open")
