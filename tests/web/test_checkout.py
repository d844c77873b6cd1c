import re
from datetime import timedelta
from decimal import Decimal

import pytest

from apps.accounts import selectors as accounts
from apps.accounts import services as account_services
from apps.carts import services as carts
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common import clock, outbox
from apps.common.money import Money
from apps.orders import selectors as orders
from apps.orders import services as order_services
from apps.payments import selectors as payments
from apps.pricing import services as pricing
from tests.orders.factories import (
    ASKS,
    BEER,
    DECLINES,
    MILK,
    MORNING,
    PASSWORD,
    Customer,
    bring_to,
    fill_cart,
    make_customer,
    make_market,
    make_placed_order,
)
from tests.orders.snapshots import changed, snapshot
from tests.web.pages import alert, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def customer(market):
    customer = make_customer()
    fill_cart(customer, market)
    return customer


@pytest.fixture
def browser(customer):
    return signed_in(customer.id)


def checkout(market):
    return f"/stores/{market.store_id}/checkout/"


def form_of(page):
    """What a browser would send if nothing were touched."""
    text = page.content.decode()
    hidden = dict(re.findall(r'type="hidden" name="(key|cart_version|total)" value="([^"]*)"', text))
    chosen = re.findall(r'type="radio" name="(\w+)" value="(\d+)" checked', text)
    return hidden | dict(chosen)


def orders_of(customer):
    return orders.orders(customer_id=customer.id).orders


def test_the_page_as_it_comes_makes_an_order(browser, customer, market):
    form = form_of(browser.get(checkout(market)))
    assert set(form) == {"key", "cart_version", "total", "address", "window", "tip", "card"}
    response = browser.post(checkout(market), form)
    (order,) = orders_of(customer)
    assert (response.status_code, response["Location"]) == (302, f"/orders/{order.id}/")
    placed = orders.order(order_id=order.id, customer_id=customer.id)
    assert (placed.status, placed.tip) == ("brand_new", Money(400))
    assert str(placed.window_id) == form["window"]


def test_the_price_shown_is_the_price_of_the_order(browser, customer, market):
    page = browser.get(checkout(market), {"tip": "600", "window": market.window_ids[1]})
    shown = re.search(r'class="total">.*?<td class="num">(.*?)</td>', page.content.decode())[1]
    form = form_of(page)
    assert (form["tip"], form["window"]) == ("600", str(market.window_ids[1]))
    browser.post(checkout(market), form)
    assert str(orders_of(customer)[0].total) == shown


def test_sent_twice_it_is_one_order(browser, customer, market, provider):
    form = form_of(browser.get(checkout(market)))
    first, second = browser.post(checkout(market), form), browser.post(checkout(market), form)
    (order,) = orders_of(customer)
    assert first["Location"] == second["Location"] == f"/orders/{order.id}/"
    assert len(provider.intents_of(order.id)) == 1


def test_an_old_page_sent_with_other_wishes_says_so_and_works_afterwards(browser, customer, market):
    form = form_of(browser.get(checkout(market)))
    browser.post(checkout(market), form)
    fill_cart(customer, market)
    before = snapshot()
    page = browser.post(checkout(market), form | {"tip": "1000"})
    assert (page.status_code, alert(page)) == (
        422,
        ("idempotency_conflict", "This idempotency key was used before for another order."),
    )
    assert changed(before, snapshot()) == set()
    again = form_of(page)
    assert again["key"] != form["key"]
    assert browser.post(checkout(market), again).status_code == 302
    assert len(orders_of(customer)) == 2


def test_a_cart_that_changed_meanwhile_is_not_ordered(browser, customer, market):
    form = form_of(browser.get(checkout(market)))
    carts.set_line(
        customer_id=customer.id, store_id=market.store_id, item_id=market.item_ids[MILK], quantity=Decimal(9)
    )
    before = snapshot()
    page = browser.post(checkout(market), form)
    assert (page.status_code, alert(page)) == (409, ("cart_stale", STALE))
    assert changed(before, snapshot()) == set()
    assert browser.post(checkout(market), form_of(page)).status_code == 302


def test_a_cart_that_is_empty_by_now_says_why(browser, customer, market):
    form = form_of(browser.get(checkout(market)))
    for item_id in market.item_ids.values():
        carts.set_line(customer_id=customer.id, store_id=market.store_id, item_id=item_id, quantity=Decimal(0))
    response = browser.post(checkout(market), form)
    assert (response.status_code, response["Location"]) == (302, f"/stores/{market.store_id}/cart/")
    assert "Your cart was changed meanwhile" in browser.get(response["Location"]).content.decode()
    assert orders_of(customer) == ()


