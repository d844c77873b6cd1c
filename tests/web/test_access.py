"""Every page, asked for by a visitor, by its customer and by another customer."""

from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import reverse

from apps.web import urls
from tests.orders.factories import MILK, Customer, Market, fill_cart, make_customer, make_market, make_placed_order
from tests.orders.snapshots import changed, snapshot
from tests.web.pages import signed_in, without_tokens

pytestmark = pytest.mark.django_db(databases="__all__")

OPEN = {"home", "sign_up", "sign_in", "stores", "store", "department", "item", "demo", "demo_outbox"}
"""Pages for everybody."""
OF_AN_ORDER = {"order_items", "rate_order", "report_issue", "issue_photo"}
ORDER = {"order", "order_live", "order_items", "alternatives"}
PRIVATE = {"account", "add_card", "card_added", "cart", "checkout", "orders", *ORDER, *OF_AN_ORDER}
ELSEWHERE = {"receipt", "demo_letter"}
"""Need a delivered order, or a letter: test_receipts.py and test_letters.py ask for them."""
ANSWERS = {"answer_replacement", "choose_instead"}
CHANGES = {
    "remove_address",
    "cancel_order",
    "reschedule_order",
    "edit_order",
    "change_tip",
    "withdraw_issue",
    "choose_letters",
    *ANSWERS,
}
POSTED = {"sign_out", "set_line", "demo_sign_in", *CHANGES}
"""Answer to POST and to nothing else."""
HAS_FORMS = {"sign_up", "sign_in", "account", "checkout", "rate_order", "report_issue"}


@dataclass(frozen=True)
class World:
    market: Market
    ada: Customer
    bob: Customer
    order_id: int
    """Ada's."""
    line_id: int

    def path(self, name: str, **changes: object) -> str:
        known = {
            "store_id": self.market.store_id,
            "item_id": self.market.item_ids[MILK],
            "order_id": self.order_id,
            "line_id": self.line_id,
            "replacement_id": 4711,
            "address_id": self.ada.address_id,
            "issue_id": self.order_id,
            "position": 1,
            "department": "dairy",
            "role": "customer",
        }
        pattern = next(pattern for pattern in urls.urlpatterns if pattern.name == name)
        wanted = {key: {**known, **changes}[key] for key in pattern.pattern.converters}
        return reverse(f"web:{name}", kwargs=wanted)


@pytest.fixture
def world() -> World:
    market, ada, bob = make_market(), make_customer(), make_customer()
    order = make_placed_order(market=market, customer=ada)
    for customer in (ada, bob):
        fill_cart(customer, market)
    return World(market=market, ada=ada, bob=bob, order_id=order.id, line_id=order.lines[0].id)


def test_the_lists_above_have_every_page():
    assert {pattern.name for pattern in urls.urlpatterns} == OPEN | PRIVATE | POSTED | ELSEWHERE


@pytest.mark.parametrize("name", sorted(OPEN - {"home"}))
def test_open_pages_are_for_everybody(world, name):
    for client in (Client(), signed_in(world.ada.id)):
        assert client.get(world.path(name)).status_code == 200


def test_the_first_page_leads_to_the_stores(world):
    response = Client().get("/")
    assert (response.status_code, response["Location"]) == (302, "/stores/")


@pytest.mark.parametrize("name", sorted(PRIVATE))
def test_private_pages_send_a_visitor_to_sign_in_and_back(world, name):
    response = Client().get(world.path(name))
    assert (response.status_code, response["Location"]) == (302, f"/sign-in/?next={world.path(name)}")


