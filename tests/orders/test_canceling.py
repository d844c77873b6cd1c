"""Ends without a delivery: who may cancel until when, what it costs, and where the money goes."""

from datetime import timedelta
from decimal import Decimal

import pytest

import sharding
from apps.common import clock, outbox
from apps.common.errors import DomainError
from apps.common.money import Money
from apps.fulfilment import services as fulfilment
from apps.ledger import selectors as ledger
from apps.orders import models, selectors, services
from apps.orders.errors import IllegalTransition
from apps.payments import selectors as payments
from apps.payments import services as payment_services
from apps.pricing import services as pricing
from apps.stores import selectors as stores
from tests.orders.factories import (
    BANANAS,
    BEER,
    MILK,
    MORNING,
    bring_to,
    make_customer,
    make_market,
    make_placed_order,
    relay_once,
)
from tests.orders.holdings import available
from tests.orders.invariants import violations
from tests.orders.provider import Provider
from tests.orders.shop_floor import at_store, check_out, hold_only, leave, take
from tests.orders.snapshots import changed, snapshot
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__")

FULL = {BANANAS: 500, MILK: 500, BEER: 500}


@pytest.fixture(autouse=True)
def fees():
    pricing.set_ending_fee(ending="acknowledged", flat_cents=500)
    pricing.set_ending_fee(ending="returned", flat_cents=1000)


@pytest.fixture
def market():
    return make_market()


@pytest.fixture
def order(market):
    return make_placed_order(market=market)


def taken(order):
    take(order)
    outbox.drain()
    assert status(order) == "acknowledged"
    return order


def cancel(order, agreed=None, now=MORNING):
    services.cancel(
        order_id=order.id,
        customer_id=order.customer_id,
        reason="",
        agreed=None if agreed is None else Money(agreed),
        now=now,
    )


def cancel_for_customer(order, reason="out_of_stock"):
    services.cancel_for_customer(order_id=order.id, actor="store:3", reason=reason, note="Sorry", now=MORNING)


def quote(order):
    found = selectors.cancellation(order_id=order.id, customer_id=order.customer_id)
    return found.is_possible, found.fee.cents


def status(order):
    return selectors.order_for_staff(order_id=order.id).status


def final(order):
    lines = selectors.order_for_staff(order_id=order.id).adjustments
    return [(line.kind, line.code, line.amount.cents) for line in lines if line.phase == "final"]


def accounts(order):
    balance = ledger.balance(customer_id=order.customer_id, order_id=order.id)
    return {name: cents for name, cents in balance.cents.items() if cents} if balance else {}


def missed(order, provider):
    """On the road, and nobody is there."""
    check_out(order)
    leave(order)
    outbox.drain()
    services.transition(order_id=order.id, to="customer_missing", actor="shopper:7", now=MORNING)


def test_what_canceling_costs_is_said_before(order, market):
    assert quote(order) == (True, 0)
    taken(order)
    assert quote(order) == (True, 500)
    pricing.set_ending_fee(
        ending="acknowledged", flat_cents=700, zone_id=stores.store(store_id=market.store_id).zone_id
    )
    assert quote(order) == (True, 700)
    hold_only(Provider(), order.id, 600)
    assert quote(order) == (True, 600)
    bring_to(order, "picking")
    assert quote(order) == (False, 0)
    with pytest.raises(DomainError) as refusal:
        selectors.cancellation(order_id=order.id, customer_id=make_customer().id)
    assert refusal.value.code == "order_not_found"


def test_who_was_shown_the_fee_pays_it_from_the_hold(provider, market, order):
    taken(order)
    cancel(order, agreed=500)
    outbox.drain()
    assert (status(order), final(order)) == ("canceled", [("fee", "cancellation", 500)])
    (payment,) = payments.payments(customer_id=order.customer_id, order_id=order.id)
    assert (payment.status, payment.captured) == ("captured", Money(500))
    assert accounts(order) == {"provider_cash": 500, "platform_revenue": -500}
    assert (provider.taken_cents, provider.held_cents) == (500, 0)
    assert available(market) == FULL
    assert at_store(order).status == "canceled"
    found = selectors.order_for_staff(order_id=order.id)
    assert (found.captured, [event.name for event in found.events][-2:]) == (Money(500), ["canceled", "fee_charged"])
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("agreed", [None, 499])
def test_who_was_shown_less_has_canceled_nothing(order, agreed):
    taken(order)
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        cancel(order, agreed=agreed)
    assert refusal.value.code == "canceling_costs"
    assert str(refusal.value) == (
        "A shopper has taken your order: canceling it costs $5.00 now. Nothing was canceled yet."
    )
    assert changed(before, snapshot()) == set()


