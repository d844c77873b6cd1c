"""One order, from signing up to the doorstep, through nothing but what apps outside call.

GraphQL and REST with tokens got by OAuth, the payment provider over HTTP, the planner's task, the relay.
"""

from collections import Counter
from decimal import Decimal

import pytest

import sharding
from apps.common import clock, outbox
from apps.dispatch import models as dispatch
from apps.dispatch.steering import peaks
from apps.fulfilment import models as fulfilment
from apps.inventory import models as inventory
from apps.slots import models as slots
from apps.stores import selectors as stores
from instacart import invariants
from tests import databases
from tests.flows import people, steps
from tests.flows.people import Customer, Shopper
from tests.orders.factories import BANANAS, BEER, MILK, MORNING
from tests.stores.factories import COLUMBUS

pytestmark = pytest.mark.django_db(databases="__all__")

RUNNING = {"accounts_user", "oauth2_provider_accesstoken", "django_session"}


def total(order, phase):
    return sum(line["amountCents"] for line in order["adjustments"] if line["phase"] == phase)


@pytest.mark.parametrize(("here", "there"), [(0, 1), (1, 0)], ids=["customer_0-store_1", "customer_1-store_0"])
def test_an_order_over_three_keyspaces(bank, here, there):
    home, shop, work = f"customer_{here}", f"store_{there}", f"shopper_{here}"
    market = steps.market_on(shop)
    customer = Customer(bank, at=COLUMBUS, shard=home)
    shopper = Shopper(zone_id=steps.zone_of(market.store_id), at=COLUMBUS, shard=work)
    outbox.drain()
    before = databases.contents()

    order_id = steps.buy(customer, market)
    outbox.drain()
    assert customer.order(order_id)["status"] == "brand_new"
    offer = steps.take_offer(shopper)
    outbox.drain()
    assert (offer["items"], offer["units"], offer["tips_cents"]) == (3, 4, 300)
    assert customer.order(order_id)["status"] == "acknowledged"
    entry = shopper.only_order()
    assert (entry["order_id"], entry["drop_off"]["line1"]) == (order_id, "20 Spring Street")
    steps.pick(shopper, entry["store_order_id"])
    assert customer.order(order_id)["status"] == "checkout"
    steps.bring(shopper, entry["store_order_id"], customer.order(order_id)["pin"])

    order = customer.order(order_id)
    # 2.75 lb at 59 cents (162.25) and one milk; 3.99 for the delivery and 3.00 for the shopper
    assert (order["status"], total(order, "final")) == ("delivered", 162 + 349 + 399 + 300)
    assert order["capturedCents"] == order["totalCents"] == total(order, "final")
    assert order["estimateCents"] == total(order, "estimate") == 2704
    assert [event["sequence"] for event in order["events"]] == list(range(1, len(order["events"]) + 1))
    assert [event["name"] for event in order["events"]] == [
        *("placed", "brand_new", "acknowledged", "picking", "checkout", "delivering", "delivered", "settled")
    ]
    (summary,) = customer.ask(people.ORDERS)["orders"]["nodes"]
    assert summary == {name: order[name] for name in ("id", "storeId", "status", "totalCents")}

    # The provider: one authorisation, one capture of just that.
    (intent,) = bank.objects("payment_intent")
    assert (intent["status"], intent["amount"], intent["amount_received"]) == ("succeeded", 3500, 1210)
    (charge,) = bank.objects("charge")
    assert (charge["status"], charge["captured"], charge["amount_captured"]) == ("succeeded", True, 1210)
    moved = [(one["type"], one["amount"]) for one in bank.objects("balance_transaction")]
    assert moved == [("charge", 1210)]

    # The store: what was found has left the shelf, nothing is promised, the window gave
    # 12 + 3 * 1.25 + 5.5 * 0.1 + 1.85 min.
    levels = inventory.StockLevel.objects.filter(store_id=market.store_id).values_list("item_id", "on_hand", "reserved")
    assert {item_id: (on_hand, reserved) for item_id, on_hand, reserved in levels} == {
        market.item_ids[BANANAS]: (Decimal("497.250"), 0),
        market.item_ids[MILK]: (Decimal(499), 0),
        market.item_ids[BEER]: (Decimal(500), 0),
    }
    held = slots.DeliveryWindow.objects.filter(store_id=market.store_id, held_minutes__gt=0)
    assert [window.held_minutes for window in held] == [19]
    store_order = fulfilment.StoreOrder.objects.get(store_id=market.store_id, order_id=int(order_id))
    assert (store_order.status, store_order.shopper_id) == ("delivered", shopper.id)
    batch = dispatch.Batch.objects.get(pk=int(offer["batch_id"]))
    assert (batch.status, batch.shopper_id) == ("completed", shopper.id)

    # The shopper.
    assert shopper.call("get", "batch") == {"batch": None}
    earned = shopper.call("get", "earnings")
    assert {(line["kind"], line["amount_cents"], line["order_id"]) for line in earned["earnings"]} == {
        ("batch_pay", offer["pay_cents"], None),
        ("tip", 300, order_id),
    }

    # Every row that the order left, in every database; outboxes and quarantines are as empty as they were.
    # (The zone's first lease is made known to all its stores.)
    of_zone = stores.stores_of_zone(zone_id=steps.zone_of(market.store_id))
    zone_stores = Counter(sharding.alias_for("store", store.id) for store in of_zone)
    assert databases.grown(before, databases.contents()) == {
        (home, "carts_cart"): 1,
        (home, "orders_order"): 1,
        (home, "orders_orderline"): 3,
        (home, "notifications_notification"): 3,
        (home, "orders_orderadjustment"): len(order["adjustments"]),
        (home, "orders_orderevent"): 8,
        (home, "payments_payment"): 1,
        (home, "ledger_ledgerentry"): 6,  # items, commission, fee, tip; captured; the tip passed on
        (shop, "inventory_reservation"): 3,
        (shop, "inventory_stockmovement"): 2,
        (shop, "slots_windowhold"): 1,
        (shop, "fulfilment_storeorder"): 1,
        (shop, "fulfilment_pickline"): 3,
        (shop, "fulfilment_proof"): 1,
        (shop, "dispatch_batch"): 1,
        (shop, "dispatch_batchstop"): 2,
        (shop, "dispatch_offer"): 1,
        (shop, "inventory_foundstat"): 3,
        (shop, "common_inboxmessage"): 1,
        (work, "shoppers_assignment"): 1,
        (work, "shoppers_earning"): 2,
        (work, "shoppers_pick"): 1,
        ("default", "dispatch_plannerlease"): 1,
        **{(shard, "dispatch_storefence"): stores_there for shard, stores_there in zone_stores.items()},
    }
    assert invariants.violations(now=MORNING, intents=invariants.at_provider(), acknowledged=[int(order_id)]) == []


