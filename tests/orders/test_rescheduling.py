"""Another window for an order: who may have it, what it costs, what follows, and nothing twice."""

from collections import Counter
from datetime import timedelta

import pytest

from apps.common import clock, outbox
from apps.common.money import Money
from apps.fulfilment import models as fulfilment
from apps.orders import models, selectors, services
from apps.orders.errors import (
    OrderNotFound,
    RescheduleNotCovered,
    RescheduleTooFar,
    RescheduleUnderWay,
    TooLateToReschedule,
)
from apps.payments.models import Payment
from apps.slots import models as slots
from apps.slots import services as slot_services
from apps.slots.errors import WindowClosed, WindowFull, WindowNotFound
from tests.orders.factories import ASKS, MORNING, bring_to, make_customer, make_market, make_placed_order, make_ready
from tests.orders.invariants import violations
from tests.orders.snapshots import changed, snapshot
from tests.orders.test_races import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market)


def reschedule(order, window_id, *, now=MORNING, customer_id=None):
    customer_id = customer_id or order.customer_id
    services.reschedule(order_id=order.id, customer_id=customer_id, window_id=window_id, now=now)


def now_is(order):
    return selectors.order_for_staff(order_id=order.id)


def held(market):
    """Minutes by number of the window, and the states of all holds."""
    rows = slots.DeliveryWindow.objects.filter(store_id=market.store_id, held_minutes__gt=0)
    numbers = {window_id: number for number, window_id in enumerate(market.window_ids)}
    states = slots.WindowHold.objects.filter(store_id=market.store_id).order_by("version")
    return {numbers[row.pk]: row.held_minutes for row in rows}, list(states.values_list("state", flat=True))


def price(market, number, cents):
    slots.DeliveryWindow.objects.filter(store_id=market.store_id, pk=market.window_ids[number]).update(fee_cents=cents)


def test_an_order_moves_with_its_minutes_its_history_and_its_store(provider, market, order):
    assert held(market) == ({0: order.window_minutes}, ["confirmed"])
    for _ in range(2):
        reschedule(order, market.window_ids[3])
        assert held(market) == ({3: order.window_minutes}, ["released", "confirmed"])
    after = now_is(order)
    target = slots.DeliveryWindow.objects.get(pk=market.window_ids[3])
    assert (after.window_id, after.window_starts_at, after.window_ends_at) == (
        target.pk,
        target.starts_at,
        target.ends_at,
    )
    assert [(event.name, event.actor, event.from_status, event.to_status) for event in after.events][2:] == [
        ("rescheduled", f"customer:{order.customer_id}", "brand_new", "brand_new")
    ]
    assert after.events[2].data == {
        "from": order.window_starts_at.isoformat(),
        "to": target.starts_at.isoformat(),
        "difference_cents": 0,
    }
    assert (after.estimate, after.authorised) == (order.estimate, order.authorised)
    outbox.drain()
    in_store = fulfilment.StoreOrder.objects.get(store_id=market.store_id, order_id=order.id)
    assert (in_store.window_starts_at, in_store.window_ends_at) == (target.starts_at, target.ends_at)
    assert len(provider.intents) == 1
    assert violations(provider, store_id=market.store_id) == []


def test_there_and_back_again_is_two_moves(provider, market, order):
    reschedule(order, market.window_ids[2])
    reschedule(order, market.window_ids[0])
    outbox.drain()
    assert held(market) == ({0: order.window_minutes}, ["released", "released", "confirmed"])
    assert now_is(order).window_starts_at == order.window_starts_at
    in_store = fulfilment.StoreOrder.objects.get(store_id=market.store_id, order_id=order.id)
    assert (in_store.window_starts_at, in_store.window_version) == (order.window_starts_at, 3)
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("fee", [0, 399 + 200])
def test_the_estimate_changes_by_the_difference_of_the_fees_and_so_does_the_charge(provider, market, order, fee):
    price(market, 1, fee)
    reschedule(order, market.window_ids[1])
    outbox.drain()
    difference = Money(fee - 399)
    after = now_is(order)
    assert after.estimate == order.estimate + difference
    assert [(entry.label, entry.amount, entry.reason, entry.actor) for entry in after.adjustments][
        len(order.adjustments) :
    ] == [("Delivery", difference, "another delivery window", f"customer:{order.customer_id}")]
    delivered = bring_to(after, "delivered")
    outbox.drain()
    assert delivered.total == after.estimate
    assert provider.taken_cents == after.estimate.cents
    assert violations(provider, store_id=market.store_id) == []