def test_an_order_that_was_given_back_costs_nothing_again(provider, market, order):
    taken(order)
    fulfilment.unassign(store_id=market.store_id, store_order_ids=[at_store(order).id], shopper_id=7)
    outbox.drain()
    assert quote(order) == (True, 0)
    cancel(order, agreed=500)
    outbox.drain()
    assert (status(order), final(order), provider.taken_cents) == ("canceled", [], 0)


def test_where_there_is_no_rule_it_costs_nothing(provider, market, order):
    pricing.set_ending_fee(ending="acknowledged", flat_cents=0)
    taken(order)
    cancel(order)
    outbox.drain()
    assert (status(order), final(order), provider.taken_cents, provider.held_cents) == ("canceled", [], 0, 0)
    assert violations(provider, store_id=market.store_id) == []


def test_a_fee_that_the_bank_will_not_pay_any_more_is_written_off(provider, market, order):
    taken(order)
    (intent,) = provider.intents_of(order.id)
    provider.expire(intent.id)
    payment_services.refresh(customer_id=order.customer_id, order_id=order.id, step="estimate", now=MORNING)
    provider.declines_from_now = True
    cancel(order, agreed=500)
    outbox.drain()
    assert final(order) == [("fee", "cancellation", 500), ("forgiven", "forgiven", -500)]
    assert accounts(order) == {"written_off": 500, "platform_revenue": -500}
    assert provider.taken_cents == 0
    with clock.shifted_to(MORNING + timedelta(minutes=4)):
        services.resume(order_id=order.id, now=clock.now())
    assert models.Order.objects.get(pk=order.id).due_at is None
    assert violations(provider, store_id=market.store_id) == []


def ask_about_the_milk(market, order):
    """All the rest is found, and beer is proposed instead, which is kept for the order meanwhile."""
    row = at_store(order)
    mine = {"store_order_id": row.id, "shopper_id": 7, "now": MORNING}
    milk = market.item_ids[MILK]
    for line in row.lines:
        if line.item_id != milk:
            fulfilment.mark_found(**mine, line_id=line.id, quantity=line.quantity)
    (asked,) = [line.id for line in row.lines if line.item_id == milk]
    beer = market.item_ids[BEER]
    fulfilment.propose(**mine, line_id=asked, item_id=beer, quantity=Decimal(3), key="instead")
    outbox.drain()


@pytest.mark.parametrize("until", ["brand_new", "acknowledged", "picking", "verifying_replacements"])
def test_the_store_cancels_until_the_check_out_for_free(provider, market, order, until):
    if until != "brand_new":
        take(order)
        fulfilment.start_picking(store_order_id=at_store(order).id, shopper_id=7, now=MORNING)
        if until == "acknowledged":
            services.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING)
        else:
            outbox.drain()
    if until == "verifying_replacements":
        ask_about_the_milk(market, order)
    assert status(order) == until
    cancel_for_customer(order)
    outbox.drain()
    found = selectors.order_for_staff(order_id=order.id)
    assert (found.status, found.events[-1].actor) == ("canceled", "store:3")
    assert found.events[-1].data == {"reason": "out_of_stock", "note": "Sorry"}
    assert [one.status for one in found.replacements] == ["withdrawn"] * (until == "verifying_replacements")
    assert (provider.taken_cents, provider.held_cents, final(order)) == (0, 0, [])
    assert at_store(order).status == "canceled"
    assert available(market) == FULL
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.parametrize("until", ["checkout", "delivering", "delivered"])
def test_nobody_cancels_from_the_check_out_on(order, until):
    bring_to(order, until)
    outbox.drain()
    before = snapshot()
    for refused in (cancel, cancel_for_customer):
        with pytest.raises(DomainError) as refusal:
            refused(order)
        assert refusal.value.code == "too_late_to_cancel"
    assert changed(before, snapshot()) == set()


