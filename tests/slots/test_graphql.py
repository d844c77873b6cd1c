import json
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import graphene
import pytest

import sharding
from apps.common import clock
from apps.common.api.graphql import LoadingGraphQLView
from apps.slots import selectors
from apps.slots.api.graphql import Query
from apps.stores.types import Store
from tests.catalog.factories import make_item
from tests.slots.factories import make_window
from tests.stores.factories import COLUMBUS, make_store

pytestmark = pytest.mark.django_db(databases="__all__")

schema = graphene.Schema(query=type("Query", (Query, graphene.ObjectType), {}))

Ask = Callable[..., dict[str, Any]]

EVERYTHING = """
query ($lat: Float!, $lng: Float!) {
  stores(lat: $lat, lng: $lng) {
    id name minimumBasketCents hours { weekday opens }
    departments { slug name itemCount }
    items(first: 2) { nodes { id name priceCents unitPriceText } nextCursor }
    windows(lines: 3) { id kind feeCents startsAt }
  }
}
"""


@pytest.fixture
def ask(rf) -> Ask:
    def post(query: str, **variables: object) -> dict[str, Any]:
        request = rf.post("/graphql/", {"query": query, "variables": variables}, content_type="application/json")
        answer: dict[str, Any] = json.loads(LoadingGraphQLView.as_view(schema=schema)(request).content)
        return answer

    return post


def stocked() -> Store:
    store = make_store(opens=time(8))
    for name in ("Apples", "Bread", "Cheese"):
        make_item(store.id, name=name, size="8 oz", price_cents=215, on_hand=None)
    make_window(store.id)
    return store


def test_a_store_with_its_shelves_and_windows(ask: Ask) -> None:
    store = stocked()
    window = selectors.open_windows(store_id=store.id, now=clock.now(), minutes=20)[0]
    answer = ask(
        """
        query ($id: ID!) { store(id: $id) {
          id code name retailerName timezone currency isPaused point { lat lng } minimumBasketCents
          departments { slug name itemCount }
          items(department: "pantry", first: 2) { nodes { name soldBy costUnit priceCents unitPriceText } nextCursor }
          windows { id startsAt endsAt kind feeCents cutoffAt }
        } }
        """,
        id=str(store.id),
    )
    found = answer["data"]["store"]
    cursor = found["items"].pop("nextCursor")
    assert answer == {
        "data": {
            "store": {
                "id": str(store.id),
                "code": store.code,
                "name": store.name,
                "retailerName": "Test Grocer",
                "timezone": "America/New_York",
                "currency": "USD",
                "isPaused": False,
                "point": {"lat": COLUMBUS.lat, "lng": COLUMBUS.lng},
                "minimumBasketCents": 1000,
                "departments": [{"slug": "pantry", "name": "Pantry", "itemCount": 3}],
                "items": {
                    "nodes": [
                        {
                            "name": name,
                            "soldBy": "count",
                            "costUnit": "each",
                            "priceCents": 215,
                            "unitPriceText": "26.9¢/oz",
                        }
                        for name in ("Apples", "Bread")
                    ]
                },
                "windows": [
                    {
                        "id": str(window.id),
                        "startsAt": window.starts_at.isoformat(),
                        "endsAt": window.ends_at.isoformat(),
                        "kind": "scheduled",
                        "feeCents": 399,
                        "cutoffAt": window.cutoff_at.isoformat(),
                    }
                ],
            }
        }
    }
    rest = ask(
        "query ($id: ID!, $after: String) { store(id: $id) { items(after: $after) { nodes { name } nextCursor } } }",
        id=str(store.id),
        after=cursor,
    )
    assert rest == {"data": {"store": {"items": {"nodes": [{"name": "Cheese"}], "nextCursor": None}}}}


