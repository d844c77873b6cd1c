"""An order after its placement: picking, the final price, the delivery, and the ways out."""

from datetime import timedelta
from decimal import Decimal

import pytest

import sharding
from apps.common import outbox
from apps.common.errors import DomainError
from apps.common.models import OutboxMessage
from apps.common.money import Money
from apps.orders import models, selectors, services
from apps.orders.domain import EARNED, TRANSITIONS, Status
from apps.orders.errors import IllegalTransition
from apps.orders.types import PickedLine
from apps.pricing import services as pricing
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
from tests.orders.snapshots import changed, snapshot

LATER = MORNING + timedelta(hours=1)

pytestmark = pytest.mark.django_db(databases="__all__")


def at_status(order, status):
    """The order put into ``status`` without its having walked there."""
    models.Order.objects.filter(pk=order.id).update(
        status=status, rejected_code="card_declined" if status == "rejected" else ""
    )
    models.OrderEvent.objects.filter(order_id=order.id).delete()


def waiting():
    """Names of the messages in the customer shards' outboxes."""
    names = []
    for alias in sharding.aliases("customer"):
        names += OutboxMessage.objects.using(alias).order_by("pk").values_list("name", flat=True)
    return names


def history(order):
    return [(event.sequence, event.name) for event in selectors.order_for_staff(order_id=order.id).events]


@pytest.fixture
def order():
    return make_placed_order()


def test_every_step_the_table_lacks_is_refused_and_changes_nothing(order):
    # The steps that place() and finalise() take are refused here as well.
    def rows():
        events = models.OrderEvent.objects.filter(order_id=order.id)
        return models.Order.objects.filter(pk=order.id).values().get(), events.count(), len(waiting())

    allowed = refused = 0
    for before, following in TRANSITIONS.items():
        for after in Status:
            at_status(order, before)
            kept = rows()
            if after is before:
                assert services.transition(order_id=order.id, to=after, actor="test", now=MORNING) is False
                assert rows() == kept
                continue
            if after in following and (before, after) not in EARNED:
                models.Order.objects.filter(pk=order.id).update(sequence=1)
                assert services.transition(order_id=order.id, to=after, actor="test", now=MORNING) is True
                assert models.Order.objects.get(pk=order.id).status == after
                allowed += 1
            else:
                with pytest.raises(IllegalTransition):
                    services.transition(order_id=order.id, to=after, actor="test", now=MORNING)
                assert rows() == kept
                refused += 1
    assert (allowed, refused) == (16, 15 * 14 - 16)


def test_a_step_taken_before_does_no_harm_when_it_is_told_again(order):
    bring_to(order, "picking")
    before = snapshot()
    assert services.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING) is False
    assert changed(before, snapshot()) == set()


def test_the_history_numbers_every_step(order):
    bring_to(order, "delivered")
    outbox.drain()
    assert history(order) == [
        (1, "placed"),
        (2, "brand_new"),
        (3, "acknowledged"),
        (4, "picking"),
        (5, "checkout"),
        (6, "delivering"),
        (7, "delivered"),
        (8, "settled"),
    ]


def test_an_order_given_back_by_its_shopper_is_not_confirmed_twice(order):
    services.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING)
    services.transition(order_id=order.id, to="brand_new", actor="shopper:7", now=MORNING)
    assert waiting() == ["orders.status_changed", "orders.status_changed"]
    assert selectors.order_for_staff(order_id=order.id).confirmed_at == MORNING


def test_unknown_orders_are_not_found(order):
    missing = order.id + (1 << 22)
    for call in [
        lambda: services.transition(order_id=missing, to="picking", actor="test", now=MORNING),
        lambda: services.resume(order_id=missing, now=MORNING),
        lambda: services.settle(order_id=missing, now=MORNING),
        lambda: services.finalise(order_id=missing, now=MORNING),
        lambda: services.check_pin(order_id=missing, pin="0000"),
        lambda: services.cancel(order_id=missing, customer_id=order.customer_id, reason="", now=MORNING),
        lambda: selectors.owner(order_id=missing),
        lambda: selectors.drop_off(order_id=missing),
        lambda: selectors.order(order_id=missing, customer_id=order.customer_id),
        lambda: selectors.order_for_staff(order_id=missing),
    ]:
        with pytest.raises(DomainError) as refusal:
            call()
        assert refusal.value.code == "order_not_found"


# Picking


def line(order, name):
    return next(line for line in order.lines if line.name.startswith(name))


