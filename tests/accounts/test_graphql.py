import json

import graphene
import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory

from apps.accounts import models, selectors, services
from apps.accounts.api import graphql, jwt
from apps.common.api.graphql import LoadingGraphQLView
from tests.accounts.factories import PASSWORD, make_address, make_customer
from tests.accounts.oauth import App

pytestmark = pytest.mark.django_db(databases="__all__")

SCHEMA = graphene.Schema(
    query=type("Query", (graphql.Query, graphene.ObjectType), {}),
    mutation=type("Mutation", (graphql.Mutation, graphene.ObjectType), {}),
)
VIEW = LoadingGraphQLView.as_view(schema=SCHEMA, authenticate=jwt.user_from_bearer)

ME = "{ me { id name email addresses { id label line1 lat lng } } }"
SIGN_UP = """
mutation ($email: String!, $password: String!) {
  signUp(input: {email: $email, password: $password, name: "Ada Lovelace"}) { userId }
}
"""
ADD = """
mutation ($postcode: String!, $lat: Float!) {
  addAddress(input: {
    line1: "100 N High St", city: "Columbus", state: "oh", postcode: $postcode, lat: $lat, lng: -83.0007
  }) { address { id line1 line2 state lat label } }
}
"""


def ask(query, user=None, headers=None, **variables):
    request = RequestFactory().post(
        "/graphql/", {"query": query, "variables": variables}, content_type="application/json", headers=headers or {}
    )
    request.user = user or AnonymousUser()
    response = VIEW(request)
    return json.loads(response.content)


def user(user_id):
    return models.User.objects.get(pk=user_id)


def codes(answer):
    return [error["extensions"]["code"] for error in answer["errors"]]


def test_sign_up_opens_an_account():
    answer = ask(SIGN_UP, email="ada@example.com", password=PASSWORD)
    user_id = selectors.user_id_by_email(email="ada@example.com")
    assert answer == {"data": {"signUp": {"userId": str(user_id)}}}


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("taken@example.com", PASSWORD, "email_taken"),
        ("nothing", PASSWORD, "email_invalid"),
        ("new@example.com", "short", "password_too_weak"),
    ],
)
def test_refused_sign_up_says_why_and_makes_nothing(email, password, code):
    make_customer(email="taken@example.com")
    assert codes(ask(SIGN_UP, email=email, password=password)) == [code]
    assert models.User.objects.count() == 1


def test_me_is_the_signed_in_customer(assert_queries):
    customer = make_customer(email="ada@example.com")
    make_customer(name="Eve")
    home, work = make_address(customer), make_address(customer, label="Work", line1="2 Work Way")
    signed_in = user(customer)
    with assert_queries(2):
        answer = ask(ME, signed_in)
    assert answer == {
        "data": {
            "me": {
                "id": str(customer),
                "name": "Ada Lovelace",
                "email": "ada@example.com",
                "addresses": [
                    {"id": str(home), "label": "Home", "line1": "100 N High St", "lat": 39.964, "lng": -83.0007},
                    {"id": str(work), "label": "Work", "line1": "2 Work Way", "lat": 39.964, "lng": -83.0007},
                ],
            }
        }
    }


def test_me_is_nobody_when_nobody_is_signed_in():
    assert ask(ME) == {"data": {"me": None}}


def test_address_is_added_for_the_signed_in_customer():
    customer, other = make_customer(), make_customer()
    answer = ask(ADD, user(customer), postcode="43215", lat=39.964)
    (added,) = selectors.addresses(customer_id=customer)
    assert answer == {
        "data": {
            "addAddress": {
                "address": {
                    "id": str(added.id),
                    "line1": "100 N High St",
                    "line2": "",
                    "state": "OH",
                    "lat": 39.964,
                    "label": "",
                }
            }
        }
    }
    assert selectors.addresses(customer_id=other) == ()


def test_address_that_cannot_be_is_refused():
    customer = make_customer()
    assert codes(ask(ADD, user(customer), postcode="none", lat=39.964)) == ["address_invalid"]
    assert codes(ask(ADD, user(customer), postcode="43215", lat=123.4)) == ["address_invalid"]
    assert selectors.addresses(customer_id=customer) == ()


def test_address_needs_somebody():
    assert codes(ask(ADD, postcode="43215", lat=39.964)) == ["sign_in_required"]


def test_bearer_token_signs_in():
    services.create_oauth_apps()
    customer = make_customer()
    client = Client()
    client.force_login(user(customer))
    customer_token = App(client).tokens()["access_token"]
    shopper_token = App(client, "shopper-app").tokens()["access_token"]

    answer = ask("{ me { id } }", headers={"Authorization": f"Bearer {customer_token}"})
    assert answer == {"data": {"me": {"id": str(customer)}}}
    answer = ask("{ me { id } }", headers={"Authorization": f"Bearer {shopper_token}"})
    assert (answer["status"], answer["code"]) == (403, "scope_missing")


def test_bad_bearer_token_is_refused_whoever_has_a_session():
    customer = user(make_customer())
    answer = ask("{ me { id } }", customer, headers={"Authorization": "Bearer nonsense"})
    assert (answer["status"], answer["code"]) == (401, "token_invalid")
