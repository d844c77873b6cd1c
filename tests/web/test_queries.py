"""How often each page asks which database: the number, and that more data does not raise it."""

from decimal import Decimal

import pytest
from django.test import Client

import sharding
from apps.carts import services as carts
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.inventory import services as inventory
from tests.accounts.factories import make_address
from tests.orders.factories import BEER, MILK, MORNING, fill_cart, make_customer, make_market, make_placed_order
from tests.queries import counted
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def customer(market):
    customer = make_customer()
    make_placed_order(market=market, customer=customer, quantities={BEER: "1"})
    fill_cart(customer, market)
    return customer


def grow(market, customer):
    """Thirty more goods on the shelf and in the cart, three more orders and addresses."""
    for _ in range(3):
        make_placed_order(market=market, customer=customer, quantities={BEER: "1"})
    fill_cart(customer, market)
    for n in range(30):
        item = FeedItem(lookup_code=f"more-{n}", name=f"More {n}", price_cents=199, department=f"Department {n % 9}")
        item_id = catalog.put_item(store_id=market.store_id, item=item, now=MORNING)
        inventory.set_on_hand(store_id=market.store_id, quantities={item_id: Decimal(9)}, reason="count", now=MORNING)
        carts.set_line(customer_id=customer.id, store_id=market.store_id, item_id=item_id, quantity=Decimal(1))
    for n in range(3):
        make_address(customer.id, line1=f"{n} Broad St")


def asked(client, path):
    client.get(path)  # the session is in the cache from here on
    with counted() as queries:
        assert client.get(path).status_code == 200
    return queries.by_alias


PAGES = {
    # path: queries to the global database, the customer's shard, the store's shard
    "/stores/": (2, 1, 0),
    "/orders/": (1, 3, 0),
    "/account/": (1, 5, 0),
    "/orders/{order}/": (4, 6, 2),
    "/orders/{order}/live/": (4, 6, 2),
    "/stores/{store}/": (4, 1, 5),
    "/stores/{store}/dairy/": (4, 1, 5),
    "/stores/{store}/?q=milk": (4, 1, 5),
    "/stores/{store}/items/{item}/": (4, 1, 4),
    "/stores/{store}/cart/": (3, 1, 2),
    "/stores/{store}/checkout/": (8, 3, 3),
}


@pytest.mark.parametrize("page", PAGES)
def test_pages_ask_so_often_however_much_there_is(page, market, customer):
    browser = signed_in(customer.id)
    order = make_placed_order(market=market, customer=customer, quantities={MILK: "2", BEER: "1"})
    fill_cart(customer, market)
    path = page.format(store=market.store_id, item=market.item_ids[MILK], order=order.id)
    customers, stores = sharding.alias_for("customer", customer.id), sharding.alias_for("store", market.store_id)
    expected = dict(zip(("default", customers, stores), PAGES[page], strict=True))
    expected = {alias: number for alias, number in expected.items() if number}
    assert asked(browser, path) == expected
    grow(market, customer)
    assert asked(browser, path) == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [("/stores/", (1, 0)), ("/stores/{store}/", (2, 3)), ("/sign-in/", (0, 0)), ("/demo/", (0, 0))],
)
def test_a_visitor_costs_less(page, expected, market):
    found = asked(Client(), page.format(store=market.store_id))
    store = sharding.alias_for("store", market.store_id)
    assert found == {alias: n for alias, n in zip(("default", store), expected, strict=True) if n}


@pytest.mark.parametrize("lines", [1, 30])
def test_setting_a_line_costs_the_same_in_a_full_cart(lines, market, customer):
    if lines == 30:
        grow(market, customer)
    browser = signed_in(customer.id)
    path, form = f"/stores/{market.store_id}/cart/lines/", {"item": market.item_ids[MILK]}
    browser.post(path, form | {"quantity": "4"}, headers={"HX-Request": "true"})
    with counted() as queries:
        browser.post(path, form | {"quantity": "5"}, headers={"HX-Request": "true"})
    customers, stores = sharding.alias_for("customer", customer.id), sharding.alias_for("store", market.store_id)
    assert queries.by_alias == {"default": 7, customers: 9, stores: 6}
