"""The order's page: changing it, with and without what the page offers, and without JavaScript."""

import re

import pytest

from apps.orders import selectors as orders
from tests.orders.edits import with_shopper
from tests.orders.factories import BANANAS, BEER, MILK, bring_to, make_customer, make_market, make_placed_order
from tests.orders.provider import Provider
from tests.queries import counted
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market, quantities={BANANAS: "3", MILK: "2"})


def send(browser, order, market, code, **fields):
    posted = {"item": market.item_ids.get(code, code), **fields}
    response = browser.post(f"/orders/{order.id}/edit/", posted, follow=True)
    return response, " ".join(Html.of(response).text.split())


def quantities(order):
    lines = orders.order_for_staff(order_id=order.id).lines
    return {line.name: line.quantity for line in lines if not line.is_taken_out}


def test_a_quantity_is_set_and_a_line_taken_out(market, order):
    browser = signed_in(order.customer_id)
    page = browser.get(f"/orders/{order.id}/")
    assert Html.of(page).faults == []
    assert "Change your order" in page.content.decode()
    key = re.search(r'name="key" value="([^"]+)"', page.content.decode())[1]
    for _ in range(2):  # the same form, sent twice
        _, text = send(browser, order, market, BANANAS, quantity="4", key=key)
        assert "Your order is changed" in text
    assert "You changed your order" in text
    assert quantities(order) == {"Bananas": 4, "Whole milk": 2}
    send(browser, order, market, BEER, quantity="1")
    response, text = send(browser, order, market, MILK, quantity="2", take_out="1")
    assert "You took this out" in text
    assert Html.of(response).faults == []
    assert quantities(order) == {"Bananas": 4, "Root beer, 6 bottles": 1}


def test_something_else_is_found_and_added(market, order):
    browser = signed_in(order.customer_id)
    page = browser.get(f"/orders/{order.id}/items/", {"q": "root"})
    assert Html.of(page).faults == []
    assert "Root beer, 6 bottles" in page.content.decode()
    assert "Bananas" not in page.content.decode()
    response, text = send(browser, order, market, BEER, quantity="2", next="items")
    assert response.redirect_chain == [(f"/orders/{order.id}/items/", 302)]
    assert "In your order ✓" in text
    assert quantities(order)["Root beer, 6 bottles"] == 2
    assert "Nothing called" in browser.get(f"/orders/{order.id}/items/", {"q": "caviar"}).content.decode()


@pytest.mark.parametrize("quantity", ["", "x", "-1", "1.5", "1e3"])
def test_what_is_no_quantity_is_said_to_be_none(market, order, quantity):
    _, text = send(signed_in(order.customer_id), order, market, MILK, quantity=quantity)
    assert "Your order is changed" not in text
    assert quantities(order) == {"Bananas": 3, "Whole milk": 2}


@pytest.mark.parametrize("item", ["", "x", "4711"])
def test_what_is_no_item_is_said_to_be_none(market, order, item):
    _, text = send(signed_in(order.customer_id), order, market, item, quantity="1")
    assert "Your order is changed" not in text
    assert quantities(order) == {"Bananas": 3, "Whole milk": 2}


def test_a_bank_that_says_no_says_how_much_is_left(provider: Provider, market, order):
    provider.declines_from_now = True
    _, text = send(signed_in(order.customer_id), order, market, BEER, quantity="9")
    assert re.search(r"You may still add goods for \$\d+\.\d\d \(\d+ cents\)", text)


def test_once_checked_out_nothing_is_offered(market, order):
    with_shopper(order)
    bring_to(order, "checkout")
    browser = signed_in(order.customer_id)
    assert "Change your order" not in browser.get(f"/orders/{order.id}/").content.decode()
    assert browser.get(f"/orders/{order.id}/items/").status_code == 302
    _, text = send(browser, order, market, BANANAS, quantity="4")
    assert "can no longer be changed" in text


def test_nobody_else_changes_it(client, market, order):
    stranger = signed_in(make_customer().id)
    sent = {"item": market.item_ids[MILK], "quantity": "9"}
    assert stranger.post(f"/orders/{order.id}/edit/", sent).status_code == 404
    assert stranger.get(f"/orders/{order.id}/items/").status_code == 404
    assert client.post(f"/orders/{order.id}/edit/", sent).status_code == 302
    assert stranger.get(f"/orders/{order.id}/edit/").status_code == 405
    assert quantities(order) == {"Bananas": 3, "Whole milk": 2}


def test_the_page_asks_no_more_for_more_lines(market, order):
    browser = signed_in(order.customer_id)
    path = f"/orders/{order.id}/items/"

    def asked():
        browser.get(path)
        with counted() as queries:
            assert browser.get(path).status_code == 200
        return queries.by_alias

    before = asked()
    send(browser, order, market, BEER, quantity="1")
    assert asked() == before
