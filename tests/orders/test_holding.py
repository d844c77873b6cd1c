"""A window that is further away than a hold lasts: the card is checked now, held later. Expired holds are renewed."""

from datetime import timedelta

import pytest

import sharding
from apps.common import clock, outbox
from apps.orders import models, selectors, services
from apps.payments import selectors as payment_selectors
from apps.payments import services as payments
from apps.payments.errors import NotCapturable
from apps.slots import selectors as slots
from apps.slots import services as slot_services
from tests.orders.factories import (
    ASKS,
    DECLINES,
    MORNING,
    PAYS,
    bring_to,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
)
from tests.orders.invariants import violations

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def four_days(settings):
    settings.PAYMENT_HOLD_DAYS = 4


@pytest.fixture
def market():
    """With windows for a week."""
    made = make_market()
    slot_services.open_windows(store_id=made.store_id, first_day=MORNING.date(), days=7, now=MORNING)
    return made


def place(market, card=PAYS):
    ready = make_ready(market=market, customer=make_customer(card=card))
    last = max(
        slots.open_windows(store_id=market.store_id, now=MORNING, minutes=1), key=lambda window: window.starts_at
    )
    placed = ready.place(window_id=last.id)
    outbox.drain()
    return placed, row(placed.order_id)


def row(order_id):
    return models.Order.objects.get(pk=order_id)


def paid(order):
    (payment,) = payment_selectors.payments(customer_id=order.customer_id, order_id=order.pk)
    return payment.status


def hold_at(order):
    return order.window_ends_at - timedelta(days=4)


def sweep(now):
    with clock.shifted_to(now):
        for alias in sharding.aliases("customer"):
            services.sweep(using=alias, now=now)
        outbox.drain()


def test_far_away_the_card_is_checked_and_nothing_held_until_four_days_before(market, provider):
    placed, order = place(market)
    assert hold_at(order) > MORNING + timedelta(days=1)
    assert (placed.status, paid(order), order.due_at) == ("brand_new", "checked", hold_at(order))
    assert provider.intents == {}
    sweep(hold_at(order) - timedelta(seconds=1))
    assert provider.intents == {}
    sweep(hold_at(order))
    order = row(order.pk)
    assert (order.status, paid(order), order.due_at) == ("brand_new", "authorised", None)
    assert provider.held_cents == order.authorise_cents
    assert violations(provider, store_id=order.store_id) == []


def test_near_by_it_is_held_at_once(provider):
    order = make_placed_order()
    assert provider.held_cents == order.authorised.cents
    assert provider.checks == {}


def test_a_bank_that_wants_to_see_its_customer_is_asked_when_ordering(market, provider):
    placed, order = place(market, ASKS)
    assert (placed.status, placed.action_url) == ("pending", "https://bank.example/seti_1")
    provider.answer_check("seti_1", approve=True)
    assert services.resume(order_id=order.pk, now=MORNING).status == "brand_new"
    outbox.drain()
    assert (paid(order), provider.intents) == ("checked", {})


def test_a_check_that_is_denied_ends_the_order(market, provider):
    _, order = place(market, ASKS)
    provider.answer_check("seti_1", approve=False)
    assert services.resume(order_id=order.pk, now=MORNING).rejected_code == "card_declined"
    outbox.drain()
    sweep(MORNING + timedelta(minutes=5))
    assert violations(provider, store_id=order.store_id) == []


def test_a_check_that_nobody_answers_ends_the_order(market, provider):
    _, order = place(market, ASKS)
    sweep(MORNING + timedelta(minutes=11))
    sweep(MORNING + timedelta(minutes=16))
    assert row(order.pk).rejected_code == "payment_not_completed"
    assert paid(order) == "voided"
    assert violations(provider, store_id=order.store_id) == []


def test_a_card_that_is_declined_when_the_time_has_come_ends_the_order(market, provider):
    placed, order = place(market, DECLINES)
    assert (placed.status, paid(order)) == ("brand_new", "checked")
    sweep(hold_at(order))
    sweep(hold_at(order) + timedelta(minutes=5))
    found = selectors.order_for_staff(order_id=order.pk)
    assert (found.status, found.events[-1].data) == ("canceled", {"reason": "card_declined"})
    assert violations(provider, store_id=order.store_id) == []


def test_while_the_provider_is_silent_it_is_tried_again(market, provider):
    _, order = place(market)
    provider.is_down = True
    sweep(hold_at(order))
    assert (row(order.pk).status, row(order.pk).due_at) == ("brand_new", hold_at(order) + timedelta(seconds=30))
    provider.is_down = False
    sweep(hold_at(order) + timedelta(minutes=1))
    assert (paid(order), row(order.pk).due_at) == ("authorised", None)


def test_without_an_answer_until_the_cut_off_the_order_ends(market, provider):
    _, order = place(market)
    provider.is_down = True
    sweep(order.pay_by)
    provider.is_down = False
    sweep(order.pay_by + timedelta(minutes=5))
    assert (row(order.pk).status, paid(order)) == ("canceled", "voided")
    assert violations(provider, store_id=order.store_id) == []


def test_canceled_before_the_hold_nothing_was_ever_held(market, provider):
    _, order = place(market)
    services.cancel(order_id=order.pk, customer_id=order.customer_id, reason="", now=MORNING)
    outbox.drain()
    assert (paid(order), provider.intents) == ("voided", {})
    sweep(hold_at(order))
    assert provider.intents == {}


@pytest.mark.parametrize("card", [PAYS, ASKS])
def test_a_hold_that_expires_under_way_is_held_anew_or_ends_the_order(market, provider, card):
    if card == ASKS:
        ready = make_ready(customer=make_customer(card=card))
        order = row(ready.place().order_id)
        provider.answer_bank("pi_1", approve=True)
        services.resume(order_id=order.pk, now=MORNING)
        outbox.drain()
    else:
        order = row(make_placed_order().id)
    (intent,) = provider.intents_of(order.pk)
    provider.expire(intent.id)
    payments.refresh(customer_id=order.customer_id, order_id=order.pk, step="estimate", now=MORNING)
    outbox.drain()
    assert (paid(order), row(order.pk).status) == (
        ("authorised", "brand_new") if card == PAYS else ("declined", "canceled")
    )
    sweep(MORNING + timedelta(minutes=5))
    assert provider.intents_of(order.pk)[0].status == "canceled"
    assert violations(provider, store_id=order.store_id) == []


def test_a_hold_that_expired_before_the_delivery_is_held_anew_and_captured(provider):
    order = make_placed_order()
    (intent,) = provider.intents_of(order.id)
    provider.expire(intent.id)
    bring_to(order, "delivered")
    outbox.drain()
    assert [i.status for i in provider.intents_of(order.id)] == ["canceled", "captured"]
    assert violations(provider, store_id=order.store_id) == []


def test_a_hold_that_expired_and_a_card_that_is_declined_leave_the_order_to_a_person(provider):
    order = make_placed_order(customer=make_customer())
    (intent,) = provider.intents_of(order.id)
    provider.expire(intent.id)
    bring_to(order, "delivered")
    provider.declines_from_now = True
    with pytest.raises(NotCapturable):
        services.settle(order_id=order.id, now=MORNING)
    late = order.placed_at + timedelta(hours=5)
    using = sharding.alias_of_id("customer", order.id)
    assert selectors.stuck(using=using, now=late) == (order.id,)
    assert provider.taken_cents == 0
