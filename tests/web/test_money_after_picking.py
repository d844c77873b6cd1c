"""The order's page: what canceling costs, and the tip after the delivery."""

from datetime import timedelta

import pytest

from apps.common import clock, outbox
from apps.common.money import Money
from apps.orders import models, services
from apps.orders import selectors as orders
from apps.payments import services as payments
from apps.pricing import services as pricing
from tests.orders.factories import MORNING, bring_to, make_market, make_placed_order
from tests.orders.shop_floor import take
from tests.orders.snapshots import changed, snapshot
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def order():
    return make_placed_order(market=make_market())


@pytest.fixture
def browser(order):
    return signed_in(order.customer_id)


@pytest.fixture
def delivered(order):
    found = bring_to(order, "delivered")
    outbox.drain()
    return found


def page(browser, order):
    response = browser.get(f"/orders/{order.id}/")
    shown = Html.of(response)
    assert shown.faults == []
    return " ".join(shown.text.split())


def post(browser, order, path, data):
    response = browser.post(f"/orders/{order.id}/{path}/", data, follow=True)
    assert response.redirect_chain == [(f"/orders/{order.id}/", 302)]
    return " ".join(Html.of(response).text.split())


def tip_of(order):
    return orders.order_for_staff(order_id=order.id).tip


class TestCanceling:
    @pytest.fixture(autouse=True)
    def fee(self):
        pricing.set_ending_fee(ending="acknowledged", flat_cents=500)

    def test_what_it_costs_is_said_before(self, browser, order):
        assert "It costs nothing, and the hold on your card is released." in page(browser, order)
        take(order)
        outbox.drain()
        assert "Canceling it now costs $5.00" in page(browser, order)
        assert "Cancel and pay $5.00" in page(browser, order)

    def test_who_saw_the_fee_pays_it(self, browser, order, provider):
        take(order)
        outbox.drain()
        text = post(browser, order, "cancel", {"fee": "500"})
        assert "You cancelled this order. $5.00 of the hold on your card is charged, the rest released." in text
        outbox.drain()
        assert provider.taken_cents == 500

    @pytest.mark.parametrize("seen", [{}, {"fee": "0"}, {"fee": "-1"}, {"fee": "x"}, {"fee": "499"}])
    def test_who_saw_less_has_canceled_nothing_and_is_told(self, browser, order, seen):
        take(order)
        outbox.drain()
        before = snapshot()
        text = post(browser, order, "cancel", seen)
        assert "canceling it costs $5.00 now. Nothing was canceled yet." in text
        assert changed(before, snapshot()) == set()

    def test_a_cancel_by_the_store_is_not_said_to_be_theirs(self, browser, order):
        services.cancel_for_customer(order_id=order.id, actor="store:1:2", reason="store_closed", now=MORNING)
        assert "We had to cancel this order, and we are sorry." in page(browser, order)


class TestTips:
    def test_there_is_no_tip_to_change_before_the_delivery(self, browser, order):
        assert "Change my tip" not in page(browser, order)
        assert "You can change the tip once the order is delivered" in post(browser, order, "tip", {"to": "$8.00"})

    def test_presets_are_percentages_of_what_the_order_came_to(self, browser, delivered):
        text = page(browser, delivered)
        assert "$3.00 for your shopper, who gets all of it." in text
        assert "20 % · $4.80" in text
        assert "5 % ·" not in text.replace("15 % ·", "")  # less than the tip is
        assert "Up to $50.00." in text

    @pytest.mark.parametrize(
        ("sent", "cents"), [({"to": "$4.80", "own": "9"}, 480), ({"own": "7"}, 700), ({"own": "7.50"}, 750)]
    )
    def test_it_is_raised_by_a_preset_or_an_amount_of_their_own(self, browser, delivered, provider, sent, cents):
        before = provider.taken_cents
        assert "Thank you. Your shopper gets all of it." in post(browser, delivered, "tip", sent)
        assert "Thank you." in post(browser, delivered, "tip", sent)
        assert (tip_of(delivered), provider.taken_cents) == (Money(cents), before + cents - 300)
        assert "Tip, added later" in page(browser, delivered)

    @pytest.mark.parametrize("own", ["", "x", "7,50", "7.5", "-3", "1e3", "99999", "\u0663"])
    def test_what_is_no_amount_is_said_to_be_none(self, browser, delivered, own):
        assert "Say the whole tip in dollars, such as 7 or 7.50." in post(browser, delivered, "tip", {"own": own})
        assert tip_of(delivered) == Money(300)

    def test_what_it_was_from_the_beginning_costs_nothing(self, browser, delivered, provider):
        before = provider.taken_cents
        assert "Your tip was that much already." in post(browser, delivered, "tip", {"own": "3.00"})
        assert provider.taken_cents == before

    def test_limits_are_said(self, browser, delivered):
        assert "For this order a tip can be $50.00 at most." in post(browser, delivered, "tip", {"own": "50.01"})
        assert "A tip goes down only for a problem with the order" in post(browser, delivered, "tip", {"own": "1"})
        assert tip_of(delivered) == Money(300)

    def test_a_declined_card_is_said_and_another_one_offered(self, browser, delivered):
        bad = payments.add_card(
            customer_id=delivered.customer_id, payment_method="pm_card_chargeCustomerFail", now=MORNING
        )
        assert "Your tip was not changed." in post(browser, delivered, "tip", {"own": "7", "card": str(bad)})
        text = page(browser, delivered)
        assert "Your bank declined the card. Nothing was charged; try another card." in text
        assert text.count("ending in") == 2
        assert tip_of(delivered) == Money(300)

    def test_a_silent_bank_is_said(self, browser, delivered, provider):
        provider.fail_next("charge")
        assert "Your bank has not answered yet" in post(browser, delivered, "tip", {"own": "7"})
        assert "Your tip is being charged." in page(browser, delivered)

    def test_after_three_days_it_stays_as_it_is(self, browser, delivered):
        models.Order.objects.filter(pk=delivered.id).update(delivered_at=clock.now() - timedelta(hours=72, seconds=1))
        assert "The time to change it is over." in page(browser, delivered)


def test_a_customer_whose_payment_waits_is_told_at_once(browser, order):
    models.Order.objects.filter(pk=order.id).update(status="payment_pending")
    text = page(browser, order)
    assert "Waiting for the payment provider" in text
    assert "nothing was charged, and no shopper is sent before your card is held" in text