def test_without_a_cart_there_is_nothing_to_check_out(market):
    response = signed_in(make_customer().id).get(checkout(market))
    assert (response.status_code, response["Location"]) == (302, f"/stores/{market.store_id}/cart/")


STALE = "Your cart was changed meanwhile; look at it again."
NO_ID = ("not_found", "There is nothing here by that id.")
BAD_TIP = ("tip_invalid", "A tip is between $0.00 and $500.00.")
REFUSED = [
    ({"address": ""}, 404, NO_ID),
    ({"address": "x"}, 404, NO_ID),
    ({"card": ""}, 404, NO_ID),
    ({"window": ""}, 404, NO_ID),
    ({"window": "1"}, 404, ("window_not_found", "This store has no such window.")),
    ({"address": "1"}, 404, ("address_not_found", "There is no such address.")),
    ({"card": "1"}, 404, ("card_not_found", "There is no such card.")),
    ({"tip": "-1"}, 422, BAD_TIP),
    ({"tip": "99999999999"}, 422, BAD_TIP),
    ({"tip": "٣"}, 422, BAD_TIP),
    ({"cart_version": ""}, 409, ("cart_stale", STALE)),
    ({"key": "\x01"}, 422, ("idempotency_key_missing", "An idempotency key has 1 to 80 printable characters.")),
]


@pytest.mark.parametrize(("changes", "status", "refusal"), REFUSED)
def test_what_cannot_be_ordered_is_refused_and_the_page_stays_usable(
    browser, customer, market, changes, status, refusal, provider
):
    form = form_of(browser.get(checkout(market)))
    before, calls = snapshot(), list(provider.calls)
    page = browser.post(checkout(market), form | changes)
    assert (page.status_code, alert(page)) == (status, refusal)
    assert changed(before, snapshot()) == set()
    assert provider.calls == calls
    assert browser.post(checkout(market), form_of(page)).status_code == 302
    assert len(orders_of(customer)) == 1


@pytest.mark.parametrize("what", ["address", "card", "window"])
def test_what_is_somebody_elses_is_answered_like_what_is_not_there(browser, customer, market, what):
    other, elsewhere = make_customer(), make_market()
    foreign = {"address": other.address_id, "card": other.card_id, "window": elsewhere.window_ids[0]}[what]
    form = form_of(browser.get(checkout(market)))
    before = snapshot()
    absent = browser.post(checkout(market), form | {what: "1"})
    refused = browser.post(checkout(market), form | {what: str(foreign)})
    assert (refused.status_code, alert(refused)) == (absent.status_code, alert(absent)) == (404, alert(absent))
    assert changed(before, snapshot()) == set()


def test_below_the_minimum_basket(browser, customer, market):
    carts.set_line(
        customer_id=customer.id, store_id=market.store_id, item_id=market.item_ids[MILK], quantity=Decimal(1)
    )
    for code, item_id in market.item_ids.items():
        if code != MILK:
            carts.set_line(customer_id=customer.id, store_id=market.store_id, item_id=item_id, quantity=Decimal(0))
    form = form_of(browser.get(checkout(market)))
    before = snapshot()
    page = browser.post(checkout(market), form)
    code, sentence = alert(page)
    assert (page.status_code, code) == (409, "below_minimum")
    assert sentence.endswith("delivers for $5.00 and more.")
    assert changed(before, snapshot()) == set()


def test_a_window_that_closed_meanwhile(browser, customer, market):
    form = form_of(browser.get(checkout(market)))
    before = snapshot()
    with clock.shifted_to(MORNING + timedelta(hours=6)):
        page = browser.post(checkout(market), form)
    assert (page.status_code, alert(page)) == (
        409,
        ("window_closed", "This delivery window takes no orders at the moment."),
    )
    assert changed(before, snapshot()) == set()
    assert form["window"] not in re.findall(r'name="window" value="(\d+)"', page.content.decode())


def test_a_customer_without_address_and_card_is_shown_where_to_add_them(market):
    newcomer = account_services.sign_up(email="new@example.org", password=PASSWORD, name="Nora", now=MORNING)
    fill_cart(Customer(id=newcomer, address_id=0, card_id=0), market)
    page = signed_in(newcomer).get(checkout(market))
    text = page.content.decode()
    assert page.status_code == 200
    assert f"/account/?next=/stores/{market.store_id}/checkout/#addresses" in text
    assert f"/cards/add/?next=/stores/{market.store_id}/checkout/" in text
    assert '<button class="wide" disabled>Place order</button>' in text


