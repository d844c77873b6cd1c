import json
from types import SimpleNamespace

import graphene
import pytest

from apps.common.api.graphql import LoadingGraphQLView
from apps.payments import selectors
from apps.payments.api import graphql
from tests.payments.factories import make_card

pytestmark = pytest.mark.django_db(databases="__all__")


class Query(graphql.Query, graphene.ObjectType):
    pass


class Mutation(graphql.Mutation, graphene.ObjectType):
    pass


SCHEMA = graphene.Schema(query=Query, mutation=Mutation)
ADD = "mutation ($id: String!) { addCard(input: {paymentMethod: $id}) { card { id brand last4 expMonth expYear } } }"


@pytest.fixture
def ask(rf):
    def post(query, user_id=1, **variables):
        request = rf.post("/graphql/", {"query": query, "variables": variables}, content_type="application/json")
        request.user = SimpleNamespace(pk=user_id, is_authenticated=user_id is not None)
        return json.loads(LoadingGraphQLView.as_view(schema=SCHEMA)(request).content)

    return post


def test_adding_a_card(ask, fake_gateway):
    answer = ask(ADD, id="pm_card_visa")
    [card] = selectors.cards(customer_id=1)
    assert answer["data"]["addCard"]["card"] == {
        "id": str(card.id),
        "brand": "visa",
        "last4": "4242",
        "expMonth": 12,
        "expYear": 2040,
    }
    assert ask("{ cards { id } }") == {"data": {"cards": [{"id": str(card.id)}]}}
    assert ask("{ cards { id } }", user_id=2) == {"data": {"cards": []}}


@pytest.mark.parametrize(
    ("payment_method", "code"),
    [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_unknown", "card_not_found"),
        ("4242 4242 4242 4242", "card_not_found"),
    ],
)
def test_refusals_have_codes_and_keep_nothing(ask, fake_gateway, payment_method, code):
    answer = ask(ADD, id=payment_method)
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert selectors.cards(customer_id=1) == ()


def test_a_provider_that_is_down(ask, fake_gateway):
    fake_gateway.fail_next("attach")
    answer = ask(ADD, id="pm_card_visa")
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["payment_provider_unavailable"]
    assert selectors.cards(customer_id=1) == ()


def test_nobody_signed_in_is_refused(ask, fake_gateway):
    make_card(1)
    for query in ("{ cards { id } }", 'mutation { addCard(input: {paymentMethod: "pm_1"}) { card { id } } }'):
        answer = ask(query, user_id=None)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["sign_in_required"]


def test_what_an_app_needs_to_tokenise_a_card(ask, settings):
    settings.STRIPE_PUBLISHABLE_KEY = "pk_test_shop"
    settings.STRIPE_API_BASE = None
    query = "{ paymentSettings { publishableKey apiBase } }"
    expected = {"publishableKey": "pk_test_shop", "apiBase": "https://api.stripe.com"}
    assert ask(query, user_id=None) == {"data": {"paymentSettings": expected}}
    settings.STRIPE_API_BASE = "http://127.0.0.1:8003"
    assert ask(query)["data"]["paymentSettings"]["apiBase"] == "http://127.0.0.1:8003"
