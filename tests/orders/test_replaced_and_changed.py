"""Replacements beside what else may happen to an order after it was placed: changes, the till, a card that says no."""

from decimal import Decimal

import pytest

from apps.common import outbox
from apps.common.errors import DomainError
from apps.fulfilment import services
from apps.fulfilment.types import ProofInput
from apps.inventory import selectors as inventory
from apps.orders import services as orders
from apps.orders.types import RefundLine
from apps.pricing import services as pricing
from apps.stores import services as stores
from tests.fulfilment.replacing import COLA, CREAM, ME, OAT, Picking, make_wide_market
from tests.orders.edits import edit, wanted
from tests.orders.factories import BANANAS, BEER, MILK, MORNING
from tests.orders.invariants import violations
from tests.orders.shop_floor import hold_only
from tests.orders.snapshots import changed, snapshot

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("a_monday_morning")]

AS_PLACED = {BANANAS: "2.5", MILK: "2", BEER: "1"}


@pytest.fixture
def picking(provider):
    return Picking()


def replace(picking, code, instead, quantity):
    """Proposed, and approved by its customer."""
    picking.propose(code, instead, quantity)
    picking.answer(picking.question(code).id, approve=True)


def change(picking, quantities):
    edit(picking.order, picking.market, quantities)
    picking.tell()


def mine(picking):
    return {"store_order_id": picking.store_order_id, "shopper_id": ME, "now": MORNING}


def of_line(order, line):
    return [(one.code, one.amount.cents) for one in order.adjustments if (one.phase, one.line_id) == ("final", line.id)]


def bring(picking):
    services.start_delivery(**mine(picking))
    services.deliver(**mine(picking), proof=ProofInput(kind="pin", pin=picking.order.pin))
    picking.tell()


@pytest.mark.parametrize("quantity", ["0", "1", "3"])
def test_a_replaced_line_is_in_the_bag_and_cannot_be_changed(picking, quantity):
    replace(picking, MILK, CREAM, "2")
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        change(picking, {MILK: quantity})
    assert refusal.value.code == "line_already_picked"
    assert changed(before, snapshot()) == set()
    assert wanted(picking.order, picking.market) == AS_PLACED


@pytest.mark.parametrize("is_told", [True, False])
def test_a_line_under_a_question_waits_for_the_answer(picking, is_told):
    picking.propose(MILK, CREAM, tell=is_told)
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        change(picking, {MILK: "1"})
    assert refusal.value.code == "question_open"
    assert "Whole milk" in str(refusal.value)
    assert changed(before, snapshot()) == set()
    picking.tell()
    change(picking, {BEER: "2"})  # of another line there is none
    assert wanted(picking.order, picking.market) == {**AS_PLACED, BEER: "2"}
    picking.answer(picking.question(MILK).id, approve=True)
    assert picking.line(MILK).status == "replaced"


def test_what_was_taken_out_is_not_replaced(picking):
    change(picking, {MILK: "0"})
    before = snapshot()
    for ask in (lambda: picking.propose(MILK, CREAM), lambda: picking.choose(MILK, OAT)):
        with pytest.raises(DomainError) as refusal:
            ask()
        assert refusal.value.code in {"line_taken_out", "line_not_replaceable"}
    assert changed(before, snapshot()) == set()
    assert (picking.pick_line(MILK).status, picking.pick_line(MILK).reason) == ("to_refund", "taken_out")


def test_something_may_be_proposed_for_a_line_that_was_added_a_moment_ago(picking):
    edit(picking.order, picking.market, {OAT: "3"})
    picking.propose(OAT, CREAM, "3")
    question = picking.question(OAT)
    assert (question.ordered.cents, question.shown.cents) == (3 * 369, 3 * 520)


def test_a_change_sends_the_shopper_back_from_waiting_for_answers(picking):
    picking.found(BANANAS)
    picking.found(BEER)
    picking.propose(MILK, CREAM)
    assert picking.order.status == "verifying_replacements"
    change(picking, {OAT: "1"})
    assert picking.order.status == "picking"
    change(picking, {OAT: "0"})
    assert picking.order.status == "verifying_replacements"


