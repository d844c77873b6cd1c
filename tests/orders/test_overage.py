"""A final total above what is held: a second hold, goods left behind, or the platform's loss."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common import clock, outbox
from apps.common.money import Money
from apps.fulfilment import services as fulfilment
from apps.inventory import models as inventory
from apps.ledger import selectors as ledger
from apps.orders import domain, models, selectors, services
from apps.orders.errors import IllegalTransition
from apps.orders.types import PickedLine
from apps.payments import models as payment_models
from apps.payments import selectors as payments
from apps.payments import services as payment_services
from apps.payments.errors import ProviderUnavailable
from tests.orders.factories import ASKS, MORNING, make_customer, make_market, make_placed_order, make_ready, relay_once
from tests.orders.invariants import violations
from tests.orders.shop_floor import at_store, check_out, hand_over, hold_only, leave

pytestmark = pytest.mark.django_db(databases="__all__")

TOTAL = 2704


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market)


def standing(order):
    row = models.Order.objects.get(pk=order.id)
    return row.status, row.overage, row.overage_cents


def total(order):
    return selectors.total(order_id=order.id, phase="final").cents


def steps(order):
    made = payments.payments(customer_id=order.customer_id, order_id=order.id)
    return [(payment.step, payment.status, payment.amount.cents, payment.captured.cents) for payment in made]


def accounts(order):
    balance = ledger.balance(customer_id=order.customer_id, order_id=order.id)
    return {name: cents for name, cents in balance.cents.items() if cents}


def statuses(lines):
    return [(line.name, line.status) for line in lines]


def deliver(order):
    leave(order)
    hand_over(order)
    outbox.drain()


def test_what_is_above_the_hold_is_held_by_a_second_payment_and_taken_with_the_first(provider, market, order):
    hold_only(provider, order.id, 2000)
    check_out(order)
    outbox.drain()
    assert standing(order) == ("checkout", "held", 704)
    assert steps(order) == [("estimate", "authorised", 2000, 0), ("overage", "authorised", 704, 0)]
    assert provider.taken_cents == 0
    deliver(order)
    assert steps(order) == [("estimate", "captured", 2000, 2000), ("overage", "captured", 704, 704)]
    assert (total(order), selectors.order_for_staff(order_id=order.id).captured) == (TOTAL, Money(TOTAL))
    assert violations(provider, store_id=market.store_id) == []


def test_a_card_that_will_not_hold_more_leaves_goods_in_the_store(provider, market, order):
    hold_only(provider, order.id, 2000)
    provider.declines_from_now = True
    check_out(order)
    outbox.drain()
    assert standing(order) == ("checkout", "left_behind", 704)
    left = [("Bananas", "found"), ("Whole milk", "found"), ("Root beer, 6 bottles", "to_refund")]
    assert statuses(at_store(order).lines) == left
    assert at_store(order).lines[2].reason == "not_paid_for"
    found = selectors.order_for_staff(order_id=order.id)
    assert statuses(found.lines) == left
    (beer,) = [one for one in found.adjustments if one.phase == "final" and "beer" in one.label]
    assert (beer.amount, beer.reason) == (Money(0), "left behind: your card would not pay for it")
    assert total(order) <= 2000
    sold = {row.item_id: row.on_hand for row in inventory.StockLevel.objects.filter(store_id=market.store_id)}
    assert sold[market.item_ids["beer"]] == 500
    deliver(order)
    assert [step[:2] for step in steps(order)] == [("estimate", "captured"), ("overage", "declined")]
    assert provider.taken_cents == total(order)
    assert violations(provider, store_id=market.store_id) == []


def test_a_bank_that_wants_to_see_its_customer_is_a_no(provider, market):
    ready = make_ready(market=market, customer=make_customer(card=ASKS))
    order_id = ready.place().order_id
    (intent,) = provider.intents_of(order_id)
    provider.answer_bank(intent.id, approve=True)
    services.resume(order_id=order_id, now=MORNING)
    outbox.drain()
    order = selectors.order_for_staff(order_id=order_id)
    hold_only(provider, order_id, 2000)
    check_out(order)
    outbox.drain()
    assert standing(order) == ("checkout", "left_behind", 704)
    (second,) = [one for one in provider.intents_of(order_id) if one.id != intent.id]
    assert second.failure_code == "authentication_required"
    deliver(order)
    assert violations(provider, store_id=market.store_id) == []


def test_goods_that_have_left_are_forgiven_and_the_platform_pays(provider, market, order):
    hold_only(provider, order.id, 2000)
    provider.declines_from_now = True
    check_out(order)
    leave(order)
    hand_over(order)
    outbox.drain()
    assert standing(order) == ("delivered", "forgiven", 704)
    assert {status for _, status in statuses(at_store(order).lines)} == {"found"}
    assert (total(order), provider.taken_cents) == (2000, 2000)
    assert accounts(order)["written_off"] == 704
    assert sum(accounts(order).values()) == 0
    assert violations(provider, store_id=market.store_id) == []


def test_cents_that_no_card_is_charged_with_are_forgiven_at_once(provider, market, order):
    hold_only(provider, order.id, TOTAL - 49)
    check_out(order)
    deliver(order)
    assert standing(order) == ("delivered", "", 0)
    assert [step[0] for step in steps(order)] == ["estimate"]
    assert provider.taken_cents == TOTAL - 49
    assert accounts(order)["written_off"] == 49
    assert violations(provider, store_id=market.store_id) == []


def test_nobody_leaves_the_check_out_before_the_second_payment_is_settled(provider, order):
    hold_only(provider, order.id, 2000)
    for status in ("acknowledged", "picking"):
        services.transition(order_id=order.id, to=status, actor="shopper:7", now=MORNING)
    lines = [PickedLine(line_id=line.id, status="found", found_quantity=line.quantity) for line in order.lines]
    services.finalise(order_id=order.id, lines=lines, now=MORNING)
    assert standing(order) == ("checkout", "asked", 704)
    for status in ("bags_check", "delivering"):
        with pytest.raises(IllegalTransition):
            services.transition(order_id=order.id, to=status, actor="shopper:7", now=MORNING)
    assert standing(order) == ("checkout", "asked", 704)
    assert services.cover(order_id=order.id, can_wait=True, now=MORNING) == ()
    services.transition(order_id=order.id, to="delivering", actor="shopper:7", now=MORNING)


def test_a_silent_provider_is_waited_for_a_minute_and_then_it_was_a_no(provider, market, order):
    hold_only(provider, order.id, 2000)
    check_out(order)
    outbox_until_checkout(order, provider)
    started = selectors.order_for_staff(order_id=order.id).events[-1].at
    with pytest.raises(ProviderUnavailable):
        services.cover(order_id=order.id, can_wait=True, now=started + timedelta(seconds=59))
    assert standing(order) == ("checkout", "asked", 704)
    with clock.shifted_to(started + timedelta(minutes=1)):
        outbox.drain()
    assert standing(order) == ("checkout", "left_behind", 704)
    assert steps(order)[1] == ("overage", "voiding", 704, 0)
    provider.is_down = False
    (alias,) = {models.Order.objects.get(pk=order.id)._state.db}
    payment_services.sweep(using=alias, now=started + timedelta(minutes=5))
    assert steps(order)[1] == ("overage", "voided", 704, 0)
    deliver(order)
    assert provider.taken_cents == total(order) <= 2000
    assert violations(provider, store_id=market.store_id) == []


def outbox_until_checkout(order, provider):
    """Everything up to the check-out is told; from the second payment on nobody answers."""
    provider.is_down = True
    for _ in range(6):
        relay_once()
        if standing(order)[0] == "checkout":
            return
    raise AssertionError


def test_a_hold_that_comes_after_the_no_is_released(provider, market, order):
    hold_only(provider, order.id, 2000)
    check_out(order)
    leave(order)  # nobody waits for an answer any more
    provider.fail_next("authorise", after_work=True)
    outbox.drain()
    assert standing(order) == ("delivering", "forgiven", 704)
    hand_over(order)
    outbox.drain()
    assert provider.held_cents == 0
    assert steps(order)[1] == ("overage", "voided", 704, 0)
    assert violations(provider, store_id=market.store_id) == []


def test_who_asks_again_changes_nothing(provider, order):
    hold_only(provider, order.id, 2000)
    provider.declines_from_now = True
    check_out(order)
    outbox.drain()
    before = selectors.order_for_staff(order_id=order.id)
    provider.declines_from_now = False
    assert services.cover(order_id=order.id, can_wait=True, now=MORNING) == ()
    assert services.forgive(order_id=order.id, now=MORNING) is False
    assert services.leave_behind(order_id=order.id, line_ids=[order.lines[0].id], now=MORNING) is False
    fulfilment.report(store_order_id=at_store(order).id, now=MORNING)
    assert selectors.order_for_staff(order_id=order.id) == before


def test_several_holds_are_taken_in_the_order_of_their_making(provider, market, order):
    # Another service may add holds of its own, whatever their step is called.
    hold_only(provider, order.id, 1500)
    for step, cents in (("added-1", 1000), ("added-2", 700)):
        payment_services.authorise(
            customer_id=order.customer_id,
            order_id=order.id,
            step=step,
            amount=Money(cents),
            card_id=payments.payments(customer_id=order.customer_id, order_id=order.id)[0].card_id,
            return_url="",
            now=MORNING,
        )
    check_out(order)
    deliver(order)
    assert steps(order) == [
        ("estimate", "captured", 1500, 1500),
        ("added-1", "captured", 1000, 1000),
        ("added-2", "captured", 700, 204),
    ]
    assert standing(order) == ("delivered", "", 0)
    assert provider.taken_cents == TOTAL


def test_a_hold_that_ran_out_is_held_anew_before_it_is_taken(provider, market, order):
    hold_only(provider, order.id, 2000)
    check_out(order)
    outbox.drain()
    second = payment_models.Payment.objects.get(customer_id=order.customer_id, order_id=order.id, step="overage")
    provider.expire(second.intent_id)
    payment_services.refresh(customer_id=order.customer_id, order_id=order.id, step="overage", now=MORNING)
    deliver(order)
    assert [step[1] for step in steps(order)] == ["captured", "captured"]
    assert provider.taken_cents == TOTAL


@pytest.mark.parametrize(
    ("estimated", "final", "leaving"),
    [
        ({1: 500, 2: 300, 3: 200}, {1: 500, 2: 300, 3: 200}, [3, 2, 1]),
        ({1: 500, 2: 300, 3: 200}, {1: 500, 2: 700, 3: 210}, [2, 3, 1]),
        ({1: 500}, {1: 500, 2: 900, 3: 100}, [2, 3, 1]),
        ({1: 500, 2: 300}, {1: 0, 2: 300}, [2]),
    ],
)
def test_what_came_to_cost_more_is_left_first_then_what_was_put_on_the_list_last(estimated, final, leaving):
    assert domain.leaving_order(final, estimated) == leaving


@given(
    held=st.lists(st.integers(50, 20_000), min_size=1, max_size=5),
    part=st.decimals(0, 1, places=3),
)
def test_shares_sum_to_the_total_and_none_is_above_its_hold_or_too_small(held, part):
    wanted = int(Decimal(sum(held)) * part)
    shares = domain.shares(wanted, held, smallest=50)
    assert sum(shares) == wanted
    assert all(0 <= share <= hold for share, hold in zip(shares, held, strict=True))
    too_small = [place for place, share in enumerate(shares) if 0 < share < 50]
    assert not too_small or shares[too_small[0] - 1] < 100 or too_small == [0]
