"""Receipts that differed: the list, the order's page, and that looking at one ends it."""

import pytest
from django.test import Client

from apps.common import clock, outbox
from apps.fulfilment import errors
from apps.fulfilment import services as fulfilment
from apps.orders import selectors as orders
from apps.stores import services as stores
from tests.accounts.factories import make_customer as make_person
from tests.fulfilment.test_receipts import picture
from tests.orders.edits import check_out, with_shopper
from tests.orders.factories import MILK, MORNING, make_market, make_placed_order
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def order(provider):
    """Flagged: the till asked for a dollar more than two milks come to."""
    with clock.shifted_to(MORNING):
        market = make_market()
        stores.set_receipt_check(store_id=market.store_id, is_on=True)
        order = make_placed_order(market=market, quantities={MILK: "2"})
        mine = with_shopper(order)
        check_out(order, mine)
        with pytest.raises(errors.ReceiptDiffers):
            fulfilment.enter_receipt(**mine, total_cents=798, attempt=1, photo=picture())
        fulfilment.enter_receipt(**mine, total_cents=798, attempt=2)
        outbox.drain()
        yield order


def test_a_flagged_order_is_listed_until_somebody_has_looked(operator, order):
    assert orders.order_for_staff(order_id=order.id).status == "bags_check"
    page = operator.get("/admin/receipts/").content.decode()
    for text in (str(order.id), "$7.98", "$6.98"):
        assert text in page
    page = operator.get(f"/admin/orders/{order.id}/").content.decode()
    for text in ("flagged", "$7.98", "$6.98", "I have looked at it", "photo"):
        assert text in page
    photo = operator.get(f"/admin/orders/{order.id}/receipt/")
    assert (photo.content, photo["Content-Type"]) == (picture(), "image/png")
    done = operator.post(f"/admin/orders/{order.id}/receipt/seen/", {"next": "order"}, follow=True)
    assert done.redirect_chain == [(f"/admin/orders/{order.id}/", 302)]
    assert "I have looked at it" not in done.content.decode()
    assert str(order.id) not in operator.get("/admin/receipts/").content.decode()


def test_nobody_else_sees_them(order):
    for path in ("/admin/receipts/", f"/admin/orders/{order.id}/receipt/"):
        assert Client().get(path).status_code == 302
        assert signed_in(make_person()).get(path).status_code in (302, 403)
    stranger = signed_in(make_person()).post(f"/admin/orders/{order.id}/receipt/seen/")
    assert stranger.status_code in (302, 403)
    assert fulfilment.see_receipt(store_id=order.store_id, order_id=order.id, user_id=1, now=MORNING) is True


def test_an_order_without_a_photo_has_none(operator):
    assert operator.get("/admin/orders/4711/receipt/").status_code == 404
