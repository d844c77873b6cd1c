"""The same order when messages come late, doubled and backwards: it ends as it does when nothing goes wrong."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

import sharding
from apps.common import outbox
from apps.common.models import OutboxMessage
from apps.dispatch import models as dispatch
from apps.fulfilment import models as fulfilment
from apps.inventory import models as inventory
from apps.shoppers import models as shoppers
from apps.slots import models as slots
from instacart import invariants
from tests import databases
from tests.flows import steps
from tests.flows.people import Customer, Shopper
from tests.orders.factories import MORNING
from tests.stores.factories import COLUMBUS

pytestmark = pytest.mark.django_db(databases="__all__")


class Killed(BaseException):
    """SIGKILL: no ``except`` of the project's runs on the way out."""


class Relay:
    """A relay worker, restarted whenever it dies; its clock leaps over leases and delays."""

    def __init__(self):
        self.now = datetime.now(UTC) + timedelta(days=1)
        self.deaths = 0

    def run(self):
        """Until nothing is left to tell."""
        for _ in range(200):
            self.now += outbox.LEASE + timedelta(seconds=1)
            left = [alias for alias in sharding.all_aliases() if OutboxMessage.objects.using(alias).exists()]
            if not left:
                return
            for alias in left:
                try:
                    outbox.relay(using=alias, now=self.now)
                except Killed:
                    self.deaths += 1
        raise AssertionError("messages that are never delivered")


class Worker:
    """A whole order by one customer and one shopper on shards of other numbers than the store's."""

    def __init__(self, bank):
        self.bank = bank
        self.market = steps.market_on("store_1")
        self.customer = Customer(bank, at=COLUMBUS, shard="customer_0")
        self.shopper = Shopper(zone_id=steps.zone_of(self.market.store_id), at=COLUMBUS, shard="shopper_0")

    def order(self, *, relay, between):
        """``relay`` where somebody has to wait for word, ``between`` after every other step; the order's id."""
        order_id = steps.buy(self.customer, self.market)
        relay()
        steps.take_offer(self.shopper)
        between()
        row = fulfilment.StoreOrder.objects.get(store_id=self.market.store_id, order_id=int(order_id))
        steps.pick(self.shopper, str(row.pk), between=between)
        steps.bring(self.shopper, str(row.pk), self.customer.order(order_id)["pin"], between=between)
        relay()
        return order_id

    def end(self, order_id):
        """Everything the order has come to, without ids and times, of which each run has its own."""
        order = self.customer.order(order_id)
        store_id = self.market.store_id
        (intent,) = (one for one in self.bank.objects("payment_intent") if one["metadata"]["order_id"] == order_id)
        charges = [one for one in self.bank.objects("charge") if one["payment_intent"] == intent["id"]]
        return {
            "order": (order["status"], order["totalCents"], order["capturedCents"], order["authorisedCents"]),
            "lines": [(line["name"], line["status"], line["foundQuantity"]) for line in order["lines"]],
            "money": Counter((a["phase"], a["kind"], a["label"], a["amountCents"]) for a in order["adjustments"]),
            "history": [event["name"] for event in order["events"]],
            "intent": (intent["status"], intent["amount"], intent["amount_received"]),
            "charges": [(one["status"], one["amount"], one["amount_captured"]) for one in charges],
            "stock": sorted(inventory.StockLevel.objects.filter(store_id=store_id).values_list("on_hand", "reserved")),
            "movements": sorted(
                inventory.StockMovement.objects.filter(store_id=store_id).values_list("reason", "delta")
            ),
            "window": sum(
                slots.DeliveryWindow.objects.filter(store_id=store_id).values_list("held_minutes", flat=True)
            ),
            "batches": list(dispatch.Batch.objects.filter(store_id=store_id).values_list("status", "pay_cents")),
            "store": list(fulfilment.StoreOrder.objects.filter(store_id=store_id).values_list("status", flat=True)),
            "assignments": list(
                shoppers.Assignment.objects.filter(shopper_id=self.shopper.id).values_list("state", flat=True)
            ),
            "earned": sorted(
                shoppers.Earning.objects.filter(shopper_id=self.shopper.id).values_list("kind", "amount_cents")
            ),
        }


@pytest.fixture
def worker(bank):
    made = Worker(bank)
    outbox.drain()
    return made


@pytest.fixture
def undisturbed(bank):
    """How it ends when nothing goes wrong."""
    worker = Worker(bank)
    end = worker.end(worker.order(relay=outbox.drain, between=outbox.drain))
    assert end["order"] == ("delivered", 1210, 1210, 3500)
    worker.shopper.call("post", "offline")  # the next order is not for them
    return end


def hold(bank, order_id):
    intents = invariants.at_provider()
    assert invariants.violations(now=MORNING, intents=intents, acknowledged=[int(order_id)]) == []


def killing(times):
    """``outbox._deliver``, killed for each message: first before any handler, then before the message is deleted."""
    real, tries = outbox._deliver, Counter()

    def deliver(message, **more):
        tries[message.message_id] += 1
        nth = tries[message.message_id]
        if nth == 1 and times >= 1:
            raise Killed
        if nth == 2 and times >= 2:
            with mock.patch("django.db.models.query.QuerySet.delete", side_effect=Killed):
                real(message, **more)
            raise AssertionError("delivered without deleting the message")
        return real(message, **more)

    return mock.patch.object(outbox, "_deliver", deliver), tries


@pytest.mark.parametrize("step_by_step", [True, False], ids=["after each step", "all at the end"])
def test_a_relay_that_dies_with_every_message_loses_and_doubles_nothing(bank, undisturbed, worker, step_by_step):
    relay = Relay()
    patch, tries = killing(2)
    with patch:
        order_id = worker.order(relay=relay.run, between=relay.run if step_by_step else lambda: None)
    assert relay.deaths == 2 * len(tries)
    assert set(tries.values()) <= {3, 4}  # 4: a reversed step was refused once and came again
    assert worker.end(order_id) == undisturbed
    hold(bank, order_id)


def backwards():
    """``outbox._claim`` answering the last message first, and each twice."""
    real = outbox._claim

    def claim(**asked):
        return [message for message in reversed(real(**asked)) for _ in range(2)]

    return mock.patch.object(outbox, "_claim", claim)


@pytest.mark.parametrize("step_by_step", [True, False], ids=["after each step", "all at the end"])
def test_messages_doubled_and_backwards_lead_to_the_same_end(bank, undisturbed, worker, step_by_step):
    def drain():
        outbox.drain(aliases=sharding.all_aliases()[::-1])

    with backwards():
        order_id = worker.order(relay=drain, between=drain if step_by_step else lambda: None)
    assert worker.end(order_id) == undisturbed
    hold(bank, order_id)


def test_a_killed_relay_delays_its_messages_by_a_lease_and_no_more(bank, worker):
    steps.buy(worker.customer, worker.market)
    now = datetime.now(UTC) + timedelta(days=1)
    waiting = OutboxMessage.objects.using("customer_0").count()
    patch, _ = killing(1)
    before = databases.contents()
    with patch, pytest.raises(Killed):
        outbox.relay(using="customer_0", now=now)
    assert databases.changed(before, databases.contents()) == {("customer_0", "common_outboxmessage")}
    assert outbox.relay(using="customer_0", now=now + outbox.LEASE - timedelta(seconds=1)) == 0
    assert not fulfilment.StoreOrder.objects.filter(store_id=worker.market.store_id).exists()
    assert outbox.relay(using="customer_0", now=now + outbox.LEASE) == waiting
    assert fulfilment.StoreOrder.objects.get(store_id=worker.market.store_id).status == "waiting"
