"""Setting a line of the cart, by htmx (a part of the page comes back) and without (the page is loaded again)."""

from decimal import Decimal

import pytest
from django.test import Client

from apps.carts import selectors, services
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from tests.orders.factories import BANANAS, BEER, MILK, MORNING, fill_cart, make_customer, make_market
from tests.orders.snapshots import changed, snapshot
from tests.web.pages import Html, alert, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")

HTMX = {"HX-Request": "true"}
NUMBER = "The quantity must be between 0 and 99."
WHOLE = "This is sold by the piece: give a whole number."


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def browser(customer):
    return signed_in(customer.id)


def lines_of(customer, market):
    cart = selectors.cart(customer_id=customer.id, store_id=market.store_id)
    return {line.name: (line.quantity, line.note, line.replacement_policy) for line in cart.lines}


def set_line(browser, market, code, quantity, *, headers=None, **fields):
    form = {"item": market.item_ids[code], "quantity": quantity, **fields}
    return browser.post(f"/stores/{market.store_id}/cart/lines/", form, headers=headers)


@pytest.mark.parametrize(
    ("code", "typed", "meant"),
    [
        (MILK, "2", "2"),
        (MILK, " 2.0 ", "2"),
        (BANANAS, "2.5", "2.5"),
        (BANANAS, "2,5", "2.5"),
        (BANANAS, ".75", "0.75"),
        (BANANAS, "1.", "1"),
        (BANANAS, "0.001", "0.001"),
    ],
)
def test_a_quantity_as_people_type_it(browser, customer, market, code, typed, meant):
    set_line(browser, market, code, typed)
    assert [quantity for quantity, _, _ in lines_of(customer, market).values()] == [Decimal(meant)]


def code_of(sentence):
    return "quantity_not_whole" if sentence == WHOLE else "quantity_out_of_range"


BAD = [
    (MILK, "-1", NUMBER),
    (MILK, "NaN", NUMBER),
    (MILK, "sNaN", NUMBER),
    (MILK, "Infinity", NUMBER),
    (MILK, "1e9", NUMBER),
    (MILK, "1e1", NUMBER),
    (MILK, "1_0", NUMBER),
    (MILK, "٣", NUMBER),
    (MILK, "two", NUMBER),
    (MILK, "", NUMBER),
    (MILK, ".", NUMBER),
    (MILK, "1.2.3", NUMBER),
    (MILK, "100", NUMBER),
    (MILK, "9" * 4000, NUMBER),
    (MILK, "0.5", WHOLE),
    (BANANAS, "0.0001", "A weight has at most 3 decimals."),
    (MILK, "99.001", NUMBER),
]


@pytest.mark.parametrize(("code", "typed", "sentence"), BAD)
def test_a_quantity_that_cannot_be_is_refused_beside_its_field(browser, customer, market, code, typed, sentence):
    fill_cart(customer, market)
    before = snapshot()
    response = set_line(browser, market, code, typed, headers=HTMX)
    assert response.status_code == 200
    assert alert(response) == (code_of(sentence), sentence)
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize(("code", "typed", "sentence"), BAD)
def test_without_htmx_the_next_page_says_it(browser, customer, market, code, typed, sentence):
    fill_cart(customer, market)
    before = snapshot()
    response = set_line(browser, market, code, typed, next="cart")
    assert (response.status_code, response["Location"]) == (302, f"/stores/{market.store_id}/cart/")
    assert sentence in browser.get(response["Location"]).content.decode()
    assert sentence not in browser.get(response["Location"]).content.decode()  # once
    assert changed(before, snapshot()) == set()


def test_htmx_gets_the_stepper_and_the_cart_bar(browser, customer, market):
    response = set_line(browser, market, MILK, "3", headers=HTMX)
    text = response.content.decode()
    assert "In cart ✓" in text
    assert 'id="cartbar" hx-swap-oob="true"' in text
    assert "$10.47" in text
    assert "<html" not in text
    assert Html.of(response).faults == []
    assert lines_of(customer, market) == {"Whole milk": (Decimal(3), "", "best_match")}


def test_zero_takes_it_out(browser, customer, market):
    fill_cart(customer, market, {MILK: "2"})
    response = set_line(browser, market, MILK, "0", headers=HTMX)
    assert lines_of(customer, market) == {}
    assert "In cart" not in response.content.decode()
    assert '<div class="cartbar" id="cartbar" hx-swap-oob="true" hidden>' in response.content.decode()


