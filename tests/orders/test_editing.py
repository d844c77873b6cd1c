"""The customer changes what is to be picked: who may, what it costs, and that every shard says the same."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from apps.carts.errors import BelowMinimum, BirthDateMissing, QuantityNotWhole, QuantityOutOfRange, UnderAge
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common import outbox
from apps.common.errors import IdempotencyConflict
from apps.common.money import Money
from apps.fulfilment import models as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.fulfilment.errors import AlcoholTooLate, LineTakenOut, NotAtStoreYet
from apps.inventory import services as inventory
from apps.inventory.errors import OutOfStock
from apps.orders import models, selectors, services
from apps.orders.domain import amount_to_authorise, most_to_estimate
from apps.orders.errors import (
    EditNeedsBank,
    EditNotCovered,
    ItemsUnavailable,
    LineAlreadyPicked,
    NothingLeft,
    OrderNotFound,
    TooLateToEdit,
)
from apps.payments.errors import ProviderUnavailable
from tests.orders.edits import bring, check_out, disagreements, edit, store_order, wanted, with_shopper
from tests.orders.factories import (
    ASKS,
    BANANAS,
    BEER,
    MILK,
    MORNING,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
)
from tests.orders.holdings import available
from tests.orders.invariants import violations
from tests.orders.snapshots import changed, snapshot

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

WINE = "wine"
ADULT = date(1980, 5, 17)


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    """3 lb of bananas and 2 milk, above the minimum basket with one of the milks."""
    return make_placed_order(market=market, quantities={BANANAS: "3", MILK: "2"})


def now_is(order):
    return selectors.order_for_staff(order_id=order.id)


def intents(provider, order):
    return sorted(
        provider.amounts[intent.id] for intent in provider.intents_of(order.id) if intent.status == "authorised"
    )


def with_wine(market):
    item = FeedItem(
        lookup_code=WINE, name="Red wine", price_cents=899, department="Drinks", tax_category="alcohol", alcoholic=True
    )
    item_id = catalog.put_item(store_id=market.store_id, item=item, now=MORNING)
    inventory.set_on_hand(store_id=market.store_id, quantities={item_id: Decimal(9)}, reason="count", now=MORNING)
    market.item_ids[WINE] = item_id


def test_more_less_none_and_something_new(provider, market, order):
    edit(order, market, {BANANAS: "4", MILK: "0", BEER: "1"})
    assert wanted(order, market) == {BANANAS: "4", BEER: "1"}
    assert available(market) == {BANANAS: Decimal(496), MILK: Decimal(500), BEER: Decimal(499)}
    after = now_is(order)
    (event,) = [event for event in after.events if event.name == "edited"]
    assert (event.actor, event.from_status, event.to_status) == (
        f"customer:{order.customer_id}",
        "brand_new",
        "brand_new",
    )
    assert event.data == {
        "lines": [
            {"name": "Bananas", "from": "3", "to": "4"},
            {"name": "Whole milk", "from": "2", "to": "0"},
            {"name": "Root beer, 6 bottles", "from": "0", "to": "1"},
        ],
        "from_cents": order.estimate.cents,
        "to_cents": after.estimate.cents,
    }
    items = {a.label: a.amount.cents for a in after.adjustments if a.kind == "item"}
    assert items == {"Bananas": 236, "Root beer, 6 bottles": 1099}
    assert [line.is_taken_out for line in after.lines] == [False, True, False]
    assert disagreements(order) == []
    outbox.drain()
    assert violations(provider, store_id=market.store_id) == []


def test_the_shopper_s_list_has_it_when_the_call_returns(market, order):
    mine = with_shopper(order)
    edit(order, market, {BEER: "2"})
    row = store_order(order)
    assert (row.edits, row.line_count, row.unit_count) == (1, 3, 5)
    line = row.lines.get(item_id=market.item_ids[BEER])
    assert (line.name, line.aisle, line.quantity, line.status) == ("Root beer, 6 bottles", "9", 2, "not_picked")
    assert line.line_id == now_is(order).lines[2].id
    check_out(order, mine)
    outbox.drain()
    assert now_is(order).status == "checkout"


def test_what_is_added_is_delivered_and_paid_from_both_holds(provider, market, order):
    mine = with_shopper(order)
    edit(order, market, {BEER: "4"})
    first = order.authorised.cents
    estimate = now_is(order).estimate
    assert amount_to_authorise(estimate).cents > first
    assert intents(provider, order) == sorted([first, amount_to_authorise(estimate).cents - first])
    assert now_is(order).authorised == amount_to_authorise(estimate)
    check_out(order, mine)
    bring(order, mine)
    after = now_is(order)
    assert (after.status, after.captured) == ("delivered", after.total)
    assert after.total == estimate
    taken = sorted(intent.received_cents for intent in provider.intents_of(order.id))
    assert taken == sorted([first, after.total.cents - first])
    assert violations(provider, store_id=market.store_id) == []


def test_a_hold_that_is_not_needed_in_the_end_is_given_back(provider, market, order):
    mine = with_shopper(order)
    edit(order, market, {BEER: "4"})
    edit(order, market, {BEER: "0"})
    assert len(intents(provider, order)) == 2
    check_out(order, mine)
    bring(order, mine)
    assert now_is(order).captured == now_is(order).total == order.estimate
    assert sorted(intent.status for intent in provider.intents_of(order.id)) == ["canceled", "captured"]
    assert violations(provider, store_id=market.store_id) == []


def test_within_the_hold_the_bank_is_not_asked(provider, market, order):
    room = most_to_estimate(order.authorised).cents - order.estimate.cents
    assert room > 59
    edit(order, market, {BANANAS: "3.5"})
    assert len(provider.intents_of(order.id)) == 1
    assert now_is(order).authorised == order.authorised


def test_a_bank_that_says_no_leaves_all_as_it_was_and_says_what_fits(provider, market, order):
    provider.declines_from_now = True
    before = snapshot()
    with pytest.raises(EditNotCovered) as refusal:
        edit(order, market, {BEER: "4"})
    assert changed(before, snapshot(), ignoring={"payments_payment", "common_outboxmessage"}) == set()
    left = refusal.value.left
    assert left == most_to_estimate(order.authorised) - order.estimate
    assert f"{left.cents} cents" in str(refusal.value)
    provider.declines_from_now = False
    edit(order, market, {BEER: "4"})
    assert wanted(order, market)[BEER] == "4"
    outbox.drain()
    assert violations(provider, store_id=market.store_id) == []


def test_a_silent_provider_changes_nothing_and_the_next_try_goes_on(provider, market, order):
    provider.is_down = True
    with pytest.raises(ProviderUnavailable):
        edit(order, market, {BEER: "4"})
    assert wanted(order, market) == {BANANAS: "3", MILK: "2"}
    provider.is_down = False
    edit(order, market, {BEER: "4"})
    assert len(intents(provider, order)) == 2
    assert disagreements(order) == []


def test_a_bank_that_wants_to_see_its_customer_is_asked_once(provider, market):
    ready = make_ready(market=market, customer=make_customer(card=ASKS), quantities={MILK: "2"})
    order_id = ready.place().order_id
    (first,) = provider.intents_of(order_id)
    provider.answer_bank(first.id, approve=True)
    services.resume(order_id=order_id, now=MORNING)
    outbox.drain()
    order = selectors.order_for_staff(order_id=order_id)
    for _ in range(2):
        with pytest.raises(EditNeedsBank) as refusal:
            edit(order, market, {BEER: "4"})
        assert refusal.value.action_url == f"https://bank.example/{provider.intents_of(order_id)[1].id}"
    assert wanted(order, market) == {MILK: "2"}
    (waiting,) = [intent for intent in provider.intents_of(order.id) if intent.status == "requires_action"]
    provider.answer_bank(waiting.id, approve=True)
    edit(order, market, {BEER: "4"})
    assert wanted(order, market) == {MILK: "2", BEER: "4"}
    assert len(provider.intents_of(order.id)) == 2
    outbox.drain()
    assert violations(provider, store_id=market.store_id) == []


def test_what_is_in_the_bag_may_become_more_but_not_less(market, order):
    mine = with_shopper(order)
    bananas, milk = store_order(order).lines.order_by("line_id")
    fulfilment_services.mark_found(**mine, line_id=milk.line_id, quantity=Decimal(2))
    with pytest.raises(LineAlreadyPicked):  # says the store
        edit(order, market, {MILK: "1"})
    outbox.drain()
    for quantity in ("1", "0"):
        with pytest.raises(LineAlreadyPicked):  # says the order
            edit(order, market, {MILK: quantity})
    assert disagreements(order) == []
    edit(order, market, {MILK: "3"})
    milk.refresh_from_db()
    assert (milk.status, milk.found_quantity, milk.quantity) == ("not_picked", 0, 3)
    assert now_is(order).lines[1].status == "not_picked"
    outbox.drain()
    assert now_is(order).lines[1].status == "not_picked"
    fulfilment_services.mark_found(**mine, line_id=bananas.line_id, quantity=Decimal("3.1"))
    fulfilment_services.mark_found(**mine, line_id=milk.line_id, quantity=Decimal(3))
    fulfilment_services.check_out(**mine)
    outbox.drain()
    assert [line.found_quantity for line in now_is(order).lines] == [Decimal("3.1"), 3]


def test_what_was_looked_for_in_vain_is_not_asked_for_again(market, order):
    mine = with_shopper(order)
    milk = store_order(order).lines.get(item_id=market.item_ids[MILK])
    fulfilment_services.mark_refund(**mine, line_id=milk.line_id, reason="wrong_price")
    with pytest.raises(LineAlreadyPicked):
        edit(order, market, {MILK: "3"})


def test_what_was_taken_out_is_left_on_the_shelf_and_may_come_back(market, order):
    mine = with_shopper(order)
    edit(order, market, {MILK: "0", BANANAS: "9"})
    milk = store_order(order).lines.get(item_id=market.item_ids[MILK])
    with pytest.raises(LineTakenOut):
        fulfilment_services.mark_found(**mine, line_id=milk.line_id, quantity=Decimal(1))
    edit(order, market, {MILK: "1"})
    assert wanted(order, market) == {BANANAS: "9", MILK: "1"}
    assert disagreements(order) == []
    edit(order, market, {MILK: "0"}, key="again")
    check_out(order, mine)
    outbox.drain()
    lines = now_is(order)
    assert [(line.status, line.reason) for line in lines.lines] == [("found", ""), ("to_refund", "taken_out")]
    (charge,) = [a for a in lines.adjustments if a.phase == "final" and a.label == "Whole milk"]
    assert (charge.amount, charge.reason) == (Money(0), "taken out by the customer")


def test_the_same_request_again_changes_nothing_more(market, order):
    for _ in range(2):
        edit(order, market, {MILK: "3"}, key="a")
    edit(order, market, {MILK: "1"}, key="b")
    edit(order, market, {MILK: "3"}, key="a")
    assert wanted(order, market)[MILK] == "1"
    assert store_order(order).edits == 2
    with pytest.raises(IdempotencyConflict):
        edit(order, market, {MILK: "4"}, key="a")


def test_a_line_keeps_the_price_it_was_ordered_at_and_a_new_one_has_today_s(market, order):
    for code, price in ((MILK, 500), (BEER, 1500)):
        item = FeedItem(lookup_code=code, name=code, price_cents=price, tax_category="grocery")
        catalog.put_item(store_id=market.store_id, item=item, now=MORNING)
    edit(order, market, {MILK: "3", BEER: "1"})
    assert [line.unit_price.cents for line in now_is(order).lines] == [59, 349, 1500]


@pytest.mark.parametrize(
    ("quantities", "refusal"),
    [
        ({MILK: "-1"}, QuantityOutOfRange),
        ({MILK: "1000"}, QuantityOutOfRange),
        ({MILK: "1.5"}, QuantityNotWhole),
        ({BANANAS: "0.0001"}, QuantityOutOfRange),
        ({BANANAS: "NaN"}, QuantityOutOfRange),
        ({BANANAS: "0", MILK: "0"}, NothingLeft),
        ({MILK: "0"}, BelowMinimum),
        ({"ghost": "1"}, ItemsUnavailable),
    ],
)
def test_a_refusal_changes_nothing(market, order, quantities, refusal):
    market.item_ids["ghost"] = 4711
    before = snapshot()
    with pytest.raises(refusal):
        edit(order, market, quantities)
    assert changed(before, snapshot()) == set()


def test_more_than_the_store_has_is_refused_before_the_bank_is_asked(provider, market, order):
    inventory.set_on_hand(
        store_id=market.store_id, quantities={market.item_ids[BEER]: Decimal(3)}, reason="count", now=MORNING
    )
    before = snapshot()
    with pytest.raises(OutOfStock):
        edit(order, market, {BEER: "4"})
    assert changed(before, snapshot()) == set()
    assert len(provider.intents) == 1


def test_somebody_else_s_order_is_not_there(market, order):
    with pytest.raises(OrderNotFound):
        edit(order, market, {MILK: "3"}, customer_id=make_customer().id)


def test_once_checked_out_nothing_is_added(market, order):
    mine = with_shopper(order)
    check_out(order, mine)
    before = snapshot()
    with pytest.raises(TooLateToEdit):  # the customer's shard has not heard of it yet
        edit(order, market, {MILK: "3"})
    assert changed(before, snapshot()) == set()
    outbox.drain()
    with pytest.raises(TooLateToEdit):
        edit(order, market, {MILK: "3"})


def test_a_canceled_order_stays_as_it_is(provider, market, order):
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    with pytest.raises(TooLateToEdit):
        edit(order, market, {MILK: "3"})
    outbox.drain()
    assert available(market) == {BANANAS: 500, MILK: 500, BEER: 500}


def test_an_order_that_is_canceled_gives_back_what_was_added(provider, market, order):
    edit(order, market, {BEER: "4"})
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    outbox.drain()
    assert available(market) == {BANANAS: 500, MILK: 500, BEER: 500}
    assert {intent.status for intent in provider.intents_of(order.id)} == {"canceled"}
    assert violations(provider, store_id=market.store_id) == []


def test_before_the_store_has_heard_of_the_order_it_waits(market):
    order = make_placed_order(market=market, drain=False)
    with pytest.raises(NotAtStoreYet):
        edit(order, market, {MILK: "3"})
    outbox.drain()
    edit(order, market, {MILK: "3"})
    assert wanted(order, market)[MILK] == "3"


def test_an_edited_order_can_be_moved_and_a_moved_one_edited(provider, market, order):
    move = {"order_id": order.id, "customer_id": order.customer_id, "now": MORNING}
    edit(order, market, {MILK: "0", BEER: "1"})
    services.reschedule(**move, window_id=market.window_ids[2])
    outbox.drain()
    edit(order, market, {MILK: "1", BANANAS: "3.5"})
    services.reschedule(**move, window_id=market.window_ids[3])
    outbox.drain()
    assert disagreements(order) == []
    assert violations(provider, store_id=market.store_id) == []


def test_alcohol_needs_an_age_and_a_free_order(market, order):
    with_wine(market)
    with pytest.raises(BirthDateMissing):
        edit(order, market, {WINE: "1"})
    with pytest.raises(UnderAge):
        edit(order, market, {WINE: "1"}, birth_date=MORNING.date() - timedelta(days=365 * 20))
    edit(order, market, {WINE: "1"}, birth_date=ADULT)
    assert models.Order.objects.get(pk=order.id).minimum_age == 21
    assert store_order(order).has_alcohol is True
    edit(order, market, {WINE: "2"})
    other = make_placed_order(market=market, quantities={MILK: "2"})
    with_shopper(other)
    with pytest.raises(AlcoholTooLate):
        edit(other, market, {WINE: "1"}, birth_date=ADULT)
    assert wanted(other, market) == {MILK: "2"}


def test_the_event_finishes_what_the_call_did_not(monkeypatch, market, order):
    with monkeypatch.context() as patched:
        patched.setattr(services, "apply_edit", lambda **_: False)
        edit(order, market, {MILK: "3"})
    assert wanted(order, market)[MILK] == "2"
    outbox.drain()
    assert wanted(order, market)[MILK] == "3"
    assert fulfilment.OrderEdit.objects.filter(store_id=order.store_id).count() == 1
    assert disagreements(order) == []