def test_the_list_of_stores_takes_as_many_queries_for_six_as_for_three(
    ask: Ask, django_assert_num_queries: Callable[..., object]
) -> None:
    stores = [stocked() for _ in range(3)]
    where = {"lat": COLUMBUS.lat, "lng": COLUMBUS.lng}
    for _ in range(2):
        shards = {sharding.alias_for("store", store.id) for store in stores}
        assert len(shards) > 1
        for alias in shards:
            with django_assert_num_queries(3, using=alias):  # departments, items, windows
                answer = ask(EVERYTHING, **where)
        with django_assert_num_queries(4, using="default"):  # stores, hours; currencies of items and of windows
            assert ask(EVERYTHING, **where) == answer
        assert [found["id"] for found in answer["data"]["stores"]] == [str(store.id) for store in stores]
        assert [len(found["items"]["nodes"]) for found in answer["data"]["stores"]] == [2] * len(stores)
        assert [len(found["windows"]) for found in answer["data"]["stores"]] == [1] * len(stores)
        assert [len(found["hours"]) for found in answer["data"]["stores"]] == [7] * len(stores)
        stores += [stocked() for _ in range(3)]


def test_a_window_too_full_for_the_order_is_not_offered(ask: Ask) -> None:
    store = make_store()
    make_window(store.id, capacity_minutes=31)
    query = "query ($id: ID!, $lines: Int) { store(id: $id) { windows(lines: $lines) { id } } }"
    assert len(ask(query, id=str(store.id), lines=1)["data"]["store"]["windows"]) == 1
    assert ask(query, id=str(store.id), lines=30)["data"]["store"]["windows"] == []


def test_a_window_past_its_cut_off_is_not_offered(ask: Ask) -> None:
    store = make_store()
    make_window(store.id, cutoff_at=clock.now() - timedelta(seconds=1))
    assert ask("query ($id: ID!) { store(id: $id) { windows { id } } }", id=str(store.id)) == {
        "data": {"store": {"windows": []}}
    }


@pytest.mark.parametrize(
    ("id", "code"),
    [("404", "store_not_found"), ("-1", "not_found"), ("x", "not_found"), ("9" * 30, "not_found"), ("٣", "not_found")],
)
def test_a_store_that_is_not_there(ask: Ask, id: str, code: str) -> None:
    answer = ask("query ($id: ID!) { store(id: $id) { name } }", id=id)
    assert answer["data"] == {"store": None}
    assert [error["extensions"] for error in answer["errors"]] == [{"code": code}]


@pytest.mark.parametrize(("lat", "lng"), [(91, 0), (0, 181)])
def test_a_place_that_is_nowhere(ask: Ask, lat: float, lng: float) -> None:
    answer = ask(EVERYTHING, lat=lat, lng=lng)
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "invalid"}]


def test_a_place_where_nobody_delivers(ask: Ask) -> None:
    make_store()
    assert ask(EVERYTHING, lat=10.0, lng=10.0) == {"data": {"stores": []}}


def test_a_made_up_cursor(ask: Ask) -> None:
    store = make_store()
    answer = ask('query ($id: ID!) { store(id: $id) { items(after: "x") { nextCursor } } }', id=str(store.id))
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "cursor_invalid"}]


def test_a_window_too_full_for_the_drive_is_not_offered(ask: Ask) -> None:
    store = make_store()
    make_window(store.id, capacity_minutes=30)
    query = "query ($id: ID!, $lat: Float, $lng: Float) { store(id: $id) { windows(lat: $lat, lng: $lng) { id } } }"

    def count(**place: float) -> int:
        return len(ask(query, id=str(store.id), **place)["data"]["store"]["windows"])

    assert count() == 0  # as far as the store delivers
    assert count(lat=COLUMBUS.lat, lng=COLUMBUS.lng) == 1
    assert count(lat=COLUMBUS.lat + 0.2, lng=COLUMBUS.lng) == 0
    assert ask(query, id=str(store.id), lat=95.0, lng=0.0)["errors"][0]["extensions"]["code"] == "invalid"