def test_what_the_authorisation_does_not_cover_is_refused(market, order):
    most = order.authorised.cents * 100 // 115 - order.estimate.cents  # what the fee may rise by, with its 15 %
    price(market, 1, 399 + most + 1)
    price(market, 2, 399 + most)
    before = snapshot()
    with pytest.raises(RescheduleNotCovered):
        reschedule(order, market.window_ids[1])
    assert changed(before, snapshot()) == set()
    reschedule(order, market.window_ids[2])
    assert now_is(order).estimate == order.estimate + Money(most)


def test_a_window_after_the_end_of_the_authorisation_is_refused(market, order):
    ends = slots.DeliveryWindow.objects.get(pk=market.window_ids[5]).ends_at
    Payment.objects.filter(customer_id=order.customer_id, order_id=order.id).update(capture_before=ends)
    before = snapshot()
    with pytest.raises(RescheduleTooFar):
        reschedule(order, market.window_ids[5])
    assert changed(before, snapshot()) == set()
    reschedule(order, market.window_ids[4])


def full(market):
    window = slots.DeliveryWindow.objects.get(pk=market.window_ids[1])
    slots.DeliveryWindow.objects.filter(pk=window.pk).update(capacity_minutes=1)
    return window.pk


def closed(market):
    slots.DeliveryWindow.objects.filter(pk=market.window_ids[1]).update(cutoff_at=MORNING)
    return market.window_ids[1]


def withdrawn(market):
    slots.DeliveryWindow.objects.filter(pk=market.window_ids[1]).update(withdrawn_at=MORNING)
    return market.window_ids[1]


@pytest.mark.parametrize(
    ("window_of", "refusal"),
    [
        (full, WindowFull),
        (closed, WindowClosed),
        (withdrawn, WindowClosed),
        (lambda market: 4_711, WindowNotFound),
        (lambda market: make_market().window_ids[0], WindowNotFound),
    ],
    ids=["full", "closed", "withdrawn", "unknown", "another store's"],
)
def test_a_window_that_is_not_to_be_had_changes_nothing(market, order, window_of, refusal):
    window_id = window_of(market)
    before = snapshot()
    with pytest.raises(refusal):
        reschedule(order, window_id)
    assert changed(before, snapshot()) == set()


def test_somebody_elses_order_is_not_found(market, order):
    stranger = make_customer().id
    before = snapshot()
    with pytest.raises(OrderNotFound):
        reschedule(order, market.window_ids[1], customer_id=stranger)
    assert changed(before, snapshot()) == set()


def test_the_cut_off_of_the_present_window_is_the_last_moment(market, order):
    cutoff = slots.DeliveryWindow.objects.get(pk=market.window_ids[0]).cutoff_at
    before = snapshot()
    with pytest.raises(TooLateToReschedule):
        reschedule(order, market.window_ids[4], now=cutoff)
    assert changed(before, snapshot()) == set()
    reschedule(order, market.window_ids[4], now=cutoff - timedelta(microseconds=1))
    assert now_is(order).window_id == market.window_ids[4]


@pytest.mark.parametrize("status", ["acknowledged", "delivered"])
def test_an_order_that_was_taken_keeps_its_window(market, order, status):
    bring_to(order, status)
    with pytest.raises(TooLateToReschedule):
        reschedule(order, market.window_ids[1])
    assert held(market)[0] == {0: order.window_minutes}


def test_an_order_that_is_not_placed_or_canceled_keeps_its_window(provider, market):
    waiting = make_ready(market=market, customer=make_customer(card=ASKS)).place()
    order = selectors.order_for_staff(order_id=waiting.order_id)
    for window_id in market.window_ids[:2]:  # its own, too
        with pytest.raises(TooLateToReschedule):
            reschedule(order, window_id)
    assert held(market) == ({0: order.window_minutes}, ["held"])
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    outbox.drain()
    with pytest.raises(TooLateToReschedule):
        reschedule(order, market.window_ids[1])
    assert held(market) == ({}, ["released"])


