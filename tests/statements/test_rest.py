"""A shopper's app asks for its own statement."""

import pytest
from django.test import Client

from apps.accounts import services as accounts
from apps.common.money import Money
from apps.shoppers import services as shoppers
from tests.accounts.factories import PASSWORD, make_customer
from tests.accounts.oauth import App
from tests.shoppers.factories import make_shopper
from tests.statements.test_statements import FIRST

pytestmark = pytest.mark.django_db(databases="__all__")


def phone(email, app="shopper-app"):
    accounts.create_oauth_apps()
    client = Client()
    assert client.login(username=email, password=PASSWORD)
    tokens = App(client, app).tokens()
    return Client(headers={"Authorization": f"Bearer {tokens['access_token']}"})


@pytest.fixture
def shopper():
    return make_shopper(1, online=False, user_id=make_customer(email="grace@example.com"))


def earn(shopper_id, batch_id, kind, cents, order_id=None):
    shoppers.earn(
        shopper_id=shopper_id, batch_id=batch_id, order_id=order_id, kind=kind, amount=Money(cents), now=FIRST
    )


def test_the_week_with_its_batches_and_balances(shopper):
    earn(shopper, 5, "batch_pay", 700)
    earn(shopper, 5, "tip", 300, order_id=12)
    other = make_shopper(1, online=False)
    earn(other, 6, "batch_pay", 999)
    answer = phone("grace@example.com").get("/api/v1/shopper/statements?day=2026-03-04")
    assert answer.status_code == 200
    assert answer.json() == {
        "period": "week",
        "first_day": "2026-03-02",
        "last_day": "2026-03-08",
        "currency": "USD",
        "opening_cents": 0,
        "earned_cents": 1_000,
        "transferred_cents": 0,
        "closing_cents": 1_000,
        "batches": [
            {
                "batch_id": "5",
                "at": "2026-03-02T15:00:00Z",
                "total_cents": 1_000,
                "batch_pay_cents": 700,
                "peak_pay_cents": 0,
                "tip_cents": 300,
            }
        ],
        "transfers": [],
        "next_cursor": None,
    }


def test_pages(shopper):
    for batch in range(60):
        earn(shopper, 100 + batch, "batch_pay", 100)
    asked = phone("grace@example.com")
    first = asked.get("/api/v1/shopper/statements?period=month&day=2026-03-04").json()
    assert (len(first["batches"]), first["earned_cents"], first["next_cursor"]) == (50, 6_000, "149")
    after = asked.get(f"/api/v1/shopper/statements?period=month&day=2026-03-04&after={first['next_cursor']}").json()
    assert [len(after["batches"]), after["batches"][0]["batch_id"], after["next_cursor"]] == [10, "150", None]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("period=year", 422, "period_invalid"),
        ("day=monday", 422, "period_invalid"),
        ("after=x", 404, "not_found"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_its_code(shopper, query, status, code):
    answer = phone("grace@example.com").get(f"/api/v1/shopper/statements?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_it_is_for_shoppers_only(shopper):
    assert Client().get("/api/v1/shopper/statements").status_code == 401
    make_customer(email="ada@example.com")
    assert phone("ada@example.com", "customer-app").get("/api/v1/shopper/statements").status_code == 403
