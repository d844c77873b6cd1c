"""Support and the people of a store end an order without a delivery."""

import pytest

from apps.accounts import services as accounts
from apps.common import outbox
from apps.orders import selectors as orders
from apps.orders import services
from apps.pricing import services as pricing
from tests.accounts.factories import make_customer as make_person
from tests.orders.factories import MORNING, make_placed_order
from tests.orders.shop_floor import check_out, leave
from tests.orders.snapshots import changed, snapshot
from tests.stores.factories import make_store
from tests.web.pages import Html, signed_in

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("nobody_online")]


@pytest.fixture
def order():
    return make_placed_order()


def said(client, path, data=None):
    return " ".join(Html.of(client.post(path, data or {}, follow=True)).text.split())


def found(order):
    return orders.order_for_staff(order_id=order.id)


def test_an_operator_cancels_with_a_reason(operator, order):
    path = f"/admin/orders/{order.id}/"
    assert "Cancel the order" in operator.get(path).content.decode()
    assert "The reason is one of customer_asked" in said(operator, f"{path}cancel/", {"reason": "bored"})
    assert found(order).status == "brand_new"
    assert "The order is canceled" in said(operator, f"{path}cancel/", {"reason": "no_shopper", "note": "Snow"})
    assert found(order).events[-1].data == {"reason": "no_shopper", "note": "Snow"}
    assert found(order).events[-1].actor.startswith("staff:")
    assert "Cancel the order" not in operator.get(path).content.decode()


def test_an_operator_sends_the_goods_back(operator, order, provider):
    pricing.set_ending_fee(ending="returned", flat_cents=1000)
    check_out(order)
    leave(order)
    outbox.drain()
    path = f"/admin/orders/{order.id}/"
    assert "cannot become" in said(operator, f"{path}returned/")
    assert "Noted." in said(operator, f"{path}missing/")
    assert "The order is returned" in said(operator, f"{path}returned/", {"note": "Nobody"})
    outbox.drain()
    assert (found(order).status, provider.taken_cents) == ("returned", 1000)


@pytest.mark.parametrize("what", ["cancel", "missing", "returned"])
def test_nobody_else_ends_an_order(order, what):
    clients = [signed_in(order.customer_id), signed_in(make_person())]
    before = snapshot()
    for client in clients:
        assert client.post(f"/admin/orders/{order.id}/{what}/", {"reason": "other"}).status_code in (302, 403)
    assert changed(before, snapshot()) <= {"django_session"}
    assert len(found(order).events) == 2


def test_the_people_of_a_store_cancel_its_orders_and_no_others(order):
    clerk, stranger = make_person(), make_person()
    accounts.grant_role(user_id=clerk, role="store_staff", store_id=order.store_id)
    accounts.grant_role(user_id=stranger, role="store_staff", store_id=make_store().id)
    path = f"/store/orders/{order.id}/cancel/"
    assert signed_in(stranger).post(path, {"reason": "out_of_stock"}).status_code == 403
    assert found(order).status == "brand_new"
    browser = signed_in(clerk)
    assert Html.of(browser.get("/store/")).faults == []
    assert browser.post(f"/store/orders/{order.id + (1 << 22)}/cancel/", {"reason": "other"}).status_code == 404
    assert "The order is canceled" in said(browser, path, {"reason": "out_of_stock"})
    assert found(order).events[-1].actor == f"store:{order.store_id}:{clerk}"
    services.cancel_for_customer(order_id=order.id, actor="staff:1", reason="other", now=MORNING)
    assert len(found(order).events) == 3
