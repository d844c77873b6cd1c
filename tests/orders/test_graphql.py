import json
from datetime import timedelta
from decimal import Decimal

import graphene
import pytest
from django.contrib.auth.models import AnonymousUser

from apps.accounts.models import User
from apps.common import clock, outbox
from apps.common.api.graphql import LoadingGraphQLView
from apps.orders import models
from apps.orders.api.graphql import Mutation, Query
from apps.pricing import services as pricing
from tests.orders.factories import MORNING, bring_to, make_customer, make_market, make_placed_order, make_ready

pytestmark = pytest.mark.django_db(databases="__all__")

PLACE = """
mutation ($input: PlaceOrderInput!) {
  placeOrder(input: $input) { orderId status actionUrl rejectedCode }
}
"""
ORDER = """
query ($id: ID!) {
  order(id: $id) {
    id status statusTitle pin totalCents authorisedCents capturedCents isCancelable
    address { line1 }
    lines { name quantity status }
    adjustments { kind amountCents phase }
    events { sequence name }
  }
}
"""


@pytest.fixture(scope="module")
def schema():
    return graphene.Schema(
        query=type("Root", (Query, graphene.ObjectType), {}),
        mutation=type("Change", (Mutation, graphene.ObjectType), {}),
    )


@pytest.fixture
def ask(rf, schema):
    def post(query, customer_id=None, **variables):
        request = rf.post("/graphql/", {"query": query, "variables": variables}, content_type="application/json")
        request.user = User(pk=customer_id) if customer_id else AnonymousUser()
        return json.loads(LoadingGraphQLView.as_view(schema=schema)(request).content)

    return post


def wanted(ready, **changes):
    return {
        "storeId": str(ready.market.store_id),
        "cartVersion": ready.cart_version,
        "windowId": str(ready.market.window_ids[0]),
        "addressId": str(ready.customer.address_id),
        "cardId": str(ready.customer.card_id),
        "tipCents": 300,
        "idempotencyKey": "one",
        **changes,
    }


def codes(answer):
    return [error["extensions"]["code"] for error in answer["errors"]]


def test_an_order_is_placed_and_read_back(ask):
    ready = make_ready()
    placed = ask(PLACE, ready.customer.id, input=wanted(ready))["data"]["placeOrder"]
    assert placed == {"orderId": placed["orderId"], "status": "brand_new", "actionUrl": None, "rejectedCode": ""}
    assert int(placed["orderId"]) > 2**53

    order = ask(ORDER, ready.customer.id, id=placed["orderId"])["data"]["order"]
    assert order["id"] == placed["orderId"]
    assert (order["status"], order["statusTitle"]) == ("brand_new", "Order placed")
    assert (order["totalCents"], order["authorisedCents"], order["capturedCents"]) == (2704, 3500, None)
    assert order["address"] == {"line1": "20 Spring Street"}
    assert order["lines"][0] == {"name": "Bananas", "quantity": "2.500", "status": "not_picked"}
    assert sum(adjustment["amountCents"] for adjustment in order["adjustments"]) == 2704
    assert [event["name"] for event in order["events"]] == ["placed", "brand_new"]
    assert len(order["pin"]) == 4


def test_the_same_key_is_the_same_order_and_another_body_a_conflict(ask):
    ready = make_ready()
    first = ask(PLACE, ready.customer.id, input=wanted(ready))
    assert ask(PLACE, ready.customer.id, input=wanted(ready)) == first
    assert codes(ask(PLACE, ready.customer.id, input=wanted(ready, tipCents=1))) == ["idempotency_conflict"]
    assert models.Order.objects.filter(customer_id=ready.customer.id).count() == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"storeId": "x"}, "not_found"),
        ({"storeId": "99999999"}, "store_not_found"),
        ({"windowId": "1"}, "window_not_found"),
        ({"addressId": str(2**63)}, "not_found"),
        ({"cardId": "1"}, "card_not_found"),
        ({"cartVersion": -1}, "cart_stale"),
        ({"tipCents": -5}, "tip_invalid"),
        ({"idempotencyKey": "x" * 81}, "idempotency_key_missing"),
        ({"idempotencyKey": ""}, "idempotency_key_missing"),
    ],
)
def test_refusals_have_a_code_and_make_no_order(ask, changes, code):
    ready = make_ready()
    assert codes(ask(PLACE, ready.customer.id, input=wanted(ready, **changes))) == [code]
    assert not models.Order.objects.filter(customer_id=ready.customer.id).exists()