def test_note_and_replacement_survive_a_change_from_the_shelf(browser, customer, market):
    set_line(browser, market, MILK, "2", note="The blue one", replacement_policy="refund", next="cart")
    set_line(browser, market, MILK, "3", headers=HTMX)
    assert lines_of(customer, market) == {"Whole milk": (Decimal(3), "The blue one", "refund")}
    set_line(browser, market, MILK, "3", note="", replacement_policy="best_match")
    assert lines_of(customer, market) == {"Whole milk": (Decimal(3), "", "best_match")}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"note": "x" * 201}, "A note has at most 200 characters."),
        ({"replacement_policy": "anything"}, "A replacement is best_match, item or refund."),
    ],
)
def test_wishes_that_cannot_be(browser, customer, market, fields, sentence):
    before = snapshot()
    assert sentence in set_line(browser, market, MILK, "1", headers=HTMX, **fields).content.decode()
    assert changed(before, snapshot()) == set()


def test_what_the_store_has_given_up_is_refused(browser, customer, market):
    gone = FeedItem(lookup_code=MILK, name="Whole milk", price_cents=349, department="Dairy", available=False)
    catalog.put_item(store_id=market.store_id, item=gone, now=MORNING)
    before = snapshot()
    response = set_line(browser, market, MILK, "1", headers=HTMX)
    assert response.status_code == 200
    assert alert(response) == ("not_sold_here", "This store does not sell that.")
    assert changed(before, snapshot()) == set()


def test_an_item_of_another_store_cannot_be_put_in(browser, customer, market):
    other = make_market()
    before = snapshot()
    for item in (other.item_ids[MILK], 1, 2**63 - 1):
        form = {"item": item, "quantity": "1"}
        assert browser.post(f"/stores/{market.store_id}/cart/lines/", form, headers=HTMX).status_code == 404
        response = browser.post(f"/stores/{market.store_id}/cart/lines/", form)
        assert "This store does not sell that." in browser.get(response["Location"]).content.decode()
    for item in ("", "x", "-1", "9" * 40, "٣"):
        form = {"item": item, "quantity": "1"}
        assert browser.post(f"/stores/{market.store_id}/cart/lines/", form).status_code == 404
    assert changed(before, snapshot()) == set()


def test_a_visitor_is_led_to_sign_in_and_back_to_the_store(market):
    before, where = snapshot(), f"/sign-in/?next=/stores/{market.store_id}/"
    response = set_line(Client(), market, MILK, "1")
    assert (response.status_code, response["Location"]) == (302, where)
    assert set_line(Client(), market, MILK, "1", headers=HTMX)["HX-Redirect"] == where
    assert changed(before, snapshot()) == set()


def test_the_cart_page_says_what_is_missing_for_a_delivery(browser, customer, market):
    services.set_line(
        customer_id=customer.id, store_id=market.store_id, item_id=market.item_ids[MILK], quantity=Decimal(1)
    )
    text = browser.get(f"/stores/{market.store_id}/cart/").content.decode()
    assert "Add $1.51 more" in text
    assert '<button class="wide" disabled>Check out</button>' in text
    set_line(browser, market, MILK, "2")
    text = browser.get(f"/stores/{market.store_id}/cart/").content.decode()
    assert "more:" not in text
    assert f'href="/stores/{market.store_id}/checkout/"' in text


def test_carts_are_not_shared(browser, customer, market):
    fill_cart(customer, market)
    other = signed_in(make_customer().id)
    assert "Nothing in it yet" in other.get(f"/stores/{market.store_id}/cart/").content.decode()
    assert "Whole milk" in browser.get(f"/stores/{market.store_id}/cart/").content.decode()


def test_pieces_stay_pieces_and_a_replacement_stays_when_the_line_is_changed(browser, customer, market):
    bananas = FeedItem(lookup_code=BANANAS, name="Bananas", price_cents=59, cost_unit="lb", par_weight=Decimal("0.4"))
    catalog.put_item(store_id=market.store_id, item=bananas, now=MORNING)
    set_line(browser, market, BANANAS, "5", unit="piece")
    services.set_line(
        customer_id=customer.id,
        store_id=market.store_id,
        item_id=market.item_ids[MILK],
        quantity=Decimal(1),
        replacement_policy="item",
        replacement_item_id=market.item_ids[BEER],
    )
    page = browser.get(f"/stores/{market.store_id}/cart/").content.decode()
    assert "pieces, about 2 lb" in page
    assert '<option value="item" selected>If out: Root beer, 6 bottles</option>' in page
    set_line(browser, market, MILK, "2", note="", replacement_policy="item")
    set_line(browser, market, BANANAS, "10", unit="piece", note="", replacement_policy="best_match")
    assert lines_of(customer, market) == {
        "Bananas": (Decimal(4), "", "best_match"),
        "Whole milk": (Decimal(2), "", "item"),
    }


def test_a_price_that_changed_is_said_in_the_cart(browser, customer, market):
    set_line(browser, market, MILK, "1")
    milk = FeedItem(lookup_code=MILK, name="Whole milk", price_cents=399, department="Dairy")
    catalog.put_item(store_id=market.store_id, item=milk, now=MORNING)
    page = browser.get(f"/stores/{market.store_id}/cart/").content.decode()
    assert "Was $3.49 when you put it in" in page