def test_when_no_window_is_open_the_page_says_so(browser, customer, market):
    with clock.shifted_to(MORNING + timedelta(days=30)):
        text = browser.get(checkout(market)).content.decode()
    assert "No delivery window is open" in text
    assert '<button class="wide" disabled>Place order</button>' in text


def test_a_silent_provider_leaves_an_order_that_waits(browser, customer, market, provider):
    form = form_of(browser.get(checkout(market)))
    provider.is_down = True
    page = browser.get(browser.post(checkout(market), form)["Location"])
    assert orders_of(customer)[0].status == "payment_pending"
    assert page.status_code == 200


class TestTheOrdersPage:
    def place(self, market, card):
        customer = make_customer(card=card)
        fill_cart(customer, market)
        browser = signed_in(customer.id)
        return customer, browser, browser.post(checkout(market), form_of(browser.get(checkout(market))))["Location"]

    def test_the_bank_that_asks_is_one_tap_away(self, market, provider):
        customer, browser, where = self.place(market, ASKS)
        (held,) = payments.payments(customer_id=customer.id, order_id=orders_of(customer)[0].id)
        assert f'href="{held.action_url}">Confirm with your bank</a>' in browser.get(where).content.decode()
        (intent,) = provider.intents_of(orders_of(customer)[0].id)
        provider.answer_bank(intent.id, approve=True)
        order_services.resume(order_id=orders_of(customer)[0].id, now=MORNING + timedelta(minutes=1))
        assert "Confirm with your bank" not in browser.get(where).content.decode()

    def test_a_declined_card_is_told_and_costs_nothing(self, market, provider):
        _, browser, where = self.place(market, DECLINES)
        text = browser.get(where).content.decode()
        assert "Your bank declined the card. Nothing was charged; try another one." in text
        assert "Cancel this order" not in text
        assert "data-live-url" not in text
        assert provider.held_cents == provider.taken_cents == 0

    def test_a_live_order_says_where_to_listen(self, browser, customer, market, settings):
        order = make_placed_order(market=market, customer=customer)
        text = browser.get(f"/orders/{order.id}/").content.decode()
        assert f'data-live-url="{settings.WEBSOCKET_URL}/ws/orders/{order.id}/"' in text
        assert f'data-partial-url="/orders/{order.id}/live/"' in text
        assert order.pin in text
        assert "<html" not in browser.get(f"/orders/{order.id}/live/").content.decode()

    def test_cancelling_gives_everything_back_once(self, browser, customer, market, provider):
        order = make_placed_order(market=market, customer=customer)
        for _ in range(2):
            response = browser.post(f"/orders/{order.id}/cancel/")
            assert (response.status_code, response["Location"]) == (302, f"/orders/{order.id}/")
            text = browser.get(response["Location"]).content.decode()
            assert "The order is cancelled and the hold on your card is released." in text
            assert "You cancelled this order." in text
        assert orders.order_for_staff(order_id=order.id).status == "canceled"
        outbox.drain()
        assert provider.held_cents == provider.taken_cents == 0

    def test_too_late_to_cancel(self, browser, customer, market):
        order = bring_to(make_placed_order(market=market, customer=customer), "picking")
        assert "Cancel this order" not in browser.get(f"/orders/{order.id}/").content.decode()
        before = snapshot()
        response = browser.post(f"/orders/{order.id}/cancel/")
        assert 'class="notice error"' in browser.get(response["Location"]).content.decode()
        assert changed(before, snapshot()) == set()


