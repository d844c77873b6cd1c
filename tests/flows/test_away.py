"""What people hear while the shard that they live on is silent, and that others hear nothing of it."""

import pytest
from django.db import connections
from django.test import Client

from deploy.local import faults
from sharding import breakers
from tests.flows import steps
from tests.flows.people import Person, Refusal, Shopper, graphql
from tests.sharding import servers
from tests.sharding.servers import at_most
from tests.stores.factories import COLUMBUS

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

DEADLINE = 0.5
SENTENCE = "Part of our system does not answer just now. Try again in a moment."


@pytest.fixture
def silent(transactional_db, settings, monkeypatch):
    """``silent(alias)``: from then on that database is on a frozen server."""
    settings.SHARDING = {**settings.SHARDING, "DEADLINE_SECONDS": DEADLINE}
    with servers.server("away") as server:

        def freeze(alias):
            connections[alias].close()
            monkeypatch.setitem(connections[alias].settings_dict, "HOST", str(server.sockets))
            faults.freeze(server)

        yield freeze
        monkeypatch.undo()
        breakers.reset()


def test_a_page_says_so_and_others_shop_on(silent):
    ada, bob = Person(shard="customer_0"), Person(shard="customer_1")
    adas, bobs = ada.browser(), bob.browser()
    silent("customer_0")
    with at_most(DEADLINE):
        answer = adas.get("/orders/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer["Content-Type"], answer["Retry-After"]) == (503, "text/html; charset=utf-8", "2")
    assert "does not answer just now" in answer.content.decode()
    assert bobs.get("/orders/").status_code == 200
    with at_most(DEADLINE):
        part = adas.get("/orders/1/live/", headers={"HX-Request": "true", "Accept": "*/*"})
    assert (part.status_code, part["Content-Type"]) == (503, "text/html; charset=utf-8")
    with at_most(0):
        assert adas.get("/orders/", headers={"Accept": "text/html"}).status_code == 503
    assert breakers.state("customer_0") == "open"
    assert breakers.state("customer_1") == "closed"
    assert Client().get("/stores/").status_code == 200


def test_graphql_says_so(silent):
    ada = Person(shard="customer_0")
    silent("customer_0")
    with at_most(DEADLINE), pytest.raises(Refusal) as refused:
        graphql(ada.client, "{ orders { nodes { id } } }")
    assert (refused.value.code, refused.value.sentence) == ("unavailable", SENTENCE)


def test_rest_says_so(silent):
    market = steps.market_on("store_1")
    grace = Shopper(zone_id=steps.zone_of(market.store_id), at=COLUMBUS, shard="shopper_0")
    silent("shopper_0")
    with at_most(DEADLINE), pytest.raises(Refusal) as refused:
        grace.call("get", "offers")
    assert (refused.value.status, refused.value.code, refused.value.sentence) == (503, "unavailable", SENTENCE)
    assert grace.client.get("/api/v1/shopper/offers")["Retry-After"] == "2"


def test_a_program_that_asks_something_else_hears_a_problem(silent):
    ada = Person(shard="customer_0")
    browser = ada.browser()
    silent("customer_0")
    answer = browser.get("/orders/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["code"] == "unavailable"
