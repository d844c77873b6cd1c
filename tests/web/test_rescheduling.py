"""The order's page: another delivery time, while there is still time for it."""

import re

import pytest

from apps.orders import selectors as orders
from apps.orders import services as order_services
from apps.slots.models import DeliveryWindow
from tests.orders.factories import MORNING, bring_to, make_customer, make_market, make_placed_order
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market)


def offered(page):
    return [int(window_id) for window_id in re.findall(r'<option value="(\d+)">', page.content.decode())]


def move(browser, order, window_id):
    response = browser.post(f"/orders/{order.id}/reschedule/", {"window": window_id}, follow=True)
    assert response.redirect_chain == [(f"/orders/{order.id}/", 302)]
    return " ".join(Html.of(response).text.split())


def test_an_order_is_moved_on_its_page(market, order):
    browser = signed_in(order.customer_id)
    page = browser.get(f"/orders/{order.id}/")
    assert Html.of(page).faults == []
    windows = offered(page)
    assert order.window_id not in windows
    assert market.window_ids[2] in windows
    assert "2 PM to 3 PM · $3.99" in page.content.decode()
    text = move(browser, order, market.window_ids[2])
    assert "Your order has its new delivery time." in text
    assert "Monday 2 March, 2 PM to 3 PM" in text
    assert "Moved to another delivery time" in text
    assert orders.order_for_staff(order_id=order.id).window_id == market.window_ids[2]


@pytest.mark.parametrize("window", ["", "x", "4711"])
def test_a_window_that_is_none_is_said_to_be_none(order, window):
    text = move(signed_in(order.customer_id), order, window)
    assert "Your order has its new delivery time." not in text
    assert orders.order_for_staff(order_id=order.id).window_id == order.window_id


def test_an_order_that_was_taken_is_not_moved(market, order):
    bring_to(order, "acknowledged")
    browser = signed_in(order.customer_id)
    page = browser.get(f"/orders/{order.id}/")
    assert offered(page) == []
    assert "Change the delivery time" not in page.content.decode()
    assert "can no longer be changed" in move(browser, order, market.window_ids[2])


def test_nobody_else_moves_it(client, market, order):
    stranger = signed_in(make_customer().id)
    sent = {"window": market.window_ids[2]}
    assert stranger.post(f"/orders/{order.id}/reschedule/", sent).status_code == 404
    assert client.post(f"/orders/{order.id}/reschedule/", sent).status_code == 302
    assert stranger.get(f"/orders/{order.id}/reschedule/").status_code == 405
    assert orders.order_for_staff(order_id=order.id).window_id == order.window_id


def test_past_its_cut_off_no_time_is_offered(market, order):
    order_services.reschedule(
        order_id=order.id, customer_id=order.customer_id, window_id=market.window_ids[1], now=MORNING
    )
    DeliveryWindow.objects.filter(store_id=market.store_id, pk=market.window_ids[1]).update(cutoff_at=MORNING)
    assert offered(signed_in(order.customer_id).get(f"/orders/{order.id}/")) == []
