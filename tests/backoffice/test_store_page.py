import pytest
from django.test import Client

import sharding
from apps.accounts import services as accounts
from tests.accounts.factories import make_customer as make_person
from tests.fulfilment.factories import a_line, make_waiting_store_order
from tests.queries import counted
from tests.stores.factories import make_store
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


def clerk_of(*stores):
    user_id = make_person()
    for store in stores:
        accounts.grant_role(user_id=user_id, role="store_staff", store_id=store.id)
    return signed_in(user_id)


def test_staff_see_their_own_stores_and_no_other():
    mine, also_mine, other = make_store(name="North"), make_store(name="South"), make_store(name="East")
    for store, name in ((mine, "Beans"), (also_mine, "Peas"), (other, "Lentils")):
        make_waiting_store_order(store=store, lines=[a_line(name=name)])
    page = Html.of(clerk_of(mine, also_mine).get("/store/"))
    assert (page.faults, page.h1) == ([], 1)
    for text in ("North, South", "Beans", "Peas"):
        assert text in page.text
    assert "Lentils" not in page.text
    assert "East" not in page.text


def test_a_store_without_orders_says_so():
    assert "No open orders" in clerk_of(make_store()).get("/store/").content.decode()


def test_everybody_else_is_kept_out():
    make_waiting_store_order(store=make_store())
    response = Client().get("/store/")
    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/store/")
    assert signed_in(make_person()).get("/store/").status_code == 403
    assert clerk_of(make_store()).post("/store/").status_code == 405


def test_hostile_names_stay_names():
    store = make_store(name="<script>alert(1)</script>")
    make_waiting_store_order(store=store, lines=[a_line(name="<script>alert(2)</script>")])
    page = Html.of(clerk_of(store).get("/store/"))
    assert "<script>alert(1)</script>" in page.text
    assert "<script>alert(2)</script>" in page.text
    assert [source for source in page.scripts if not source.startswith("/static/")] == []


def test_more_orders_are_no_more_queries():
    store = make_store()
    make_waiting_store_order(store=store)
    clerk, expected = clerk_of(store), {"default": 3, sharding.alias_for("store", store.id): 4}
    clerk.get("/store/")
    for _ in range(2):
        with counted() as queries:
            clerk.get("/store/")
        assert queries.by_alias == expected
        for _ in range(5):
            make_waiting_store_order(store=store)
