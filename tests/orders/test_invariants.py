"""The checker itself: every kind of broken promise, planted, is found."""

from datetime import timedelta

import pytest

import sharding
from apps.common import outbox
from apps.common.events import Event
from apps.common.money import Money
from apps.inventory import models as inventory
from apps.orders import models
from apps.orders.events import OrderStatusChanged
from apps.payments.gateway import Reference
from apps.slots import models as slots
from tests.orders.factories import MORNING, PAYS, bring_to, make_market, make_placed_order
from tests.orders.invariants import violations

pytestmark = pytest.mark.django_db(databases="__all__")


def stuck(order, provider):
    rows(order).update(status="pending")


def gap(order, provider):
    models.OrderEvent.objects.filter(order_id=order.id, sequence=3).delete()


def step_that_is_none(order, provider):
    models.OrderEvent.objects.filter(order_id=order.id, sequence=5).update(from_status="pending")


def second_authorisation(order, provider):
    reference = Reference(customer_id=order.customer_id, order_id=order.id, step="again", attempt=1)
    amount = Money(order.authorised.cents)
    provider.authorise(customer="c", card=PAYS, amount=amount, reference=reference, return_url="", key="planted")


def other_amount(order, provider):
    provider.amounts[provider.intents_of(order.id)[0].id] += 1


def captured_and_not_noted(order, provider):
    rows(order).update(captured_cents=None)


def a_cent_lost(order, provider):
    models.OrderAdjustment.objects.filter(order_id=order.id, phase="final", kind="tip").update(amount_cents=299)


def stock_not_reserved(order, provider):
    inventory.StockLevel.objects.filter(store_id=order.store_id).update(reserved=0)


def stock_left_held(order, provider):
    inventory.Reservation.objects.filter(store_id=order.store_id).update(state="held")


def window_not_held(order, provider):
    slots.DeliveryWindow.objects.filter(store_id=order.store_id).update(held_minutes=0)


def message_left(order, provider):
    event: Event = OrderStatusChanged(order_id=1, customer_id=1, store_id=1, status="pending", sequence=1)
    with sharding.atomic("customer_0"):
        outbox.emit(event, using="customer_0")


def rows(order):
    return models.Order.objects.filter(pk=order.id)


PLANTED = [
    stuck,
    gap,
    step_that_is_none,
    second_authorisation,
    other_amount,
    captured_and_not_noted,
    a_cent_lost,
    stock_not_reserved,
    stock_left_held,
    window_not_held,
    message_left,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_violation_is_found(plant, provider):
    market = make_market()
    order = bring_to(make_placed_order(market=market), "delivered", now=MORNING + timedelta(minutes=1))
    outbox.drain()
    assert violations(provider, store_id=market.store_id) == []
    plant(order, provider)
    assert violations(provider, store_id=market.store_id) != []
