"""Statements as pages and as CSV: operators see everybody's, a store's staff only their own."""

import csv
import io
from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client

from apps.accounts import services as accounts
from apps.common import outbox
from apps.common.money import Money
from apps.payments import services as payments
from apps.shoppers import services as shoppers
from apps.stores import selectors as stores
from tests.accounts.factories import make_customer as make_person
from tests.orders.factories import MORNING, bring_to, make_customer, make_market, make_placed_order
from tests.shoppers.factories import make_shopper
from tests.web.pages import Html, signed_in

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

WEEK = "?period=week&day=2026-03-04"


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    found = bring_to(make_placed_order(market=market, customer=make_customer()), "delivered")
    outbox.drain()
    return found


@pytest.fixture
def clerk(market):
    user_id = make_person()
    accounts.grant_role(user_id=user_id, role="store_staff", store_id=market.store_id)
    return signed_in(user_id)


def pay_out(provider, kind, party_id):
    provider.available_cents = 100_000
    account = payments.open_account(party_kind=kind, party_id=party_id, now=MORNING)
    provider.decide(account.account_id, "enabled")
    payments.refresh_account(party_kind=kind, party_id=party_id, now=MORNING)
    at = MORNING + timedelta(days=1)
    assert payments.pay_out(day=at.date(), now=at) == 1


def rows(response):
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_a_stores_statement_says_the_same_on_the_page_and_in_the_file(operator, clerk, market, order, provider):
    pay_out(provider, "store", market.store_id)
    goods = 148 + 698 + 1_099
    commission = (goods * 15 + 50) // 100
    owed = goods - commission + 60
    for browser, path in (
        (operator, f"/admin/statements/store/{market.store_id}/"),
        (clerk, f"/store/{market.store_id}/statement/"),
    ):
        page = browser.get(path + WEEK)
        assert page.status_code == 200
        text = " ".join(Html.of(page).text.split())
        assert f"Goods ${goods / 100:.2f} Commission -${commission / 100:.2f} Deposits $0.60" in text
        assert f"Together ${owed / 100:.2f} Transferred -${owed / 100:.2f} Owed when it ends $0.00" in text
        assert str(order.id) in text
        assert "tr_1" in text
        found = rows(browser.get(f"{path}csv/{WEEK}"))
        assert [row["what"] for row in found] == ["opening balance", "order", "transfer", "closing balance"]
        assert found[1]["id"] == str(order.id)
        assert (found[1]["goods"], found[1]["commission"]) == (f"{goods / 100:.2f}", f"-{commission / 100:.2f}")
        assert found[1]["balance_change"] == f"{owed / 100:.2f}"
        assert (found[2]["balance_change"], found[2]["for"]) == (f"-{owed / 100:.2f}", "tr_1")
        assert (found[0]["balance_change"], found[3]["balance_change"]) == ("0.00", "0.00")
    assert Html.of(clerk.get(f"/store/{market.store_id}/statement/{WEEK}")).faults == []


def test_staff_see_only_their_stores(clerk, market, order):
    other = make_market()
    for path in ("statement/", "statement/csv/"):
        assert clerk.get(f"/store/{other.store_id}/{path}").status_code == 403
        assert Client().get(f"/store/{market.store_id}/{path}").status_code == 302
        assert signed_in(make_person()).get(f"/store/{market.store_id}/{path}").status_code == 403
    for path in ("", f"store/{market.store_id}/", f"store/{market.store_id}/csv/"):
        assert clerk.get(f"/admin/statements/{path}").status_code == 302
    assert f"/store/{market.store_id}/statement/" in clerk.get("/store/").content.decode()


def test_staff_of_the_admin_who_run_nothing_see_nothing(market):
    user_id = make_person()
    accounts.make_staff(user_id=user_id)
    for path in ("", f"store/{market.store_id}/", f"store/{market.store_id}/csv/"):
        assert signed_in(user_id).get(f"/admin/statements/{path}").status_code == 403


def test_a_shoppers_statement(operator, provider):
    shopper = make_shopper(1, online=False)
    shoppers.earn(shopper_id=shopper, batch_id=77, order_id=None, kind="batch_pay", amount=Money(725), now=MORNING)
    pay_out(provider, "shopper", shopper)
    page = operator.get(f"/admin/statements/shopper/{shopper}/{WEEK}")
    text = " ".join(Html.of(page).text.split())
    assert "Batch pay $7.25 Peak pay $0.00 Tips $0.00 Together $7.25 Transferred -$7.25 Owed when it ends $0.00" in text
    found = rows(operator.get(f"/admin/statements/shopper/{shopper}/csv/{WEEK}"))
    assert [(row["what"], row["balance_change"]) for row in found] == [
        ("opening balance", "0.00"),
        ("batch", "7.25"),
        ("transfer", "-7.25"),
        ("closing balance", "0.00"),
    ]
    assert f"/admin/statements/shopper/{shopper}/" in operator.get(f"/admin/shoppers/{shopper}/").content.decode()


def test_the_form_finds_stores_and_shoppers(operator, market):
    shopper = make_shopper(1, online=False)
    code = stores.store(store_id=market.store_id).code
    for kind, who, number in (
        ("store", code.upper(), market.store_id),
        ("store", str(market.store_id), market.store_id),
        ("shopper", str(shopper), shopper),
    ):
        answer = operator.get("/admin/statements/", {"kind": kind, "who": who})
        assert (answer.status_code, answer.url) == (302, f"/admin/statements/{kind}/{number}/")
    answer = operator.get("/admin/statements/", {"kind": "shopper", "who": "nobody@example.com"})
    assert answer.status_code == 404
    assert "nobody@example.com is no shopper we know." in answer.content.decode()
    assert operator.get("/admin/statements/").status_code == 200


@pytest.mark.parametrize("query", ["?period=year", "?day=yesterday", "?day=0001-01-01", "?after=x"])
def test_what_is_no_period_or_page_is_not_found(operator, market, query):
    assert operator.get(f"/admin/statements/store/{market.store_id}/{query}").status_code == 404


@pytest.mark.parametrize("path", ["store/999999/", "shopper/999999/", "store/999999/csv/"])
def test_who_does_not_exist_has_none(operator, path):
    assert operator.get(f"/admin/statements/{path}").status_code == 404


def test_a_name_is_no_formula_to_a_spreadsheet(operator, market, order, monkeypatch):
    known = stores.store(store_id=market.store_id)
    monkeypatch.setattr(stores, "store", lambda *, store_id: replace(known, name='=HYPERLINK("http://x")'))
    found = rows(operator.get(f"/admin/statements/store/{market.store_id}/csv/{WEEK}"))
    assert found[0]["for"] == '\'=HYPERLINK("http://x")'
    for row in found:
        assert not any(cell.startswith(("=", "+", "@")) for cell in row.values())


def test_nothing_happened_is_said(operator, market):
    page = operator.get(f"/admin/statements/store/{market.store_id}/?period=day&day=2020-02-29").content.decode()
    assert "Nothing happened in this time." in page
    assert "Nothing was transferred in this time." in page
