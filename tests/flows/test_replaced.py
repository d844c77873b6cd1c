"""An order of which one line is delivered as something else, through nothing but what apps outside call."""

import pytest

from apps.common import outbox
from instacart import invariants
from tests.flows import steps
from tests.flows.people import Customer, Shopper
from tests.orders.factories import BEER, MORNING
from tests.stores.factories import COLUMBUS

pytestmark = pytest.mark.django_db(databases="__all__")

QUESTIONS = """query ($id: ID!) {
    order(id: $id) { status questions { id } lines { replacement { status chargedCents } } }
}"""

ANSWER = """mutation ($order: ID!, $id: ID!) {
    answerReplacement(input: {orderId: $order, replacementId: $id, approve: true}) { order { status } }
}"""


def everything():
    return invariants.violations(now=MORNING, intents=invariants.at_provider())


def test_nothing_is_lost_while_a_question_is_open_nor_after_it_was_answered(bank):
    market = steps.market_on("store_1")
    customer = Customer(bank, at=COLUMBUS, shard="customer_0")
    shopper = Shopper(zone_id=steps.zone_of(market.store_id), at=COLUMBUS, shard="shopper_0")
    order_id = steps.buy(customer, market)
    outbox.drain()
    steps.take_offer(shopper)
    outbox.drain()
    path = f"orders/{shopper.only_order()['store_order_id']}"
    lines = {line["name"]: line for line in shopper.call("post", f"{path}/start-picking")["lines"]}
    outbox.drain()
    for name in ("Bananas", "Root beer, 6 bottles"):
        found = {"status": "found", "quantity": lines[name]["quantity"]}
        shopper.call("put", f"{path}/lines/{lines[name]['id']}", found)
    instead = {"item_id": str(market.item_ids[BEER]), "quantity": "1"}
    shopper.call("post", f"{path}/lines/{lines['Whole milk']['id']}/replacement", instead, key="instead")
    outbox.drain()
    asked = customer.ask(QUESTIONS, id=order_id)["order"]
    assert asked["status"] == "verifying_replacements"
    assert everything() == []

    (question,) = asked["questions"]
    customer.ask(ANSWER, order=order_id, id=question["id"])
    outbox.drain()
    shopper.call("post", f"{path}/checkout")
    outbox.drain()
    assert everything() == []
    steps.bring(shopper, path.removeprefix("orders/"), customer.order(order_id)["pin"])

    found = customer.ask(QUESTIONS, id=order_id)["order"]
    (answered,) = [line["replacement"] for line in found["lines"] if line["replacement"]]
    assert (found["questions"], answered) == ([], {"status": "approved", "chargedCents": 1099 + 60})
    order = customer.order(order_id)
    # 147.5 for the bananas, two bottles with deposit; 3.99 for the delivery and 3.00 for the shopper
    assert order["capturedCents"] == order["totalCents"] == 148 + 2 * (1099 + 60) + 399 + 300
    assert everything() == []
