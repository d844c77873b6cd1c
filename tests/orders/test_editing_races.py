"""Changes of one order against each other, against its shopper, and any sequence of them."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.common import outbox
from apps.common.errors import DomainError
from apps.fulfilment import services as fulfilment
from apps.inventory import services as inventory
from apps.orders import selectors, services
from tests.orders.edits import bring, check_out, disagreements, edit, store_order, wanted, with_shopper
from tests.orders.factories import BANANAS, BEER, MILK, MORNING, make_market, make_placed_order
from tests.orders.invariants import violations
from tests.orders.test_races import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market, quantities={BANANAS: "3", MILK: "2"})


def settled(provider, market, order):
    outbox.drain()
    assert disagreements(order) == []
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("round_", range(3))
def test_two_devices_that_add_different_things_both_win(provider, market, order, round_):
    answers = at_once(
        lambda: edit(order, market, {BEER: "1"}),
        lambda: edit(order, market, {BANANAS: "5"}),
        lambda: edit(order, market, {MILK: "4"}),
    )
    assert answers == [None, None, None]
    assert wanted(order, market) == {BANANAS: "5", MILK: "4", BEER: "1"}
    assert store_order(order).edits == 3
    settled(provider, market, order)


def test_ten_clicks_are_one_change(provider, market, order):
    assert at_once(*[lambda: edit(order, market, {BEER: "4"}, key="click")] * 10) == [None] * 10
    assert wanted(order, market)[BEER] == "4"
    assert store_order(order).edits == 1
    settled(provider, market, order)


@pytest.mark.parametrize("round_", range(6))
def test_of_an_addition_and_the_check_out_one_comes_first(provider, market, order, round_):
    mine = with_shopper(order)
    outbox.drain()
    for line in store_order(order).lines.all():
        fulfilment.mark_found(**mine, line_id=line.line_id, quantity=line.quantity)

    def leave():
        fulfilment.check_out(**mine)

    added, left = at_once(lambda: edit(order, market, {BEER: "1"}), leave)
    assert (added, left) in [(None, "lines_open"), ("too_late_to_edit", None)]
    if left:
        check_out(order, mine)
    outbox.drain()
    after = selectors.order_for_staff(order_id=order.id)
    assert after.status == "checkout"
    assert (BEER in wanted(order, market)) is (added is None)
    bring(order, mine)
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("round_", range(4))
def test_of_a_pick_and_taking_the_line_out_one_comes_first(provider, market, round_):
    order = make_placed_order(market=market, quantities={BANANAS: "9", MILK: "2"})
    mine = with_shopper(order)
    outbox.drain()
    milk = store_order(order).lines.get(item_id=market.item_ids[MILK])
    gone, picked = at_once(
        lambda: edit(order, market, {MILK: "0"}),
        lambda: fulfilment.mark_found(**mine, line_id=milk.line_id, quantity=Decimal(2)),
    )
    assert (gone, picked) in [(None, "line_taken_out"), ("line_already_picked", True)]
    settled(provider, market, order)


@pytest.mark.parametrize("round_", range(4))
def test_of_two_orders_that_want_the_last_one_one_gets_it(provider, market, order, round_):
    other = make_placed_order(market=market, quantities={BANANAS: "3", MILK: "2"})
    last = {market.item_ids[BEER]: Decimal(1)}
    inventory.set_on_hand(store_id=market.store_id, quantities=last, reason="count", now=MORNING)
    answers = at_once(lambda: edit(order, market, {BEER: "1"}), lambda: edit(other, market, {BEER: "1"}))
    assert Counter(answers) == {None: 1, "out_of_stock": 1}
    for one in (order, other):
        assert disagreements(one) == []


@pytest.mark.parametrize("round_", range(4))
def test_canceling_during_a_change_leaves_nothing_behind(provider, market, order, round_):
    edited, canceled = at_once(
        lambda: edit(order, market, {BEER: "4"}),
        lambda: services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING),
    )
    assert canceled is None
    assert edited in (None, "too_late_to_edit")
    outbox.drain()
    services.undo(order_id=order.id, now=MORNING)
    assert violations(provider, store_id=market.store_id) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["edit", "edit", "edit", "find", "miss"]),
        st.sampled_from([BANANAS, MILK, BEER]),
        st.integers(0, 6),
    ),
    max_size=8,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_changes_and_picks_lines_money_list_and_stock_agree(provider, steps):
    market = make_market()
    order = make_placed_order(market=market, quantities={BANANAS: "9", MILK: "2"})
    mine = with_shopper(order)
    for number, (step, code, quantity) in enumerate(steps):
        line = store_order(order).lines.filter(item_id=market.item_ids[code]).first()
        try:
            if step == "edit":
                edit(order, market, {code: str(quantity)}, key=str(number))
            elif line is not None and step == "find":
                fulfilment.mark_found(**mine, line_id=line.line_id, quantity=min(line.quantity, Decimal(quantity)))
            elif line is not None:
                fulfilment.mark_refund(**mine, line_id=line.line_id, reason="wrong_price")
        except DomainError:
            pass
        assert disagreements(order) == []
    check_out(order, mine)
    outbox.drain()
    after = selectors.order_for_staff(order_id=order.id)
    assert after.status == "checkout"
    final = [charge.amount.cents for charge in after.adjustments if charge.phase == "final"]
    assert sum(final) == after.total.cents <= after.authorised.cents
    bring(order, mine)
    assert violations(provider, store_id=market.store_id) == []