def test_a_reason_that_is_none_cancels_nothing(order):
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        cancel_for_customer(order, reason="bored")
    assert refusal.value.code == "cancel_reason_invalid"
    assert changed(before, snapshot()) == set()


def test_words_of_the_store_that_come_after_a_cancel_are_let_pass(provider, market, order):
    check_out(order)  # nothing of it is told yet
    services.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING)
    services.transition(order_id=order.id, to="picking", actor="shopper:7", now=MORNING)
    cancel_for_customer(order)
    store_order_id = at_store(order).id
    fulfilment.report(store_order_id=store_order_id, now=MORNING)
    fulfilment.report_line(store_order_id=store_order_id, line_id=order.lines[0].id, now=MORNING)
    assert status(order) == "canceled"
    outbox.drain()
    assert (at_store(order).status, available(market)) == ("canceled", FULL)
    assert violations(provider, store_id=market.store_id) == []


def test_what_comes_back_costs_the_restocking_fee_instead_of_the_goods(provider, market, order):
    hold_only(provider, order.id, 2000)
    missed(order, provider)
    assert len(payments.payments(customer_id=order.customer_id, order_id=order.id)) == 2
    services.return_order(order_id=order.id, actor="staff:1", note="Nobody opened", now=MORNING)
    services.return_order(order_id=order.id, actor="staff:1", now=MORNING)
    outbox.drain()
    assert (status(order), final(order)) == ("returned", [("fee", "restocking", 1000)])
    made = payments.payments(customer_id=order.customer_id, order_id=order.id)
    assert [(one.step, one.status) for one in made] == [("estimate", "captured"), ("overage", "voided")]
    assert (provider.taken_cents, provider.held_cents) == (1000, 0)
    assert accounts(order) == {"provider_cash": 1000, "platform_revenue": -1000}
    assert at_store(order).status == "canceled"
    assert violations(provider, store_id=market.store_id) == []


def test_only_who_was_missed_is_returned(order):
    bring_to(order, "delivering")
    before = snapshot()
    with pytest.raises(IllegalTransition):
        services.return_order(order_id=order.id, actor="staff:1", now=MORNING)
    with pytest.raises(IllegalTransition):
        services.transition(order_id=order.id, to="canceled", actor="staff:1", now=MORNING)
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize("after_work", [True, False])
def test_a_fee_is_taken_once_though_the_answer_was_lost(provider, market, order, after_work):
    taken(order)
    provider.fail_next("capture", after_work=after_work)
    cancel(order, agreed=500)
    relay_once()
    with clock.shifted_to(MORNING + timedelta(minutes=4)):
        services.sweep(using=sharding.alias_for("customer", order.customer_id), now=clock.now())
        outbox.drain()
    assert provider.taken_cents == 500
    assert violations(provider, store_id=market.store_id) == []


@pytest.mark.django_db(transaction=True, databases="__all__")
class TestRaces:
    @pytest.mark.parametrize("round_", range(3))
    def test_a_cancel_beside_the_final_price_leaves_one_of_them(self, provider, market, round_):
        order = make_placed_order(market=market)
        check_out(order)
        services.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING)
        services.transition(order_id=order.id, to="picking", actor="shopper:7", now=MORNING)
        report = {"store_order_id": at_store(order).id, "now": MORNING}
        acts = (lambda: cancel_for_customer(order), lambda: fulfilment.report(**report))
        said = answers_at_once(lambda i: acts[i](), 2)
        outbox.drain()
        if status(order) == "canceled":
            assert said == [None, None]
            assert provider.held_cents == provider.taken_cents == 0
            assert available(market) == FULL
        else:
            assert [getattr(said[0], "code", ""), said[1]] == ["too_late_to_cancel", None]
            assert status(order) == "checkout"
        assert violations(provider, store_id=market.store_id) == []

    def test_ten_cancels_and_the_beginning_of_the_picking_end_at_one_of_them(self, provider, market):
        order = taken(make_placed_order(market=market))

        def act(i):
            if i == 5:
                return services.transition(order_id=order.id, to="picking", actor="shopper:7", now=MORNING)
            return cancel(order, agreed=500)

        answers_at_once(act, 11)
        outbox.drain()
        assert (status(order), provider.taken_cents) in [("canceled", 500), ("picking", 0)]
        assert violations(provider, store_id=market.store_id) == []