def record(order, name, status="found", quantity="0"):
    return services.record_line(
        order_id=order.id,
        line_id=line(order, name).id,
        status=status,
        found_quantity=Decimal(quantity),
        actor="shopper:7",
        now=MORNING,
    )


def test_lines_are_noted_while_picking(order):
    order = bring_to(order, "picking")
    assert record(order, "Bananas", quantity="2.610") is True
    assert record(order, "Whole", quantity="1") is True
    assert record(order, "Whole", quantity="2") is True
    assert record(order, "Root", "to_refund") is True
    found = selectors.order_for_staff(order_id=order.id)
    assert [(line.status, line.found_quantity) for line in found.lines] == [
        ("found", Decimal("2.610")),
        ("found", Decimal(2)),
        ("to_refund", Decimal(0)),
    ]


@pytest.mark.parametrize(
    ("name", "status", "quantity", "code"),
    [
        ("Bananas", "found", "2.876", "found_quantity_invalid"),
        ("Whole", "found", "3", "found_quantity_invalid"),
        ("Whole", "found", "0.5", "found_quantity_invalid"),
        ("Whole", "found", "-1", "found_quantity_invalid"),
        ("Whole", "found", "NaN", "found_quantity_invalid"),
        ("Whole", "lost", "1", "line_status_invalid"),
    ],
)
def test_what_cannot_have_been_found_is_not_noted(order, name, status, quantity, code):
    order = bring_to(order, "picking")
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        record(order, name, status, quantity)
    assert refusal.value.code == code
    assert changed(before, snapshot()) == set()


def test_a_line_of_another_order_is_not_found(order):
    order = bring_to(order, "picking")
    other = make_placed_order()
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        services.record_line(
            order_id=order.id,
            line_id=other.lines[0].id,
            status="found",
            found_quantity=Decimal(1),
            actor="shopper:7",
            now=MORNING,
        )
    assert refusal.value.code == "order_line_not_found"
    assert changed(before, snapshot()) == set()


def test_nothing_is_noted_before_picking_and_late_notes_change_nothing(order):
    with pytest.raises(IllegalTransition):
        record(order, "Whole", quantity="1")
    order = bring_to(order, "checkout")
    before = snapshot()
    assert record(order, "Whole", quantity="1") is False
    assert changed(before, snapshot()) == set()


def test_the_final_price_waits_for_every_line(order):
    order = bring_to(order, "picking")
    record(order, "Bananas", quantity="2.5")
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        services.finalise(order_id=order.id, now=MORNING)
    assert refusal.value.code == "lines_open"
    assert changed(before, snapshot()) == set()


def test_the_final_price_is_of_what_was_found(order):
    order = bring_to(order, "picking")
    record(order, "Bananas", quantity="2.610")
    record(order, "Whole", quantity="1")
    record(order, "Root", "to_refund")
    assert services.finalise(order_id=order.id, now=MORNING) is True
    final = selectors.order_for_staff(order_id=order.id)
    assert final.status == "checkout"
    assert [(a.kind, a.label, a.amount.cents, a.reason) for a in final.adjustments if a.phase == "final"] == [
        ("item", "Bananas", 154, "found 2.61 of 2.5 lb"),
        ("item", "Whole milk", 349, "found 1 of 2 each"),
        ("fee", "Delivery", 399, ""),
        ("tip", "Tip", 300, ""),
        ("item", "Root beer, 6 bottles", 0, "refunded: 0 of 1 each"),
    ]
    assert (final.estimate, final.total) == (Money(2704), Money(1202))


def test_finalising_twice_prices_once(order):
    bring_to(order, "checkout")
    before = snapshot()
    assert services.finalise(order_id=order.id, now=MORNING) is False
    assert changed(before, snapshot()) == set()


def test_the_check_outs_own_lines_count_over_earlier_notes(order):
    order = bring_to(order, "picking")
    record(order, "Whole", quantity="1")
    lines = [PickedLine(line_id=line.id, status="found", found_quantity=line.quantity) for line in order.lines]
    services.finalise(order_id=order.id, now=MORNING, lines=lines)
    assert selectors.order_for_staff(order_id=order.id).total == Money(2704)


def test_a_fee_that_changes_after_the_order_does_not_change_the_order(order):
    pricing.set_fee(code="service", label="Service", flat_cents=500)
    assert bring_to(order, "checkout").total == Money(2704)


# Delivery and money


