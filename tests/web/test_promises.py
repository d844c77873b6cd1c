"""The checker of invariant 11: content with what really happens, and each broken promise, planted, is found."""

import pytest
from django.core import mail
from django.db import connections

import sharding
from apps.common import clock, outbox
from apps.common.money import Money
from apps.notifications import services as notifications
from apps.orders import services
from tests.notifications import invariants
from tests.orders.factories import MORNING, bring_to, make_placed_order, make_ready

pytestmark = pytest.mark.django_db(databases="__all__")


def send():
    for alias in sharding.aliases("customer"):
        notifications.send_due(using=alias, now=clock.now())


def arrived():
    return invariants.by_number(letter.message() for letter in mail.outbox)


@pytest.fixture
def quiet(provider):
    """One order canceled, one that waited for the provider, one delivered and in part given back; all told."""
    canceled = make_placed_order()
    services.cancel(order_id=canceled.id, customer_id=canceled.customer_id, reason="", now=MORNING)
    waiting = make_ready()
    provider.is_down = True
    waiting.place()
    outbox.drain()
    send()
    provider.is_down = False
    order = bring_to(make_placed_order(), "delivered")
    outbox.drain()
    services.refund(order_id=order.id, key="1", reason="late", actor="staff:5", now=clock.now(), amount=Money(100))
    outbox.drain()
    send()
    assert invariants.violations(arrived=arrived()) == []
    return order


def forge(order, statement):
    with connections[sharding.alias_of_id("customer", order.id)].cursor() as cursor:
        cursor.execute(statement.format(id=order.id))
        assert cursor.rowcount == 1


PLANTED = {
    "never taken down": (
        "DELETE FROM notifications_notification WHERE key = 'order_delivered:{id}:'",
        "was never to be told order_delivered:{id}:",
    ),
    "a refund never taken down": (
        "DELETE FROM notifications_notification WHERE key = 'refund_made:{id}:1'",
        "was never to be told refund_made:{id}:1",
    ),
    "left lying": (
        "UPDATE notifications_notification SET status = 'queued', due_at = now() WHERE key = 'order_placed:{id}:'",
        "order_placed:{id}: is still queued",
    ),
    "being sent for ever": (
        "UPDATE notifications_notification SET status = 'sending', due_at = now() WHERE key = 'order_placed:{id}:'",
        "order_placed:{id}: is still sending",
    ),
    "failed": (
        "UPDATE notifications_notification SET status = 'failed' WHERE key = 'order_placed:{id}:'",
        "order_placed:{id}: failed, and nobody has looked",
    ),
    "sent and said not to be": (
        "UPDATE notifications_notification SET status = 'skipped' WHERE key = 'order_placed:{id}:'",
        "order_placed:{id}: arrived 1 times and was not to be sent",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(quiet, name):
    statement, said = PLANTED[name]
    forge(quiet, statement)
    (fault,) = invariants.violations(arrived=arrived())
    assert fault.startswith("11 ")
    assert fault.endswith(said.format(id=quiet.id))


@pytest.mark.parametrize("copies", [0, 3])
def test_a_letter_that_arrived_never_or_three_times_is_found(quiet, copies):
    letters = arrived()
    number = max(letters)
    (fault,) = invariants.violations(arrived={**letters, number: copies})
    assert fault.endswith(f"arrived {copies} times, 1 were noted")