def test_nobody_signed_in_is_refused(ask):
    ready = make_ready()
    assert codes(ask(PLACE, input=wanted(ready))) == ["sign_in_required"]
    assert codes(ask("{ orders { nodes { id } } }")) == ["sign_in_required"]
    assert not models.Order.objects.filter(customer_id=ready.customer.id).exists()


@pytest.mark.parametrize("text", ["{order}", "1", "x", ""])
def test_a_foreign_an_unknown_and_a_senseless_id_are_alike(ask, text):
    order = make_placed_order()
    stranger = make_customer().id
    answer = ask(ORDER, stranger, id=text.format(order=order.id))
    assert codes(answer) in (["order_not_found"], ["not_found"])
    assert "Spring" not in json.dumps(answer)


def test_orders_come_in_pages(ask):
    order = make_placed_order()
    query = (
        "query ($after: String) { orders(after: $after, first: 1) { nodes { id totalCents lineCount } nextCursor } }"
    )
    answer = ask(query, order.customer_id)
    assert answer == {
        "data": {"orders": {"nodes": [{"id": str(order.id), "totalCents": 2704, "lineCount": 3}], "nextCursor": None}}
    }
    assert codes(ask(query, order.customer_id, after="nonsense")) == ["not_found"]


def test_an_order_is_canceled_once_and_only_by_its_customer(ask):
    order = make_placed_order()
    cancel = (
        'mutation ($id: ID!) { cancelOrder(input: {orderId: $id, reason: "Rain"}) { order { status isCancelable } } }'
    )
    assert codes(ask(cancel, make_customer().id, id=str(order.id))) == ["order_not_found"]
    assert models.Order.objects.get(pk=order.id).status == "brand_new"
    answer = ask(cancel, order.customer_id, id=str(order.id))
    assert answer == {"data": {"cancelOrder": {"order": {"status": "canceled", "isCancelable": False}}}}
    assert order.placed_at == MORNING


def test_an_order_is_moved_to_another_window_and_only_by_its_customer(ask):
    market = make_market()
    order = make_placed_order(market=market)
    move = (
        "mutation ($id: ID!, $window: ID!) { rescheduleOrder(input: {orderId: $id, windowId: $window}) "
        "{ order { windowStartsAt isReschedulable events { name } } } }"
    )
    sent = {"id": str(order.id), "window": str(market.window_ids[2])}
    assert codes(ask(move, make_customer().id, **sent)) == ["order_not_found"]
    assert codes(ask(move, **sent)) == ["sign_in_required"]
    assert codes(ask(move, order.customer_id, **{**sent, "window": "4"})) == ["window_not_found"]
    assert models.Order.objects.get(pk=order.id).window_id == market.window_ids[0]
    for _ in range(2):
        moved = ask(move, order.customer_id, **sent)["data"]["rescheduleOrder"]["order"]
        assert moved == {
            "windowStartsAt": (order.window_starts_at + timedelta(hours=2)).isoformat(),
            "isReschedulable": True,
            "events": [{"name": "placed"}, {"name": "brand_new"}, {"name": "rescheduled"}],
        }


PREVIEW = """
query ($storeId: ID!, $windowId: ID!, $addressId: ID!, $code: String) {
  orderPreview(storeId: $storeId, windowId: $windowId, addressId: $addressId, tipCents: 300, promotionCode: $code) {
    charges { kind code label amountCents } totalCents holdCents
  }
}
"""


def test_the_total_shown_is_what_is_agreed_to(ask):
    pricing.add_promotion(code="SAVE", label="Spring", percent=Decimal(10), starts_at=MORNING)
    ready = make_ready()
    where = {key: wanted(ready)[key] for key in ("storeId", "windowId", "addressId")}
    preview = ask(PREVIEW, ready.customer.id, **where, code="SAVE")["data"]["orderPreview"]
    assert (preview["totalCents"], preview["holdCents"]) == (2509, 3000)
    assert preview["charges"][3] == {"kind": "discount", "code": "SAVE", "label": "Spring", "amountCents": -15}
    lower = wanted(ready, promotionCode="SAVE", expectedTotalCents=2508)
    (error,) = ask(PLACE, ready.customer.id, input=lower)["errors"]
    assert error["extensions"]["code"] == "price_changed"
    assert not models.Order.objects.filter(customer_id=ready.customer.id).exists()
    placed = ask(PLACE, ready.customer.id, input=lower | {"expectedTotalCents": preview["totalCents"]})
    assert placed["data"]["placeOrder"]["status"] == "brand_new"