def test_a_replacement_the_card_will_not_pay_for_stays_in_the_store(provider, picking):
    replace(picking, BEER, COLA, "4")
    picking.found(BANANAS)
    picking.found(MILK)
    hold_only(provider, picking.order_id, 3000)
    provider.declines_from_now = True
    picking.check_out()

    order, beer = picking.order, picking.line(BEER)
    assert (beer.status, beer.reason, beer.replacement) == ("to_refund", "not_paid_for", None)
    assert of_line(order, beer) == [("item", 0)]
    (left,) = [one for one in order.adjustments if (one.phase, one.line_id) == ("final", beer.id)]
    assert left.reason == "left behind: your card would not pay for it"
    assert [one.status for one in order.replacements] == ["approved"]
    assert (picking.pick_line(BEER).status, picking.pick_line(BEER).reason) == ("to_refund", "not_paid_for")
    assert picking.reserved() == {}
    assert {code: picking.on_hand(code) for code in (BEER, COLA, MILK)} == {BEER: 500, COLA: 50, MILK: 498}

    bring(picking)
    order = picking.order
    assert order.captured == order.total
    assert provider.taken_cents == order.total.cents <= 3000
    outbox.drain()
    assert violations(provider, store_id=picking.market.store_id) == []


def test_the_till_asks_for_what_is_in_the_bag_and_the_shelf_counts_as_empty(provider):
    market = make_wide_market()
    stores.set_receipt_check(store_id=market.store_id, is_on=True)
    picking = Picking(market=market)
    replace(picking, MILK, CREAM, "2")
    picking.found(BANANAS)
    picking.refund(BEER)
    picking.check_out()
    in_the_bag = 148 + 2 * 520  # 147.5 for the bananas
    with pytest.raises(DomainError) as refusal:
        services.enter_receipt(**mine(picking), total_cents=148 + 2 * 349, attempt=1)
    assert refusal.value.code == "receipt_differs"
    services.enter_receipt(**mine(picking), total_cents=in_the_bag, attempt=2)
    services.count_bags(**mine(picking), count=1)
    picking.tell()
    assert picking.order.status == "bags_check"

    def seen(code):
        rates = inventory.found_rates(store_id=market.store_id, item_id=market.item_ids[code]).values()
        return [(rate.asked, rate.found, rate.partly) for rate in rates]

    assert {code: seen(code) for code in (BANANAS, MILK, BEER, CREAM)} == {
        BANANAS: [(1, 1, 0)],
        MILK: [(1, 0, 0)],
        BEER: [(1, 0, 0)],
        CREAM: [],
    }


def test_a_bag_of_replacements_alone_is_checked_too(provider):
    market = make_wide_market()
    stores.set_receipt_check(store_id=market.store_id, is_on=True)
    picking = Picking(market=market)
    replace(picking, MILK, CREAM, "2")
    picking.refund(BANANAS)
    picking.refund(BEER)
    picking.check_out()
    with pytest.raises(DomainError) as refusal:
        services.start_delivery(**mine(picking))
    assert refusal.value.code == "receipt_missing"


def test_a_replacement_is_given_back_at_what_was_charged_for_it(provider):
    pricing.set_tax_rate(state="OH", tax_category="general", percent=Decimal(10))
    picking = Picking()
    replace(picking, MILK, COLA, "2")  # taxed and with a deposit, as milk is not
    picking.found(BANANAS)
    picking.found(BEER)
    picking.check_out()
    bring(picking)
    order, line = picking.order, picking.line(MILK)
    assert of_line(order, line) == [("item", 2 * 1250), ("deposit", 2 * 90)]
    refund = orders.refund(
        order_id=picking.order_id,
        key="k",
        reason="damaged",
        actor="support:1",
        now=MORNING,
        lines=[RefundLine(line_id=line.id, quantity=Decimal(1))],
    )
    assert refund.amount.cents == 1250 + 90 + 125
    (said,) = [one for one in picking.order.adjustments if one.phase == "refund"]
    assert said.label == "Refund, Cola, 6 bottles"