@pytest.mark.parametrize("name", ["account", "cart", "checkout", "orders", *sorted(ORDER), "rate_order"])
def test_private_pages_open_for_their_customer(world, name):
    assert signed_in(world.ada.id).get(world.path(name)).status_code == 200


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_visitor_changes_nothing(world, name):
    before = snapshot()
    response = Client().post(world.path(name))
    assert (response.status_code, response["Location"]) == (302, f"/sign-in/?next={world.path(name)}")
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize("name", sorted(POSTED))
def test_a_link_changes_nothing(world, name):
    ada = signed_in(world.ada.id)
    before = snapshot()
    assert ada.get(world.path(name)).status_code == 405
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize("name", sorted((OPEN | PRIVATE) - HAS_FORMS))
def test_pages_to_read_take_no_post(world, name):
    assert signed_in(world.ada.id).post(world.path(name)).status_code == 405


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("get", "order"),
        ("get", "order_live"),
        ("get", "alternatives"),
        ("post", "answer_replacement"),
        ("post", "choose_instead"),
        ("get", "rate_order"),
        ("get", "issue_photo"),
        ("post", "rate_order"),
        ("post", "report_issue"),
        ("post", "withdraw_issue"),
        ("post", "cancel_order"),
        ("post", "change_tip"),
        ("post", "reschedule_order"),
        ("post", "edit_order"),
        ("get", "order_items"),
        ("post", "remove_address"),
    ],
)
def test_someone_elses_and_nobodys_look_alike(world, method, name):
    bob = signed_in(world.bob.id)
    before = snapshot()
    foreign = getattr(bob, method)(world.path(name))
    bodies = {without_tokens(foreign)}
    for id_ in (1, world.order_id + (1 << 22), 2**63 - 1, 2**63, 10**30):
        absent = getattr(bob, method)(world.path(name, order_id=id_, address_id=id_, issue_id=id_))
        assert absent.status_code == 404
        bodies.add(without_tokens(absent))
    assert foreign.status_code == 404
    assert len(bodies) == 1
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize("name", ["store", "department", "item", "cart", "checkout"])
@pytest.mark.parametrize("store_id", [0, 1, 2**63 - 1, 2**63, 10**30])
def test_no_store_no_page(world, name, store_id):
    assert signed_in(world.ada.id).get(world.path(name, store_id=store_id)).status_code == 404


def test_an_item_of_another_store_is_not_here(world):
    other = make_market()
    for item_id in (other.item_ids[MILK], 1, 2**63, 10**30):
        assert Client().get(world.path("item", item_id=item_id)).status_code == 404


@pytest.mark.parametrize("after", ["x", "-1", "0", "9" * 40, "%00", "٣"])
def test_a_place_in_a_list_that_is_none_is_not_found(world, after):
    ada = signed_in(world.ada.id)
    assert ada.get(f"/orders/?after={after}").status_code == 404
    assert ada.get(f"/stores/{world.market.store_id}/?after={after}").status_code == 404


def test_a_form_without_its_token_is_refused(world):
    strict = signed_in(world.ada.id, enforce_csrf_checks=True)
    before = snapshot()
    for name in sorted(POSTED | HAS_FORMS):
        assert strict.post(world.path(name), {"email": "a@example.com", "quantity": "1"}).status_code == 403, name
    assert changed(before, snapshot()) == set()


def test_the_page_hands_htmx_the_token_it_needs(world):
    strict = signed_in(world.ada.id, enforce_csrf_checks=True)
    strict.get(world.path("store"))
    line = {"item": world.market.item_ids[MILK], "quantity": "3"}
    headers = {"X-CSRFToken": strict.cookies["csrftoken"].value, "HX-Request": "true"}
    assert strict.post(world.path("set_line"), line, headers=headers).status_code == 200


class TestDemo:
    def test_outside_the_demo_nothing_of_it_exists(self, world, settings):
        settings.DEMO = False
        client = Client()
        assert client.get("/demo/").status_code == 404
        for role in ("customer", "shopper", "store", "admin"):
            assert client.post(f"/demo/sign-in/{role}/").status_code == 404
        assert "_auth_user_id" not in client.session
        assert "/demo/" not in client.get("/stores/").content.decode()

    def test_an_unknown_role_signs_nobody_in(self, settings):
        settings.DEMO, settings.DEMO_PASSWORD = True, "demo-password-81"
        client = Client()
        assert client.post("/demo/sign-in/owner/").status_code == 404
        assert client.post("/demo/sign-in/admin/").status_code == 404  # the demo city is not built here
        assert "_auth_user_id" not in client.session
