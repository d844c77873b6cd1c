"""Operators look at what moved money: read only, over all shards."""

from decimal import Decimal

import pytest
from django.test import Client

import sharding
from apps.accounts import services as accounts
from apps.common import outbox
from apps.ledger import models as ledger
from apps.orders import services as orders
from apps.orders.types import RefundLine
from apps.payments import models, services
from tests.accounts.factories import make_staff
from tests.orders.factories import MORNING, bring_to, make_customer, make_market, make_placed_order
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

PAGES = ("payments/payment", "payments/refund", "payments/dispute", "ledger/ledgerentry")
GLOBAL = ("payments/payoutaccount", "payments/transfer", "payments/stripeevent", "ledger/partyentry")


@pytest.fixture
def two_orders(provider):
    """Delivered, paid and in part given back, by customers of two shards; a store that was paid."""
    market = make_market()
    found = []
    while len({sharding.alias_of_id("customer", order.id) for order in found}) < 2:
        order = make_placed_order(market=market, customer=make_customer())
        bring_to(order, "delivered")
        outbox.drain()
        line = RefundLine(line_id=order.lines[1].id, quantity=Decimal(1))
        orders.refund(order_id=order.id, key="k", reason="missing", actor="staff:1", now=MORNING, lines=[line])
        outbox.drain()
        found.append(order)
    provider.available_cents = 100_000
    account = services.open_account(party_kind="store", party_id=market.store_id, now=MORNING)
    provider.decide(account.account_id, "enabled")
    services.refresh_account(party_kind="store", party_id=market.store_id, now=MORNING)
    services.pay_out(day=MORNING.date(), now=MORNING.replace(year=2027))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_list_holds_the_rows_of_all_shards_and_finds_those_of_an_order(operator, two_orders, page):
    listed = operator.get(f"/admin/{page}/")
    assert listed.status_code == 200
    if page != "payments/dispute":
        for order in two_orders:
            assert f"/admin/orders/{order.id}/" in listed.content.decode()
    first, second = two_orders[0], two_orders[-1]
    only = operator.get(f"/admin/{page}/", {"q": str(first.id)}).content.decode()
    assert (f"/admin/orders/{first.id}/" in only) is (page != "payments/dispute")
    assert f"/admin/orders/{second.id}/" not in only
    assert operator.get(f"/admin/{page}/", {"q": "nothing like it"}).status_code == 200


@pytest.mark.parametrize("page", GLOBAL)
def test_a_list_of_what_is_global(operator, two_orders, page):
    assert operator.get(f"/admin/{page}/").status_code == 200
    assert operator.get(f"/admin/{page}/", {"q": "7"}).status_code == 200


def test_a_row_is_shown_and_cannot_be_changed(operator, two_orders):
    entry = ledger.LedgerEntry.objects.filter(customer_id=two_orders[0].customer_id).first()
    payment = models.Payment.objects.filter(customer_id=two_orders[0].customer_id).first()
    refund = models.Refund.objects.filter(customer_id=two_orders[0].customer_id).first()
    for page, row in (("ledger/ledgerentry", entry), ("payments/payment", payment), ("payments/refund", refund)):
        shown = operator.get(f"/admin/{page}/{row.pk}/change/")
        assert shown.status_code == 200
        assert 'name="_save"' not in shown.content.decode()
        assert operator.post(f"/admin/{page}/{row.pk}/change/", {"amount_cents": "1"}).status_code == 403
        assert operator.post(f"/admin/{page}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
        assert operator.get(f"/admin/{page}/add/").status_code == 403


def test_filters_and_the_next_page(operator, two_orders):
    assert operator.get("/admin/payments/payment/", {"status__exact": "captured"}).status_code == 200
    assert operator.get("/admin/ledger/ledgerentry/", {"cause__exact": "sold", "p": "1"}).status_code == 200


@pytest.mark.parametrize("page", [*PAGES, *GLOBAL])
def test_staff_of_one_store_do_not_see_everybodys_money(page, two_orders):
    user_id = make_staff(email="picker@example.com")
    accounts.grant_role(user_id=user_id, role="store_manager", store_id=two_orders[0].store_id)
    client: Client = signed_in(user_id)
    assert client.get(f"/admin/{page}/").status_code in (302, 403)
