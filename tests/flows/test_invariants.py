"""The checker itself: every kind of broken promise, planted, is found under its number."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from django.db import connections, transaction

import sharding
from apps.common import outbox
from instacart import invariants
from instacart.invariants import Intent
from tests.flows import steps
from tests.flows.people import Customer, Shopper
from tests.orders.factories import MORNING
from tests.stores.factories import COLUMBUS

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.crosses_databases]

EMIT = (
    "INSERT INTO common_outboxmessage (message_id, name, payload, attempts) VALUES (gen_random_uuid(), 'x', '{{}}', 0)"
)
QUARANTINE = (
    "INSERT INTO common_quarantinedmessage (message_id, name, payload, attempts, reason)"
    " VALUES (gen_random_uuid(), 'x', '{{}}', 12, 'ValueError')"
)
STRIPE = (
    "INSERT INTO payments_stripeevent (id, type, payload, received_at)"
    " VALUES ('evt_1', 'charge.captured', '{{}}', '2026-03-02T14:00Z')"
)

PLANTED = [
    # what is wrong, under which number, in whose database, how ({done} was delivered, {new} waits for a shopper)
    ("a cent too much captured", 1, "customer", ["UPDATE orders_order SET captured_cents = captured_cents + 1"]),
    (
        "a final line that was changed",
        1,
        "customer",
        [("UPDATE orders_orderadjustment SET amount_cents = 299 WHERE kind = 'tip' AND phase = 'final'")],
    ),
    ("delivered and never charged", 1, "customer", ["UPDATE orders_order SET captured_cents = NULL WHERE id = {done}"]),
    (
        "a payment that says less",
        1,
        "customer",
        ["UPDATE payments_payment SET captured_cents = 1 WHERE order_id = {done}"],
    ),
    (
        "a refund nobody noted",
        1,
        "customer",
        ["UPDATE payments_payment SET refunded_cents = 5 WHERE order_id = {done}"],
    ),
    (
        "less on hand than none",
        3,
        "store",
        [
            "ALTER TABLE inventory_stocklevel DROP CONSTRAINT inventory_level_on_hand",
            "ALTER TABLE inventory_stocklevel DROP CONSTRAINT inventory_level_reserved",
            "UPDATE inventory_stocklevel SET on_hand = -1",
        ],
    ),
    ("a unit that nobody moved", 3, "store", ["UPDATE inventory_stocklevel SET on_hand = on_hand + 1"]),
    ("a promise not counted", 3, "store", ["UPDATE inventory_stocklevel SET reserved = 0"]),
    ("minutes not counted", 3, "store", ["UPDATE slots_deliverywindow SET held_minutes = 0"]),
    (
        "one key, two orders",
        4,
        "customer",
        ["DROP INDEX orders_order_once_per_key", "UPDATE orders_order SET idempotency_key = 'k'"],
    ),
    (
        "an acknowledged order that is gone",
        4,
        "customer",
        [
            "DELETE FROM orders_orderadjustment WHERE order_id = {new}",
            "DELETE FROM orders_orderline WHERE order_id = {new}",
            "DELETE FROM orders_orderevent WHERE order_id = {new}",
            "DELETE FROM orders_order WHERE id = {new}",
        ],
    ),
    ("delivered by nobody's batch", 5, "store", ["UPDATE dispatch_batchstop SET state = 'dropped'"]),
    ("a batch with another shopper", 5, "store", ["UPDATE dispatch_batch SET shopper_id = 1"]),
    ("a batch that is still under way", 5, "store", ["UPDATE dispatch_batch SET status = 'picking'"]),
    ("a shopper with a batch that nobody knows", 5, "shopper", ["UPDATE shoppers_assignment SET state = 'accepted'"]),
    ("an event not told", 6, "customer", [EMIT]),
    ("an event not told by the global database", 6, "default", [EMIT]),
    ("an event in quarantine", 6, "shopper", [QUARANTINE]),
    ("a provider's event not handled", 6, "default", [STRIPE]),
    (
        "a step that does not exist",
        7,
        "customer",
        [("UPDATE orders_orderevent SET from_status = 'pending' WHERE to_status = 'delivering'")],
    ),
    ("a step left out", 7, "customer", ["DELETE FROM orders_orderevent WHERE to_status = 'picking'"]),
    ("a status without its step", 7, "customer", ["UPDATE orders_order SET status = 'picking' WHERE id = {new}"]),
    (
        "an order that never came",
        7,
        "customer",
        [("UPDATE orders_order SET window_ends_at = '2026-03-02T09:00Z' WHERE id = {new}")],
    ),
    (
        "a placement without an end",
        7,
        "customer",
        [
            ("UPDATE orders_orderevent SET to_status = 'payment_pending' WHERE order_id = {new} AND sequence = 2"),
            "UPDATE orders_order SET status = 'payment_pending', pay_by = '2026-03-02T09:00Z' WHERE id = {new}",
        ],
    ),
    (
        "a reservation held too long",
        8,
        "store",
        [("UPDATE inventory_reservation SET state = 'held', expires_at = '2026-03-02T14:00Z' WHERE order_id = {new}")],
    ),
    (
        "a window held too long",
        8,
        "store",
        [("UPDATE slots_windowhold SET state = 'held', expires_at = '2026-03-02T14:00Z' WHERE order_id = {new}")],
    ),
    (
        "an offer nobody ended",
        8,
        "store",
        ["UPDATE dispatch_offer SET status = 'sent', expires_at = '2026-03-02T14:00Z'"],
    ),
    (
        "a claim nobody ended",
        8,
        "shopper",
        [("UPDATE shoppers_assignment SET state = 'offered', expires_at = '2026-03-02T14:00Z'")],
    ),
    (
        "an authorisation past its date",
        8,
        "customer",
        [("UPDATE payments_payment SET capture_before = '2026-03-02T14:00Z' WHERE order_id = {new}")],
    ),
    (
        "a capture nobody went on with",
        8,
        "customer",
        [("UPDATE payments_payment SET status = 'capturing', changed_at = '2026-03-02T12:00Z' WHERE order_id = {new}")],
    ),
    (
        "an order its store never heard of",
        9,
        "store",
        [
            (
                "DELETE FROM fulfilment_pickline WHERE store_order_id IN"
                " (SELECT id FROM fulfilment_storeorder WHERE order_id = {new})"
            ),
            "DELETE FROM fulfilment_storeorder WHERE order_id = {new}",
        ],
    ),
    ("goods kept for a delivered order", 9, "store", ["UPDATE inventory_reservation SET state = 'committed'"]),
    (
        "a window that was left and kept",
        9,
        "store",
        [
            (
                "INSERT INTO slots_windowhold (store_id, order_id, version, window_id, minutes, state, expires_at) "
                "SELECT store_id, order_id, 2, window_id, 1, 'confirmed', expires_at FROM slots_windowhold "
                "WHERE order_id = {new}"
            ),
            (
                "UPDATE slots_deliverywindow w SET held_minutes = (SELECT coalesce(sum(minutes), 0) "
                "FROM slots_windowhold h WHERE h.window_id = w.id AND h.state <> 'released')"
            ),
        ],
    ),
    ("a window given away", 9, "store", ["UPDATE slots_windowhold SET state = 'released' WHERE order_id = {new}"]),
    (
        "a line the customer does not pay",
        9,
        "store",
        [("UPDATE fulfilment_pickline SET found_quantity = 1.5 WHERE sold_by = 'weight' AND status = 'found'")],
    ),
    (
        "peak pay that was never promised",
        9,
        "shopper",
        ["UPDATE shoppers_earning SET kind = 'peak_pay' WHERE kind = 'batch_pay'"],
    ),
    ("peak pay that nobody got", 9, "store", ["UPDATE dispatch_batch SET peak_cents = 1"]),
    ("a shopper not paid", 9, "shopper", ["DELETE FROM shoppers_earning WHERE kind = 'batch_pay'"]),
    ("a tip paid to somebody else", 9, "shopper", ["UPDATE shoppers_earning SET amount_cents = 1 WHERE kind = 'tip'"]),
    ("a batch never closed", 9, "store", ["UPDATE dispatch_batch SET status = 'open', shopper_id = NULL"]),
]


class Undone(Exception):
    pass


@contextmanager
def planted(alias: str, statements: list[str]) -> Iterator[None]:
    """What the statements break is whole again afterwards."""
    with suppress(Undone), transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for statement in statements:
                cursor.execute(statement)
        yield
        raise Undone


@pytest.fixture
def orders(bank):
    """One order that was delivered and one that waits for a shopper; customer and store on shards of other numbers."""
    market = steps.market_on("store_1")
    customer = Customer(bank, at=COLUMBUS, shard="customer_0")
    shopper = Shopper(zone_id=steps.zone_of(market.store_id), at=COLUMBUS, shard="shopper_0")
    done = steps.buy(customer, market)
    outbox.drain()
    steps.take_offer(shopper)
    outbox.drain()
    store_order_id = shopper.only_order()["store_order_id"]
    steps.pick(shopper, store_order_id)
    steps.bring(shopper, store_order_id, customer.order(done)["pin"])
    new = steps.buy(customer, market, idempotencyKey="another")
    outbox.drain()
    return {"done": int(done), "new": int(new)}


def test_each_planted_violation_is_found(bank, orders):
    homes = {"customer": "customer_0", "store": "store_1", "shopper": "shopper_0", "default": "default"}
    intents = invariants.at_provider()

    def numbers() -> set[int]:
        found = invariants.violations(now=MORNING, intents=intents, acknowledged=orders.values())
        return {int(line.partition(" ")[0]) for line in found}

    assert numbers() == set()
    missed = {}
    for name, number, where, statements in PLANTED:
        with planted(homes[where], [statement.format(**orders) for statement in statements]):
            found = numbers()
        if number not in found:
            missed[name] = found
    assert missed == {}
    assert numbers() == set()


def test_each_violation_at_the_provider_is_found(bank, orders):
    intents = invariants.at_provider()
    done = next(intent for intent in intents if intent.order_id == orders["done"])
    new = next(intent for intent in intents if intent.order_id == orders["new"])

    def numbers(*known: Intent) -> set[str]:
        return {line[0] for line in invariants.violations(now=MORNING, intents=known)}

    def but(intent: Intent, **changes: object) -> Intent:
        values = {name: getattr(intent, name) for name in Intent.__slots__}
        return Intent(**{**values, **changes})

    assert numbers(done, new) == set()
    assert numbers(but(done, received_cents=1211), new) == {"1"}
    assert numbers(but(done, refunded_cents=1), new) == {"1"}
    assert numbers(done, done, new) == {"1", "2"}
    assert numbers(done, new, new) == {"2"}
    assert numbers(done, new, but(new, order_id=7)) == {"2"}
    assert numbers(done, new, but(new, order_id=None)) == {"2"}
    assert numbers(done, but(new, status="canceled")) == {"2"}


def test_an_order_in_a_database_that_is_not_its_home_is_found(bank, orders):
    columns = "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns WHERE table_name = %s"
    with connections["customer_0"].cursor() as cursor:
        cursor.execute("SELECT customer_id FROM orders_order WHERE id = %s", [orders["new"]])
        (customer_id,) = cursor.fetchone()
        cursor.execute(columns, ["orders_order"])
        (names,) = cursor.fetchone()
        cursor.execute(f"SELECT to_jsonb(o)::text FROM orders_order o WHERE id = {orders['new']}")  # noqa: S608
        (row,) = cursor.fetchone()
    copy = (
        f"INSERT INTO orders_order ({names}) SELECT {names} FROM jsonb_populate_record(NULL::orders_order, %s::jsonb)"  # noqa: S608
    )
    with suppress(Undone), transaction.atomic(using="customer_1"):
        with connections["customer_1"].cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")  # past the triggers that would refuse it
            cursor.execute(copy, [row])
        found = invariants.violations(now=MORNING, acknowledged=orders.values())
        assert [line for line in found if line.startswith("4")] == [
            f"4 order {orders['new']} was acknowledged and is there 2 times",
            f"4 order {orders['new']} is in customer_1, its home is customer_0",
            f"4 customer {customer_id} has 2 orders of the key another",
        ]
        raise Undone


def test_time_alone_breaks_nothing_that_is_kept_for_good(orders):
    assert invariants.violations(now=MORNING + timedelta(hours=2)) == []
    late = invariants.violations(now=MORNING + timedelta(days=1))
    assert late == [f"7 order {orders['new']} is brand_new long after its window"]
    assert sharding.alias_of_id("customer", orders["new"]) == "customer_0"