def test_the_delivery_takes_exactly_the_sum_of_the_final_lines(order, provider):
    bring_to(order, "delivered", found={line(order, "Bananas").id: "2.61", line(order, "Root").id: "0"})
    outbox.drain()
    settled = selectors.order_for_staff(order_id=order.id)
    final = sum(a.amount.cents for a in settled.adjustments if a.phase == "final")
    assert settled.captured == settled.total == Money(final)
    assert [(i.status, i.received_cents) for i in provider.intents_of(order.id)] == [("captured", final)]
    assert models.Order.objects.get(pk=order.id).due_at is None


def test_settling_again_takes_nothing_more(order, provider):
    bring_to(order, "delivered")
    outbox.drain()
    before = snapshot()
    assert services.settle(order_id=order.id, now=MORNING) == Money(2704)
    assert changed(before, snapshot()) == set()
    assert provider.taken_cents == 2704


def test_nothing_is_taken_before_the_delivery(order, provider):
    bring_to(order, "delivering")
    before = snapshot()
    with pytest.raises(IllegalTransition):
        services.settle(order_id=order.id, now=MORNING)
    assert changed(before, snapshot()) == set()
    assert provider.taken_cents == 0


def test_while_the_provider_is_silent_the_money_waits_and_then_is_taken_once(order, provider):
    provider.is_down = True
    bring_to(order, "delivered")
    relay_once()
    assert selectors.order_for_staff(order_id=order.id).captured is None

    provider.is_down = False
    sweep(order, LATER)
    outbox.drain()
    assert selectors.order_for_staff(order_id=order.id).captured == Money(2704)
    assert provider.taken_cents == 2704


def sweep(order, now):
    return services.sweep(using=sharding.alias_of_id("customer", order.id), now=now)


def test_an_empty_bag_costs_nothing(order, provider):
    bring_to(order, "delivered", found={line.id: "0" for line in order.lines})
    outbox.drain()
    settled = selectors.order_for_staff(order_id=order.id)
    assert (settled.total, settled.captured) == (Money(0), Money(0))
    assert (provider.taken_cents, provider.held_cents) == (0, 0)


# The PIN


def test_the_pin_is_checked_and_wrong_ones_are_counted(order):
    wrong = f"{(int(order.pin) + 1) % 10_000:04}"
    for _ in range(20):
        assert services.check_pin(order_id=order.id, pin=order.pin)
    for _ in range(10):
        assert not services.check_pin(order_id=order.id, pin=wrong)
    with pytest.raises(DomainError) as refusal:
        services.check_pin(order_id=order.id, pin=order.pin)
    assert refusal.value.code == "pin_locked"


def test_an_erased_pin_matches_nothing(order):
    models.Order.objects.filter(pk=order.id).update(data_key=None)
    assert not services.check_pin(order_id=order.id, pin="")


# Canceling


def test_canceling_gives_everything_back(provider):
    market = make_market()
    order = make_placed_order(market=market)
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="Changed my mind\x00", now=MORNING)
    outbox.drain()
    canceled = selectors.order_for_staff(order_id=order.id)
    assert (canceled.status, canceled.events[-1].data) == ("canceled", {"reason": "Changed my mind"})
    assert available(market) == {BANANAS: 500, MILK: 500, BEER: 500}
    assert [intent.status for intent in provider.intents_of(order.id)] == ["canceled"]


def test_canceling_twice_changes_nothing_more(order):
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    outbox.drain()
    before = snapshot()
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    assert changed(before, snapshot()) == set()


def test_somebody_elses_order_is_not_found(order):
    before = snapshot()
    stranger = make_customer().id
    before = snapshot()
    for call in [
        lambda: services.cancel(order_id=order.id, customer_id=stranger, reason="", now=MORNING),
        lambda: selectors.order(order_id=order.id, customer_id=stranger),
    ]:
        with pytest.raises(DomainError) as refusal:
            call()
        assert refusal.value.code == "order_not_found"
    assert changed(before, snapshot()) == set()


@pytest.mark.parametrize("status", ["picking", "checkout", "delivering", "delivered"])
def test_it_is_too_late_to_cancel_once_the_shopping_has_begun(order, status):
    bring_to(order, status)
    outbox.drain()
    before = snapshot()
    with pytest.raises(DomainError) as refusal:
        services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    assert refusal.value.code == "too_late_to_cancel"
    assert changed(before, snapshot()) == set()


def test_an_ended_order_is_looked_after_once_more_and_then_left_alone(order):
    services.cancel(order_id=order.id, customer_id=order.customer_id, reason="", now=MORNING)
    outbox.drain()
    assert models.Order.objects.get(pk=order.id).due_at == MORNING + timedelta(minutes=3)
    services.resume(order_id=order.id, now=MORNING + timedelta(minutes=3))
    assert models.Order.objects.get(pk=order.id).due_at is None
