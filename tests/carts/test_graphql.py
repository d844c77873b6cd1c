import json
from decimal import Decimal
from types import SimpleNamespace

import graphene
import pytest

from apps.carts import selectors
from apps.carts.api import graphql
from apps.common.api.graphql import LoadingGraphQLView
from tests.carts.factories import fill_cart
from tests.catalog.factories import make_item
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")


class Query(graphql.Query, graphene.ObjectType):
    pass


class Mutation(graphql.Mutation, graphene.ObjectType):
    pass


SCHEMA = graphene.Schema(query=Query, mutation=Mutation)
SET_LINE = """
mutation ($input: SetCartLineInput!) {
  setCartLine(input: $input) { cart { version subtotalCents lines { itemId name quantity totalCents note } } }
}
"""


@pytest.fixture
def ask(rf):
    def post(query, user_id=1, **variables):
        request = rf.post("/graphql/", {"query": query, "variables": variables}, content_type="application/json")
        request.user = SimpleNamespace(pk=user_id, is_authenticated=user_id is not None)
        return json.loads(LoadingGraphQLView.as_view(schema=SCHEMA)(request).content)

    return post


@pytest.fixture
def store():
    return make_store()


def test_setting_a_line_answers_with_the_cart(ask, store):
    item = make_item(store.id, name="Bananas", price_cents=59, cost_unit="lb")
    given = {"storeId": str(store.id), "itemId": str(item.id), "quantity": "1.5", "note": "ripe", "version": 0}
    assert ask(SET_LINE, input=given) == {
        "data": {
            "setCartLine": {
                "cart": {
                    "version": 1,
                    "subtotalCents": 89,
                    "lines": [
                        {
                            "itemId": str(item.id),
                            "name": "Bananas",
                            "quantity": "1.500",
                            "totalCents": 89,
                            "note": "ripe",
                        }
                    ],
                }
            }
        }
    }


def test_reading(ask, store):
    item = make_item(store.id, price_cents=250)
    cart = fill_cart(1, store.id, [(item.id, 2)])
    query = "query ($id: ID!) { cart(storeId: $id) { id storeId version subtotalCents lines { soldBy isAvailable } } }"
    assert ask(query, id=str(store.id))["data"]["cart"] == {
        "id": str(cart.id),
        "storeId": str(store.id),
        "version": 1,
        "subtotalCents": 500,
        "lines": [{"soldBy": "count", "isAvailable": True}],
    }
    assert ask(query, user_id=2, id=str(store.id))["data"]["cart"]["lines"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": "1.5"}, "quantity_not_whole"),
        ({"quantity": "-1"}, "quantity_out_of_range"),
        ({"quantity": "1000"}, "quantity_out_of_range"),
        ({"version": 7}, "cart_stale"),
        ({"itemId": "77"}, "not_sold_here"),
        ({"storeId": "77"}, "store_not_found"),
        ({"storeId": "seven"}, "not_found"),
        ({"replacementPolicy": "surprise"}, "replacement_policy_unknown"),
    ],
)
def test_refusals_have_codes_and_change_nothing(ask, store, change, code):
    item = make_item(store.id)
    given = {"storeId": str(store.id), "itemId": str(item.id), "quantity": "1"} | change
    answer = ask(SET_LINE, input=given)
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert selectors.cart(customer_id=1, store_id=store.id).lines == ()


def test_nobody_signed_in_is_refused(ask, store):
    item = make_item(store.id)
    given = {"storeId": str(store.id), "itemId": str(item.id), "quantity": "1"}
    answer = ask(SET_LINE, user_id=None, input=given)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["sign_in_required"]


SET_LINES = """
mutation ($input: SetCartLinesInput!) {
  setCartLines(input: $input) { cart { version subtotalCents lines { itemId quantity } } }
}
"""


def test_several_lines_are_set_at_once(ask, store):
    soap, bananas = make_item(store.id, price_cents=349), make_item(store.id, price_cents=59, cost_unit="lb")
    wanted = [{"itemId": str(soap.id), "quantity": "2"}, {"itemId": str(bananas.id), "quantity": "1.5"}]
    answer = ask(SET_LINES, input={"storeId": str(store.id), "lines": wanted})
    cart = {
        "version": 1,
        "subtotalCents": 2 * 349 + 89,
        "lines": [{"itemId": str(soap.id), "quantity": "2.000"}, {"itemId": str(bananas.id), "quantity": "1.500"}],
    }
    assert answer == {"data": {"setCartLines": {"cart": cart}}}


def test_one_line_that_cannot_be_refuses_all(ask, store):
    soap = make_item(store.id)
    wanted = [{"itemId": str(soap.id), "quantity": "2"}, {"itemId": "77", "quantity": "1"}]
    answer = ask(SET_LINES, input={"storeId": str(store.id), "lines": wanted})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["not_sold_here"]
    assert selectors.cart(customer_id=1, store_id=store.id).lines == ()


WISHES = """
mutation ($input: SetCartLinesInput!) {
  setCartLines(input: $input) {
    cart { minimumAge lines { quantity pieces replacementPolicy replacementItemId replacementName unitPriceText } }
  }
}
"""


def test_pieces_and_another_item_instead(ask, store):
    bananas = make_item(store.id, name="Bananas", price_cents=59, cost_unit="lb", par_weight=Decimal("0.4"))
    plantains = make_item(store.id, name="Plantains", price_cents=99, cost_unit="lb")
    line = {"itemId": str(bananas.id), "quantity": "5", "inPieces": True}
    wish = {"replacementPolicy": "item", "replacementItemId": str(plantains.id)}
    told = {
        "minimumAge": 0,
        "lines": [
            {
                "quantity": "2.000",
                "pieces": 5,
                "replacementPolicy": "item",
                "replacementItemId": str(plantains.id),
                "replacementName": "Plantains",
                "unitPriceText": "$0.59/lb",
            }
        ],
    }
    for lines in ([line | wish], [line]):  # what was said once is remembered
        answer = ask(WISHES, input={"storeId": str(store.id), "lines": lines})
        assert answer["data"]["setCartLines"]["cart"] == told


def test_a_replacement_that_is_no_id_is_refused(ask, store):
    item = make_item(store.id)
    line = {"itemId": str(item.id), "quantity": "1", "replacementPolicy": "item", "replacementItemId": "x"}
    (error,) = ask(WISHES, input={"storeId": str(store.id), "lines": [line]})["errors"]
    assert error["extensions"]["code"] == "not_found"
