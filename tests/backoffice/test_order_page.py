"""One order before the eyes of an operator, and of nobody else."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

import sharding
from apps.accounts import services as accounts
from apps.common import clock, outbox
from apps.common.money import Money
from apps.dispatch import selectors as dispatch
from apps.dispatch import services as dispatch_services
from apps.fulfilment import services as fulfilment
from apps.fulfilment.types import ProofInput
from apps.orders import selectors as orders
from apps.stores import selectors as stores
from tests.accounts.factories import make_customer as make_person
from tests.accounts.factories import make_staff
from tests.orders.factories import DECLINES, MORNING, make_customer, make_market, make_placed_order, make_ready
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.web.pages import Html, signed_in

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("nobody_online")]


def deliver(order):
    """Let a shopper take, pick and bring the order: the bananas heavier than ordered, the root beer sold out."""
    zone_id = stores.store(store_id=order.store_id).zone_id
    shopper = make_shopper(zone_id, now=MORNING)
    dispatch_services.plan(zone_id=zone_id, now=MORNING)
    (offer,) = dispatch.offers_of(shopper_id=shopper, now=MORNING)
    dispatch_services.accept(offer_id=offer.id, shopper_id=shopper, now=MORNING)
    outbox.drain()
    (entry,) = dispatch.current_batch(shopper_id=shopper).orders
    mine = {"store_order_id": entry.order.id, "shopper_id": shopper, "now": MORNING + timedelta(minutes=5)}
    fulfilment.start_picking(**mine)
    for line in entry.order.lines:
        if line.name.startswith("Root beer"):
            fulfilment.mark_refund(**mine, line_id=line.id, reason="other")
        else:
            more = Decimal("0.25") if line.sold_by == "weight" else 0
            fulfilment.mark_found(**mine, line_id=line.id, quantity=line.quantity + more)
    fulfilment.check_out(**mine)
    fulfilment.start_delivery(**mine)
    fulfilment.deliver(**mine, proof=ProofInput(kind="pin", pin=order.pin))
    outbox.drain()
    return shopper, offer


def test_a_delivered_order_shows_everything_about_it(operator):
    order = make_placed_order()
    shopper, offer = deliver(order)
    done = orders.order_for_staff(order_id=order.id)
    response = operator.get(f"/admin/orders/{order.id}/")
    text = " ".join(Html.of(response).text.split())
    assert response.status_code == 200
    # who, where, when
    assert f"Order {order.id}" in text
    assert f"(no. {order.customer_id})" in text
    assert "Deliver to 20 Spring Street, Columbus 43215" in text
    # lines: ordered and found
    for line in ("Bananas 1 2.5 lb 2.75 $0.59 found", "Whole milk 7 2 each 2 $3.49 found", "to_refund"):
        assert line in text
    # money: every line of the receipt, and its sum
    final = [entry for entry in done.adjustments if entry.phase == "final"]
    for entry in final:
        assert f"{entry.label} {entry.reason}".strip() in text
    assert Money.total(entry.amount for entry in final) == done.total == done.captured
    assert f"Final total {done.total}" in text
    assert f"The estimate was {done.estimate}." in text
    # what the customer was told
    for kind in ("order_placed", "order_on_the_way", "order_delivered"):
        assert f"{kind} queued" in text
    # payment
    assert f"captured Authorised {done.authorised} Captured {done.captured}" in text
    # batch
    assert f"Batch {offer.batch_id} State completed Shopper no. {shopper}" in text
    assert "pick (done) → drop (done)" in text
    # time line
    told = [text.index(f"no. {event.sequence}", text.index("Time line")) for event in done.events]
    assert told == sorted(told)
    assert len(told) == 8


def test_an_order_that_has_not_got_far(operator):
    placed = make_ready(customer=make_customer(card=DECLINES)).place()
    text = " ".join(Html.of(operator.get(f"/admin/orders/{placed.order_id}/")).text.split())
    assert "Rejected because card_declined" in text
    assert "Not in a batch." in text
    assert "Final total" not in text


def test_names_are_text_and_nothing_else(operator):
    evil = "<script>alert(1)</script>"
    order = make_placed_order()
    for path in (f"/admin/orders/?id={evil}", "/admin/orders/?id=%22%3E%3Cscript%3Ealert(1)"):
        assert "<script>alert(1)" not in operator.get(path).content.decode()
    page = Html.of(operator.get(f"/admin/orders/{order.id}/"))
    assert page.h1 == 1


def test_an_order_is_found_by_its_number(operator):
    order = make_placed_order()
    for text in (str(order.id), f"  {order.id} "):
        response = operator.get("/admin/orders/", {"id": text})
        assert (response.status_code, response["Location"]) == (302, f"/admin/orders/{order.id}/")
    assert operator.get("/admin/orders/").status_code == 200


@pytest.mark.parametrize("text", ["1", "x", "-5", "0", "9223372036854775807", "9" * 30, "٣", "1.5", "\x00"])
def test_a_number_nobody_has(operator, text):
    response = operator.get("/admin/orders/", {"id": text})
    assert response.status_code == 404
    assert "There is no order" in response.content.decode()


@pytest.mark.parametrize("order_id", [0, 1, 2**63 - 1, 2**63, 10**30])
def test_an_address_nobody_has(operator, order_id):
    response = operator.get(f"/admin/orders/{order_id}/")
    assert response.status_code == 404
    assert f"There is no order {order_id}." in response.content.decode()


def test_everybody_else_is_kept_out(operator):
    order = make_placed_order()
    clerk = make_person(email="clerk@example.com")
    accounts.grant_role(user_id=clerk, role="store_staff", store_id=order.store_id)
    helper = make_staff(email="helper@example.com")  # may enter the admin, but is no operator
    accounts.grant_role(user_id=helper, role="store_manager", store_id=order.store_id)
    for path in ("/admin/orders/", f"/admin/orders/?id={order.id}", f"/admin/orders/{order.id}/", "/admin/orders/1/"):
        for client in (Client(), signed_in(order.customer_id), signed_in(clerk)):
            response = client.get(path)
            assert response.status_code == 302
            assert response["Location"].startswith("/admin/login/?next=/admin/orders/")
        refused = signed_in(helper).get(path)
        assert refused.status_code == 403
        assert "Whole milk" not in refused.content.decode()


def test_a_superuser_needs_no_role():
    order = make_placed_order()
    admin = signed_in(make_staff(superuser=True, email="root@example.com"))
    assert admin.get(f"/admin/orders/{order.id}/").status_code == 200


def test_only_the_orders_own_databases_are_asked(operator):
    market = make_market()
    order = make_placed_order(market=market)
    deliver(order)
    for _ in range(3):
        make_placed_order(market=market)  # of customers on every shard
    path = f"/admin/orders/{order.id}/"
    operator.get(path)
    with counted() as queries:
        assert operator.get(path).status_code == 200
    assert queries.by_alias == {
        "default": 6,  # session's user, role, and each part's store
        sharding.alias_for("customer", order.customer_id): 10,
        sharding.alias_for("store", order.store_id): 9,
    }
    operator.get("/admin/orders/")
    with counted() as queries:
        operator.get("/admin/orders/", {"id": order.id})
    assert queries.by_alias == {"default": 2, sharding.alias_for("customer", order.customer_id): 1}


def test_support_moves_an_order_and_others_do_not(operator):
    market = make_market()
    order = make_placed_order(market=market)
    where, sent = f"/admin/orders/{order.id}/reschedule/", {"window": market.window_ids[1]}
    with clock.shifted_to(MORNING):
        clerk = signed_in(make_staff(email="clerk@example.com"))
        assert clerk.post(where, sent).status_code == 403
        assert operator.get(where).status_code == 405
        assert orders.order_for_staff(order_id=order.id).window_id == order.window_id
        assert f'<option value="{market.window_ids[1]}">' in operator.get(f"/admin/orders/{order.id}/").content.decode()
        page = operator.post(where, sent, follow=True).content.decode()
    assert "The order has its new window" in page
    after = orders.order_for_staff(order_id=order.id)
    assert after.window_id == market.window_ids[1]
    assert after.events[-1].actor.startswith("staff:")