class TestTheAccount:
    ADDRESS = {"label": "Work", "line1": "1 Broad St", "city": "Columbus", "state": "oh", "postcode": "43215"}

    def test_an_address_is_placed_by_its_zip_code_and_chosen(self, browser, customer, market):
        response = browser.post("/account/", self.ADDRESS)
        assert (response.status_code, response["Location"]) == (302, "/stores/")
        assert "Delivering to 1 Broad St" in browser.get("/stores/").content.decode()
        assert [entry.label for entry in accounts.addresses(customer_id=customer.id)][1:] == ["Work"]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"postcode": "99999"}, "No store knows this ZIP code yet, so nobody can deliver there."),
            ({"state": "Ohio"}, "The state is two letters, such as OH."),
            ({"line1": ""}, "This field is required."),
            ({"line1": "x" * 121}, "Ensure this value has at most 120 characters (it has 121)."),
        ],
    )
    def test_an_address_that_cannot_be(self, browser, market, changes, sentence):
        before = snapshot()
        page = browser.post("/account/", self.ADDRESS | changes)
        assert (page.status_code, sentence in page.content.decode()) == (200, True)
        assert changed(before, snapshot()) == set()

    def test_a_removed_address_is_gone(self, browser, customer):
        response = browser.post(f"/addresses/{customer.address_id}/remove/")
        assert (response.status_code, response["Location"]) == (302, "/account/")
        assert accounts.addresses(customer_id=customer.id) == ()
        assert browser.post(f"/addresses/{customer.address_id}/remove/").status_code == 404

    def test_a_card_comes_back_from_the_providers_page(self, browser, customer, provider):
        assert browser.get("/cards/add/?next=/orders/")["Location"] == "https://pay.example/"
        provider.finish_page("cs_1", "pm_card_mastercard")
        response = browser.get("/cards/done/?next=/orders/&session=cs_1")
        assert (response.status_code, response["Location"]) == (302, "/orders/")
        assert "Your card is ready." in browser.get("/orders/").content.decode()
        assert len(payments.cards(customer_id=customer.id)) == 2

    def test_somebody_elses_card_page_is_no_card_of_mine(self, browser, customer, provider):
        other = make_customer()
        signed_in(other.id).get("/cards/add/")
        provider.finish_page("cs_1", "pm_card_mastercard")
        before = snapshot()
        browser.get("/cards/done/?session=cs_1")
        assert changed(before, snapshot()) == set()

    def test_a_provider_that_is_away_is_said_not_shown_as_a_fault(self, browser, provider):
        provider.is_down = True
        response = browser.get("/cards/add/")
        assert (response.status_code, response["Location"]) == (302, "/account/")
        assert "The payment provider does not answer." in browser.get("/account/").content.decode()


def test_a_promotion_code_is_one_line_of_the_bill(browser, customer, market):
    pricing.add_promotion(code="SAVE", label="Spring", percent=Decimal(10), starts_at=MORNING)
    page = browser.get(checkout(market), {"promotion": "save"})
    assert re.findall(r"<td>Spring</td><td class=\"num\">(.*?)</td>", page.content.decode()) == ["-$1.95"]
    response = browser.post(checkout(market), form_of(page) | {"promotion": "save"})
    (order,) = orders_of(customer)
    assert response["Location"] == f"/orders/{order.id}/"
    shown = browser.get(f"/orders/{order.id}/").content.decode()
    assert re.findall(r"<td>Spring</td><td class=\"num\">(.*?)</td>", shown) == ["-$1.95"]


def test_a_code_that_is_none_is_said_beside_it_and_the_price_is_without_it(browser, customer, market):
    plain = form_of(browser.get(checkout(market)))["total"]
    page = browser.get(checkout(market), {"promotion": "<b>"})
    assert form_of(page)["total"] == plain
    assert 'id="promotion-error" data-code="promotion_unknown"' in page.content.decode()
    response = browser.post(checkout(market), form_of(page) | {"promotion": "<b>"})
    assert (response.status_code, orders_of(customer)) == (404, ())


def test_a_price_that_rose_while_the_page_was_open_is_shown_before_anything_is_ordered(browser, customer, market):
    form = form_of(browser.get(checkout(market)))
    pricing.set_fee(code="bag", label="Bags", flat_cents=10)
    response = browser.post(checkout(market), form)
    refused = alert(response)
    assert refused is not None
    assert (response.status_code, refused[0]) == (409, "price_changed")
    assert orders_of(customer) == ()
    assert browser.post(checkout(market), form_of(response)).status_code == 302


def test_the_age_is_asked_for_with_alcohol_only(browser, customer, market):
    assert 'name="birth_date"' not in browser.get(checkout(market)).content.decode()
    lager = FeedItem(lookup_code=BEER, name="Lager", price_cents=1099, alcoholic=True, tax_category="alcohol")
    catalog.put_item(store_id=market.store_id, item=lager, now=MORNING)
    page = browser.get(checkout(market))
    assert 'name="birth_date"' in page.content.decode()
    response = browser.post(checkout(market), form_of(page) | {"birth_date": "2010-01-01"})
    refused = alert(response)
    assert refused is not None
    assert (response.status_code, refused[0], orders_of(customer)) == (403, "under_age", ())
    assert browser.post(checkout(market), form_of(page) | {"birth_date": "1990-01-01"}).status_code == 302
