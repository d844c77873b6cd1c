"""What a shopper finds of a real order, and what stock, found rates, the customer and the store's page make of it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.common import outbox
from apps.fulfilment import errors
from apps.fulfilment import services as fulfilment
from apps.inventory import models as inventory
from apps.inventory import selectors, services
from apps.inventory.types import FoundRate
from apps.orders import selectors as orders
from tests.orders.edits import check_out, edit, store_order, with_shopper
from tests.orders.factories import BANANAS, BEER, MILK, MORNING, make_market, make_placed_order
from tests.orders.holdings import available
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

MONDAY_TEN = 10


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market, quantities={BANANAS: "4", MILK: "2", BEER: "1"})


def line(order, market, code):
    return store_order(order).lines.get(item_id=market.item_ids[code]).line_id


def rates(market):
    found = {
        code: selectors.found_rates(store_id=market.store_id, item_id=item_id)
        for code, item_id in market.item_ids.items()
    }
    return {code: (hours[MONDAY_TEN].found, hours[MONDAY_TEN].partly) for code, hours in found.items() if hours}


def test_found_partly_found_and_not_found_are_told_and_counted_once(market, order):
    mine = with_shopper(order)
    fulfilment.mark_found(**mine, line_id=line(order, market, BANANAS), quantity=Decimal("3.4"))
    fulfilment.mark_found(**mine, line_id=line(order, market, MILK), quantity=Decimal(1))
    fulfilment.mark_refund(**mine, line_id=line(order, market, BEER), reason="poor_quality")
    check_out(order, mine)
    for _ in range(2):  # every event again, as if nobody had heard it
        outbox.drain()
        fulfilment.report(store_order_id=store_order(order).pk, now=MORNING)
        fulfilment.report_line(store_order_id=store_order(order).pk, line_id=line(order, market, BEER), now=MORNING)
    assert rates(market) == {BANANAS: (1, 0), MILK: (0, 1), BEER: (0, 0)}
    assert selectors.found_rates(store_id=market.store_id, item_id=market.item_ids[BEER]) == {
        MONDAY_TEN: FoundRate(asked=1, found=0, partly=0)
    }
    seen = [(one.status, one.reason, one.is_partial) for one in orders.order_for_staff(order_id=order.id).lines]
    assert seen == [("found", "", False), ("found", "", True), ("to_refund", "poor_quality", False)]
    page = signed_in(order.customer_id).get(f"/orders/{order.id}/").content.decode()
    assert "Only 1 of 2 were there" in page
    assert "Not good enough today" in page


@pytest.mark.parametrize(
    ("found", "is_partial"), [("3.4", False), ("3.399", True), ("4.6", False)], ids=["15 % less", "a gram less", "more"]
)
def test_of_something_weighed_15_percent_less_is_all_of_it(market, order, found, is_partial):
    mine = with_shopper(order)
    fulfilment.mark_found(**mine, line_id=line(order, market, BANANAS), quantity=Decimal(found))
    check_out(order, mine)
    outbox.drain()
    assert orders.order_for_staff(order_id=order.id).lines[0].is_partial is is_partial
    assert rates(market)[BANANAS] == (int(not is_partial), int(is_partial))


def test_an_empty_shelf_is_off_the_stock_before_anybody_is_told(market, order):
    other = make_placed_order(market=market, quantities={BEER: "3"})
    mine = with_shopper(order)
    for _ in range(2):
        fulfilment.mark_refund(**mine, line_id=line(order, market, BEER), reason="out_of_stock")
    level = inventory.StockLevel.objects.get(store_id=market.store_id, item_id=market.item_ids[BEER])
    assert (level.on_hand, level.reserved) == (3, 3)
    moves = inventory.StockMovement.objects.filter(store_id=market.store_id, reason="missing")
    assert list(moves.values_list("item_id", "delta", "order_id")) == [(level.item_id, Decimal(-497), order.id)]
    page = signed_in(other.customer_id).get(f"/stores/{market.store_id}/?q=root").content.decode()
    assert "Out of stock" in page
    services.set_on_hand(store_id=market.store_id, quantities={level.item_id: Decimal(20)}, reason="count", now=MORNING)
    assert available(market)[BEER] == 17
    assert "Out of stock" not in signed_in(other.customer_id).get(f"/stores/{market.store_id}/?q=root").content.decode()


@pytest.mark.parametrize("reason", ["wrong_price", "other"])
def test_other_reasons_leave_the_stock_alone(market, order, reason):
    mine = with_shopper(order)
    fulfilment.mark_refund(**mine, line_id=line(order, market, BEER), reason=reason)
    assert available(market)[BEER] == 499
    assert selectors.missing(store_id=market.store_id) == ()


@pytest.mark.parametrize("reason", ["", "taken_out", "Sold out"])
def test_only_known_reasons_are_taken(market, order, reason):
    mine = with_shopper(order)
    with pytest.raises(errors.LineReasonInvalid):
        fulfilment.mark_refund(**mine, line_id=line(order, market, BEER), reason=reason)
    assert store_order(order).lines.get(item_id=market.item_ids[BEER]).status == "not_picked"


def test_what_the_customer_took_out_was_asked_for_by_nobody(market, order):
    mine = with_shopper(order)
    edit(order, market, {BEER: "0"})
    check_out(order, mine)
    outbox.drain()
    assert rates(market) == {BANANAS: (1, 0), MILK: (1, 0)}


def test_the_hour_is_that_of_the_check_out_however_late_it_is_told(market, order):
    mine = with_shopper(order)
    check_out(order, mine)
    fulfilment.report(store_order_id=store_order(order).pk, now=MORNING + timedelta(hours=5))
    assert set(selectors.found_rates(store_id=market.store_id, item_id=market.item_ids[MILK])) == {MONDAY_TEN}
