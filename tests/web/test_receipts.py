"""The receipt's page: what it says, to whom, and what is shown instead while there is none."""

from decimal import Decimal

import pytest
from django.test import Client

from apps.common import clock, outbox
from apps.orders import models, selectors, services
from apps.orders.types import RefundLine
from apps.web import receipts
from tests.orders.factories import bring_to, make_customer, make_market, make_placed_order
from tests.queries import counted
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def delivered():
    order = make_placed_order()
    ids = {line.name: line.id for line in order.lines}
    order = bring_to(order, "delivered", found={ids["Bananas"]: "2.25", ids["Root beer, 6 bottles"]: "0"})
    outbox.drain()
    return order


def path(order):
    return f"/orders/{order.id}/receipt/"


def page(order):
    response = signed_in(order.customer_id).get(path(order))
    assert response.status_code == 200
    return Html.of(response)


def test_it_says_what_was_ordered_delivered_and_paid(delivered):
    shown = page(delivered)
    assert (shown.faults, shown.h1) == ([], 1)
    text = " ".join(shown.text.split())
    for said in (
        "Bananas Found in part by your shopper 2.5 lb → 2.25 lb $0.59/lb $1.33",
        "Whole milk Found by your shopper 2 $3.49 $6.98",
        "Root beer, 6 bottles Not found by your shopper, not charged 1 → 0 $10.99 $0.00",
        "Items together $8.31",
        f"Total {delivered.total}",
        f"Your order Visa ending in 4242. Set aside by your bank: {delivered.authorised} {delivered.total}",
        f"Charged {delivered.total}",
        "20 Spring Street",
        "Monday 2 March 2026, 10:00 AM EST",
        "Delivered Monday 2 March 2026, 10:25 AM EST",
    ):
        assert said in text, text
    for missing in ("Refunds", "Still to be charged"):
        assert missing not in text


def test_refunds_are_there_with_their_reasons(delivered):
    milk = next(line for line in delivered.lines if line.name == "Whole milk")
    wanted = [RefundLine(line_id=milk.id, quantity=Decimal(1))]
    services.refund(order_id=delivered.id, key="1", reason="damaged", actor="staff:5", now=clock.now(), lines=wanted)
    outbox.drain()
    text = " ".join(page(delivered).text.split())
    kept = delivered.total.cents - 349
    assert (
        "Damaged sent to your card · our support -$3.49 Given back $3.49 "
        f"You paid in the end ${kept // 100}.{kept % 100:02}"
    ) in text


def test_before_the_delivery_and_where_cents_are_missing_the_orders_page_says_so(delivered, caplog):
    placed = make_placed_order()
    response = signed_in(placed.customer_id).get(path(placed), follow=True)
    assert response.redirect_chain == [(f"/orders/{placed.id}/", 302)]
    assert "There is a receipt once the order is delivered." in response.content.decode()
    models.OrderAdjustment.objects.filter(order_id=delivered.id, phase="final", kind="tip").delete()
    response = signed_in(delivered.customer_id).get(path(delivered), follow=True)
    assert response.redirect_chain == [(f"/orders/{delivered.id}/", 302)]
    assert "This receipt is being checked" in response.content.decode()
    assert "orders.receipt_inconsistent" in caplog.text


def test_it_is_for_its_customer_only(delivered):
    assert signed_in(make_customer().id).get(path(delivered)).status_code == 404
    response = Client().get(path(delivered))
    assert (response.status_code, response.url) == (302, f"/sign-in/?next={path(delivered)}")


def test_the_orders_page_leads_there_once_it_is_delivered(delivered):
    placed = make_placed_order(market=make_market())
    assert path(delivered) in signed_in(delivered.customer_id).get(f"/orders/{delivered.id}/").content.decode()
    assert path(placed) not in signed_in(placed.customer_id).get(f"/orders/{placed.id}/").content.decode()


def test_nine_queries_on_the_customers_shard(delivered):
    client = signed_in(delivered.customer_id)
    client.get(path(delivered))
    with counted() as queries:
        client.get(path(delivered))
    assert sorted(queries.by_alias.values()) == [2, 9]  # the user and the store; the receipt


@pytest.mark.parametrize("language", ["en", "es"])
def test_in_each_language_the_same_cents(delivered, language):
    receipt = selectors.receipt(order_id=delivered.id, customer_id=delivered.customer_id)
    shown = receipts.shown(receipt, language)
    charged = [entry.amount.cents for section in shown.sections for entry in section.entries]
    assert shown.items.cents + sum(charged) == receipt.total.cents
    assert sum(line.amount.cents for line in shown.lines) == shown.items.cents == 831
    assert shown.kept == receipt.captured
    titles = {
        "en": ("Fees", "Found in part by your shopper"),
        "es": ("Cargos", "Encontrado en parte por tu comprador"),
    }[language]
    assert (shown.sections[0].title, shown.lines[0].outcome) == titles
    assert receipts.TEXTS["en"].keys() == receipts.TEXTS["es"].keys()