def test_a_strangers_order_is_nowhere_to_be_seen(bank):
    market = steps.market_on("store_1")
    mine = Customer(bank, at=COLUMBUS, shard="customer_0")
    order_id = steps.buy(mine, market)
    for shard in sharding.aliases("customer"):
        stranger = Customer(bank, at=COLUMBUS, shard=shard)
        assert stranger.ask(people.ORDERS)["orders"]["nodes"] == []
        with pytest.raises(people.Refusal) as refusal:
            stranger.order(order_id)
        assert refusal.value.code == "order_not_found"


def test_what_is_paid_because_shoppers_are_short_is_a_line_of_its_own(bank):
    market = steps.market_on("store_1")
    zone_id = steps.zone_of(market.store_id)
    customer = Customer(bank, at=COLUMBUS, shard="customer_0")
    shopper = Shopper(zone_id=zone_id, at=COLUMBUS, shard="shopper_0")
    order_id = steps.buy(customer, market)
    outbox.drain()
    hot = peaks.Cell(level=2, wanted=2)
    cell = peaks.cell_of(stores.store(store_id=market.store_id).point)
    dispatch.ZoneHeat.objects.create(zone_id=zone_id, weighed_at=clock.now(), cells=peaks.to_json({cell: hot}))
    (seen,) = shopper.call("get", "heat-map")["cells"]
    assert (seen["index"], seen["level"], seen["extra_pay_cents"], len(seen["boundary"])) == (cell, 2, 200, 6)
    offer = steps.take_offer(shopper)
    assert offer["peak_pay_cents"] == 200
    outbox.drain()
    store_order_id = shopper.only_order()["store_order_id"]
    steps.pick(shopper, store_order_id)
    steps.bring(shopper, store_order_id, customer.order(order_id)["pin"])
    earned = shopper.call("get", "earnings")
    assert {line["kind"]: line["amount_cents"] for line in earned["earnings"]} == {
        "batch_pay": offer["pay_cents"] - 200,
        "peak_pay": 200,
        "tip": 300,
    }
    assert invariants.violations(now=MORNING, intents=invariants.at_provider()) == []


def test_an_order_of_which_nothing_is_found_costs_nothing_and_tips_nobody(bank):
    market = steps.market_on("store_1")
    customer = Customer(bank, at=COLUMBUS, shard="customer_0")
    shopper = Shopper(zone_id=steps.zone_of(market.store_id), at=COLUMBUS, shard="shopper_0")
    order_id = steps.buy(customer, market)
    outbox.drain()
    offer = steps.take_offer(shopper)
    outbox.drain()
    store_order_id = shopper.only_order()["store_order_id"]
    steps.pick(
        shopper,
        store_order_id,
        outcomes={name: {"status": "to_refund", "reason": "out_of_stock"} for name in steps.OUTCOMES},
    )
    steps.bring(shopper, store_order_id, customer.order(order_id)["pin"])

    order = customer.order(order_id)
    assert (order["status"], order["totalCents"], order["capturedCents"]) == ("delivered", 0, 0)
    (intent,) = bank.objects("payment_intent")
    assert (intent["status"], intent["amount_received"]) == ("canceled", 0)
    earned = shopper.call("get", "earnings")
    assert [(line["kind"], line["amount_cents"]) for line in earned["earnings"]] == [("batch_pay", offer["pay_cents"])]
    assert invariants.violations(now=MORNING, intents=invariants.at_provider()) == []
