"""Every page as a screen reader and a hostile name meet it."""

from decimal import Decimal

import pytest
from django.test import Client

from apps.accounts import services as accounts
from apps.carts import services as carts
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.payments import services as payments
from tests.accounts.factories import PASSWORD, an_address
from tests.orders.factories import (
    ASKS,
    DECLINES,
    MILK,
    MORNING,
    Customer,
    bring_to,
    fill_cart,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
)
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")

EVIL = "\"'><script>alert(1)</script><h1>&amp;"


@pytest.fixture
def hostile():
    """A market and a customer whose every name is an attack."""
    market = make_market()
    item = FeedItem(lookup_code=MILK, name=EVIL, brand=EVIL, size=EVIL, price_cents=349, department=EVIL, aisle="<b>")
    catalog.put_item(store_id=market.store_id, item=item, now=MORNING)
    customer_id = accounts.sign_up(email="evil@example.com", password=PASSWORD, name=EVIL, now=MORNING)
    address = an_address(label=EVIL, line1=EVIL, line2=EVIL, city=EVIL, instructions=EVIL, lat=39.96, lng=-83.0)
    customer = Customer(
        id=customer_id,
        address_id=accounts.add_address(customer_id=customer_id, address=address, now=MORNING),
        card_id=payments.add_card(customer_id=customer_id, payment_method="pm_card_visa", now=MORNING),
    )
    order = make_placed_order(market=market, customer=customer)
    fill_cart(customer, market)
    for policy in ("refund", "best_match"):
        carts.set_line(
            customer_id=customer_id,
            store_id=market.store_id,
            item_id=market.item_ids[MILK],
            quantity=Decimal(2),
            note=EVIL,
            replacement_policy=policy,
        )
    return market, customer, order


def check(response, status=200):
    page = Html.of(response)
    assert response.status_code == status
    assert page.faults == []
    assert page.h1 == 1
    assert [source for source in page.scripts if not source.startswith("/static/")] == []
    return page


def test_every_page_of_a_customer_holds_against_hostile_names(hostile):
    market, customer, order = hostile
    browser, store = signed_in(customer.id), f"/stores/{market.store_id}/"
    evil_item = f"{store}items/{market.item_ids[MILK]}/"
    shown = {}
    for path in ("/account/", "/stores/", "/orders/", f"/orders/{order.id}/"):
        shown[path] = check(browser.get(path)).text
    for path in (store, evil_item, f"{store}cart/", f"{store}checkout/", f"{store}script-alert-1-script-h1-amp/"):
        shown[path] = check(browser.get(path)).text
    check(browser.get(store, {"q": EVIL}))
    check(browser.get(f"{store}nothing-here/"))
    check(browser.post("/account/", {"label": EVIL, "line1": EVIL, "postcode": EVIL, "next": EVIL}))
    check(browser.post(f"{store}checkout/", {"key": EVIL, "tip": EVIL}), status=404)
    assert [path for path, text in shown.items() if EVIL not in text] == ["/orders/"]  # it names nothing


def test_every_page_of_a_visitor(hostile, settings):
    settings.DEMO = True
    market, *_ = hostile
    for path in ("/stores/", f"/stores/{market.store_id}/", "/sign-in/", "/sign-up/", "/demo/"):
        check(Client().get(path, {"next": EVIL, "as": EVIL, "q": EVIL}))
    for path in ("/sign-in/", "/sign-up/"):
        check(Client().post(path, {"name": EVIL, "email": EVIL, "password": "x", "next": EVIL}))
    check(Client().get("/not-a-page/"), status=404)


def test_empty_pages():
    browser, store = signed_in(make_customer().id), f"/stores/{make_market().store_id}/"
    for path in ("/orders/", f"{store}cart/"):
        check(browser.get(path))


@pytest.mark.parametrize("status", ["acknowledged", "picking", "checkout", "delivering", "delivered"])
def test_the_orders_page_at_every_step(status):
    order = bring_to(make_placed_order(), status)
    page = check(signed_in(order.customer_id).get(f"/orders/{order.id}/"))
    assert order.status_title in page.text


@pytest.mark.parametrize("card", [ASKS, DECLINES])
def test_the_orders_page_when_the_bank_has_something_to_say(card):
    customer = make_customer(card=card)
    placed = make_ready(customer=customer).place()
    check(signed_in(customer.id).get(f"/orders/{placed.order_id}/"))
    part = Html.of(signed_in(customer.id).get(f"/orders/{placed.order_id}/live/"))
    assert (part.faults, part.h1) == ([], 1)