def test_a_preview_is_for_ones_own_address(ask):
    ready, somebody = make_ready(), make_customer()
    where = {key: wanted(ready)[key] for key in ("storeId", "windowId")}
    (error,) = ask(PREVIEW, ready.customer.id, **where, addressId=str(somebody.address_id), code="")["errors"]
    assert error["extensions"]["code"] == "address_not_found"


TIP = (
    "query ($id: ID!) { orderTip(orderId: $id) { amountCents paidCents mostCents isRaisable isUnderWay declinedCode } }"
)
RAISE = """
mutation ($id: ID!, $cents: Int!) {
  raiseTip(input: {orderId: $id, tipCents: $cents}) { status tip { amountCents } }
}
"""
QUOTE = "query ($id: ID!) { cancellationQuote(orderId: $id) { isPossible feeCents } }"
CANCEL = """
mutation ($id: ID!, $fee: Int) {
  cancelOrder(input: {orderId: $id, agreedFeeCents: $fee}) { order { status totalCents } }
}
"""


def test_a_tip_is_seen_and_raised(ask):
    order = make_placed_order()
    who = {"id": str(order.id)}
    assert ask(TIP, order.customer_id, **who)["data"] == {"orderTip": None}
    bring_to(order, "delivered", now=clock.now())
    outbox.drain()
    tip = ask(TIP, order.customer_id, **who)["data"]["orderTip"]
    assert tip == {
        "amountCents": 300,
        "paidCents": 2404,
        "mostCents": 5000,
        "isRaisable": True,
        "isUnderWay": False,
        "declinedCode": "",
    }
    raised = ask(RAISE, order.customer_id, **who, cents=800)
    assert raised["data"]["raiseTip"] == {"status": "charged", "tip": {"amountCents": 800}}
    assert codes(ask(RAISE, order.customer_id, **who, cents=5001)) == ["tip_invalid"]
    stranger = make_customer().id
    for query in (TIP, QUOTE):
        assert codes(ask(query, stranger, **who)) == ["order_not_found"]
    assert codes(ask(RAISE, stranger, **who, cents=900)) == ["order_not_found"]


def test_canceling_is_quoted_and_agreed_to(ask):
    pricing.set_ending_fee(ending="acknowledged", flat_cents=500)
    order = make_placed_order()
    who = {"id": str(order.id)}
    assert ask(QUOTE, order.customer_id, **who)["data"]["cancellationQuote"] == {"isPossible": True, "feeCents": 0}
    bring_to(order, "acknowledged")
    assert ask(QUOTE, order.customer_id, **who)["data"]["cancellationQuote"] == {"isPossible": True, "feeCents": 500}
    assert codes(ask(CANCEL, order.customer_id, **who, fee=0)) == ["canceling_costs"]
    canceled = ask(CANCEL, order.customer_id, **who, fee=500)["data"]["cancelOrder"]["order"]
    assert canceled == {"status": "canceled", "totalCents": 500}


RECEIPT = """
query ($id: ID!) { order(id: $id) { receipt {
  totalCents capturedCents outstandingCents refundedCents
  lines { name ordered delivered unitPriceCents amountCents outcome }
  charges { kind code amountCents percent }
  payments { step brand last4 capturedCents } refunds { number amountCents reason status }
} } }
"""


def test_a_receipt_is_null_before_the_delivery_and_its_parts_come_to_the_total(ask):
    order = make_placed_order()
    assert ask(RECEIPT, order.customer_id, id=str(order.id)) == {"data": {"order": {"receipt": None}}}
    order = bring_to(order, "delivered")
    outbox.drain()
    receipt = ask(RECEIPT, order.customer_id, id=str(order.id))["data"]["order"]["receipt"]
    assert receipt["lines"][1] == {
        "name": "Whole milk",
        "ordered": "2.000",
        "delivered": "2.000",
        "outcome": "found",
        "unitPriceCents": 349,
        "amountCents": 698,
    }
    parts = [one["amountCents"] for one in (*receipt["lines"], *receipt["charges"])]
    assert sum(parts) == receipt["totalCents"] == receipt["capturedCents"] == order.total.cents
    assert (receipt["outstandingCents"], receipt["refundedCents"], receipt["refunds"]) == (0, 0, [])
    (payment,) = receipt["payments"]
    assert payment == {"step": "estimate", "brand": "visa", "last4": "4242", "capturedCents": order.total.cents}
    stranger = make_customer()
    assert ask(RECEIPT, stranger.id, id=str(order.id))["errors"][0]["extensions"]["code"] == "order_not_found"