def test_another_move_that_is_not_over_is_waited_for(provider, market, order):
    slot_services.hold(
        store_id=market.store_id,
        window_id=market.window_ids[1],
        order_id=order.id,
        minutes=order.window_minutes,
        version=2,
        expires_at=MORNING + timedelta(minutes=2),
        now=MORNING,
    )
    with pytest.raises(RescheduleUnderWay):
        reschedule(order, market.window_ids[2])
    assert now_is(order).window_id == market.window_ids[0]
    later = MORNING + timedelta(minutes=2)
    for alias in {row._state.db for row in slots.WindowHold.objects.filter(store_id=market.store_id)}:
        slot_services.release_expired(using=alias, now=later)
    reschedule(order, market.window_ids[2], now=later)
    outbox.drain()
    assert held(market) == ({2: order.window_minutes}, ["released", "confirmed"])
    assert violations(provider, store_id=market.store_id) == []


def test_word_of_the_placement_that_comes_late_does_not_bring_the_old_window_back(provider, market):
    order = make_placed_order(market=market, drain=False)
    reschedule(order, market.window_ids[1])
    row = models.Order.objects.get(pk=order.id)
    slot_services.confirm(store_id=market.store_id, order_id=order.id, version=1)
    outbox.drain()
    assert held(market) == ({1: order.window_minutes}, ["released", "confirmed"])
    assert row.window_version == 2
    in_store = fulfilment.StoreOrder.objects.get(store_id=market.store_id, order_id=order.id)
    assert in_store.window_starts_at == row.window_starts_at
    assert violations(provider, store_id=market.store_id) == []


def test_support_moves_any_order_in_its_own_name(provider, market, order):
    services.reschedule_by_staff(order_id=order.id, window_id=market.window_ids[1], user_id=9, now=MORNING)
    assert now_is(order).events[-1].actor == "staff:9"
    with pytest.raises(OrderNotFound):
        services.reschedule_by_staff(order_id=4, window_id=market.window_ids[1], user_id=9, now=MORNING)


def test_a_store_that_is_picking_keeps_its_window(market, order):
    in_store = fulfilment.StoreOrder.objects.filter(store_id=market.store_id, order_id=order.id)
    in_store.update(status="picking", shopper_id=7, assigned_at=MORNING, picking_started_at=MORNING)
    reschedule(order, market.window_ids[1])
    outbox.drain()
    assert in_store.get().window_starts_at == order.window_starts_at


def test_twenty_clicks_are_one_move(provider, market, order):
    answers = at_once(*[lambda: reschedule(order, market.window_ids[1])] * 20)
    outbox.drain()
    assert answers == [None] * 20
    assert [event.name for event in now_is(order).events][2:] == ["rescheduled"]
    assert held(market) == ({1: order.window_minutes}, ["released", "confirmed"])
    assert violations(provider, store_id=market.store_id) == []


def test_twenty_clicks_on_two_windows_end_in_one(provider, market, order):
    answers = at_once(*[lambda n=n: reschedule(order, market.window_ids[1 + n % 2]) for n in range(20)])
    outbox.drain()
    assert set(answers) <= {None, "reschedule_under_way"}
    after = now_is(order)
    moves = [event for event in after.events if event.name == "rescheduled"]
    assert after.window_id in market.window_ids[1:3]
    assert Counter(answers)[None] >= len(moves) >= 1
    assert held(market)[0] == {market.window_ids.index(after.window_id): order.window_minutes}
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("round_", range(4))
def test_a_shopper_who_accepts_and_a_move_cannot_both_be_first(provider, market, order, round_):
    answers = at_once(
        lambda: reschedule(order, market.window_ids[1]),
        lambda: services.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING),
    )
    outbox.drain()
    after = now_is(order)
    assert (after.status, answers[1]) == ("acknowledged", True)
    moved = [event.name for event in after.events][2:] == ["rescheduled", "acknowledged"]
    assert answers[0] == (None if moved else "too_late_to_reschedule")
    assert held(market)[0] == {int(moved): order.window_minutes}
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("round_", range(4))
def test_a_cancel_beside_a_move_leaves_nothing_held(provider, market, order, round_):
    answers = at_once(
        lambda: reschedule(order, market.window_ids[1]),
        lambda: services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING),
    )
    with clock.shifted_to(MORNING):
        outbox.drain()
    assert answers[0] in (None, "too_late_to_reschedule")
    assert answers[1] is None
    assert now_is(order).status == "canceled"
    assert held(market)[0] == {}
    assert violations(provider, store_id=market.store_id) == []
