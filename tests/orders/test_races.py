"""Many at once, on real threads and connections."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connections

from apps.common import clock, outbox
from apps.common.errors import DomainError
from apps.inventory import selectors as inventory
from apps.orders import models, selectors, services
from apps.pricing import services as pricing
from tests.orders.factories import (
    ASKS,
    BANANAS,
    BEER,
    MILK,
    MORNING,
    bring_to,
    make_customer,
    make_market,
    make_placed_order,
    make_ready,
)
from tests.orders.invariants import violations

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call answers, or the code of its refusal; all begin at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        try:
            barrier.wait(timeout=30)
            with clock.shifted_to(MORNING):
                return call()
        except DomainError as refusal:
            return refusal.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def test_twenty_clicks_with_a_key_are_one_order(provider):
    ready = make_ready()
    answers = at_once(*[lambda: ready.place(key="click").order_id] * 20)
    (order,) = models.Order.objects.filter(customer_id=ready.customer.id)
    assert answers == [order.pk] * 20
    outbox.drain()
    assert models.Order.objects.get(pk=order.pk).status == "brand_new"
    assert len(provider.intents) == 1
    assert violations(provider, store_id=ready.market.store_id) == []


def test_twenty_clicks_without_a_key_are_one_order_too(provider):
    ready = make_ready()
    answers = at_once(*[lambda: ready.place().status] * 20)
    assert models.Order.objects.filter(customer_id=ready.customer.id).count() == 1
    assert Counter(answers) == {"brand_new": 1, "cart_stale": 19}
    outbox.drain()
    assert violations(provider, store_id=ready.market.store_id) == []


@pytest.mark.parametrize("round_", range(5))
def test_cancel_and_a_shopper_who_accepts_cannot_both_win(provider, round_):
    pricing.set_ending_fee(ending="acknowledged", flat_cents=500)
    market = make_market()
    order = make_placed_order(market=market)
    answers = at_once(
        lambda: services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING),
        lambda: services.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING),
    )
    outbox.drain()
    after = selectors.order_for_staff(order_id=order.id)
    assert (after.status, answers) in [
        ("canceled", [None, "illegal_transition"]),
        ("acknowledged", ["canceling_costs", True]),
    ]
    assert len(after.events) == 3
    assert violations(provider, store_id=market.store_id) == []


def test_of_twenty_buyers_as_many_win_as_there_are_units(provider):
    market = make_market(stock={BANANAS: "500", MILK: "7", BEER: "500"})
    buyers = [
        make_ready(market=market, customer=make_customer(), quantities={BANANAS: "1", MILK: "1", BEER: "1"})
        for _ in range(20)
    ]
    answers = at_once(*[buyer.place for buyer in buyers])
    outbox.drain()
    outcomes = Counter(
        answer if isinstance(answer, str) else (answer.status, answer.rejected_code) for answer in answers
    )
    assert outcomes.pop(("brand_new", "")) == 7
    assert set(outcomes) <= {"out_of_stock", ("rejected", "out_of_stock")}
    milk = market.item_ids[MILK]
    assert inventory.available(store_id=market.store_id, item_ids=[milk]) == {milk: Decimal(0)}
    assert len([intent for intent in provider.intents.values() if intent.status == "authorised"]) == 7
    assert violations(provider, store_id=market.store_id) == []


def test_a_sweep_beside_the_placement_makes_no_second_order_or_payment(provider):
    ready = make_ready(customer=make_customer(card=ASKS))
    placed = ready.place()
    provider.answer_bank(provider.intents_of(placed.order_id)[0].id, approve=True)
    answers = at_once(*[lambda: services.resume(order_id=placed.order_id, now=MORNING).status] * 10)
    assert answers == ["brand_new"] * 10
    outbox.drain()
    assert [event.to_status for event in selectors.order_for_staff(order_id=placed.order_id).events] == [
        "pending",
        "brand_new",
    ]
    assert violations(provider, store_id=ready.market.store_id) == []


def test_settling_ten_times_at_once_takes_the_money_once(provider):
    market = make_market()
    order = bring_to(make_placed_order(market=market), "delivered")
    answers = at_once(*[lambda: services.settle(order_id=order.id, now=MORNING)] * 10)
    assert order.total in answers
    retried = {answer for answer in answers if answer != order.total}
    assert retried <= {"payment_provider_unavailable", "not_capturable"}
    outbox.drain()
    assert provider.taken_cents == order.total.cents
    assert violations(provider, store_id=market.store_id) == []


def test_a_cancel_in_the_middle_of_a_placement_holds_nothing(provider):
    # The customer cancels from another device while the provider is being asked.
    ready = make_ready()
    asked, may_answer = threading.Event(), threading.Event()
    real = provider.authorise

    def slow(**request):
        asked.set()
        may_answer.wait(timeout=30)
        return real(**request)

    provider.authorise = slow
    with ThreadPoolExecutor(1) as thread:
        placing = thread.submit(lambda: at_once(lambda: ready.place(key="k").status)[0])
        assert asked.wait(timeout=30)
        order_id = models.Order.objects.get(customer_id=ready.customer.id).pk
        services.cancel(order_id=order_id, customer_id=ready.customer.id, reason="", now=MORNING)
        outbox.drain()
        may_answer.set()
        assert placing.result(timeout=30) == "canceled"
    outbox.drain()
    assert provider.held_cents == 0
    assert violations(provider, store_id=ready.market.store_id) == []
