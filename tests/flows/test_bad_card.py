"""Cards that decline, and what is no card.

One code, one sentence, and nothing half-done in any database: see ``tests.flows.world``.
"""

import re
from typing import Any

import pytest

from apps.common import outbox
from instacart import invariants
from tests import databases
from tests.flows import people
from tests.flows.people import DECLINING_CARD
from tests.flows.world import VISIT, World, refusal
from tests.orders.factories import BANANAS, MILK, MORNING

pytestmark = pytest.mark.django_db(databases="__all__")


def test_a_card_that_declines_rejects_the_order_and_nothing_stays_held(world):
    card_id = world.customer.add_card(world.bank, DECLINING_CARD)
    store_id = world.market.store_id
    for key in ("app", "page"):
        request = world.request(cardId=card_id, idempotencyKey=key)
        request["cartVersion"] = world.customer.ask(people.CART, id=str(store_id))["cart"]["version"]
        before = databases.contents()
        if key == "app":
            placed = world.customer.place(request)
            order_id = placed["orderId"]
            assert (placed["status"], placed["rejectedCode"]) == ("rejected", "card_declined")
        else:
            on_page = world.check_out(request)
            assert on_page.status_code == 302
            order_id = re.fullmatch(r"/orders/(\d+)/", on_page["Location"])[1]
            shown = world.page.get(on_page["Location"])
            assert (shown.status_code, b'<p class="notice error">' in shown.content) == (200, True)
        outbox.drain()
        order = world.customer.order(order_id)
        assert (order["status"], order["rejectedCode"]) == ("rejected", "card_declined")
        assert [event["name"] for event in order["events"]] == ["placed", "rejected"]
        estimate = len(order["adjustments"])
        assert databases.grown(before, databases.contents(), ignoring=VISIT) == {
            ("customer_0", "orders_order"): 1,
            ("customer_0", "orders_orderline"): 2,
            ("customer_0", "orders_orderadjustment"): estimate,
            ("customer_0", "orders_orderevent"): 2,
            ("customer_0", "payments_payment"): 1,
            ("store_1", "inventory_reservation"): 2,
            ("store_1", "slots_windowhold"): 1,
        }
        cart = world.customer.ask(people.CART, id=str(store_id))["cart"]
        assert {int(line["itemId"]): line["quantity"] for line in cart["lines"]} == world.items(
            **{BANANAS: "2.500", MILK: "2.000"}
        )
        intents = invariants.at_provider()
        assert {intent.status for intent in intents} == {"declined"}
        assert invariants.violations(now=MORNING, intents=intents, acknowledged=[int(order_id)]) == []


def test_a_card_that_cannot_be_saved_is_not(world):
    with world.unchanged():
        assert refusal(world.customer.add_card, world.bank, "4000000000000002")[0] == "card_declined"
        for made_up in ("pm_nowhere", "4242424242424242", "", "pm_" + "x" * 200):
            answer = refusal(world.customer.ask, people.CARD, i={"paymentMethod": made_up})
            assert answer == ("card_not_found", "There is no such card.")


def test_anothers_saved_card_cannot_be_saved_again(world):
    stranger = world.stranger
    (theirs,) = (one["id"] for one in world.bank.objects("payment_method") if one["customer"] and _last(world, one))
    assert stranger.id
    with world.unchanged():
        assert refusal(world.customer.ask, people.CARD, i={"paymentMethod": theirs})[0] == "card_not_found"


def _last(world: World, method: Any) -> bool:
    """Whether the payment method belongs to the provider's customer that was made last."""
    return method["customer"] == world.bank.objects("customer")[-1]["id"]
