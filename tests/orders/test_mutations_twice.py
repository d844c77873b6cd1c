"""What ``tests/architecture/test_writes.py`` says of mutations without a key: sent twice, they are done once."""

import json
from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser

from apps.accounts.models import User
from apps.common import outbox
from apps.common.api.graphql import LoadingGraphQLView
from apps.common.money import Money
from apps.orders import models, services
from apps.orders.types import Proposed
from apps.support import services as support
from instacart.schema import schema
from tests.architecture.test_writes import REPEATABLE
from tests.orders.factories import BANANAS, MILK, MORNING, bring_to, make_placed_order, make_ready
from tests.orders.snapshots import changed, snapshot

pytestmark = pytest.mark.django_db(databases="__all__")

PLACE = {"line1": "9 Broad Street", "city": "Columbus", "state": "OH", "postcode": "43215", "lat": 39.96, "lng": -83.0}
SAID = {
    "signUp": "userId",
    "addAddress": "address { id line1 }",
    "setCartLine": "cart { version lines { itemId quantity } }",
    "setCartLines": "cart { version lines { itemId quantity } }",
    "addCard": "card { id last4 }",
    "cancelOrder": "order { id status events { name } }",
    "raiseTip": "status tip { amountCents }",
    "rescheduleOrder": "order { id status windowStartsAt events { name } }",
    "answerReplacement": "order { id status questions { id } lines { status } events { name } }",
    "chooseReplacement": "order { id status lines { replacementItemId } events { name } }",
    "rateOrder": "rating { stars tags words ratedAt changedAt }",
    "withdrawIssue": "issue { id status history { toStatus at } }",
}


@pytest.fixture
def inputs(provider):
    """Who sends them, somebody with a full cart and an order; and the input of each mutation."""
    ready = make_ready()
    (known_as,) = set(provider.owners.values())
    provider.owners["pm_typed_in"] = known_as
    order = make_placed_order(market=ready.market, customer=ready.customer)
    brought = bring_to(make_placed_order(market=ready.market, customer=ready.customer), "delivered")
    issue = support.report(
        order_id=brought.id, customer_id=ready.customer.id, kind="late", key="late", now=brought.delivered_at
    )
    outbox.drain()
    store, items = str(ready.market.store_id), ready.market.item_ids
    line = {"itemId": str(items[BANANAS]), "quantity": "3"}
    other = next(str(id) for id in ready.market.window_ids if id != order.window_id)
    return ready.customer.id, {
        "signUp": {"email": "twice@example.com", "password": "correct horse battery", "name": "Ada"},
        "addAddress": PLACE,
        "setCartLine": {"storeId": store, **line},
        "setCartLines": {"storeId": store, "lines": [line, {"itemId": str(items[MILK]), "quantity": "1"}]},
        "addCard": {"paymentMethod": "pm_typed_in"},
        "cancelOrder": {"orderId": str(order.id)},
        "raiseTip": {"orderId": str(brought.id), "tipCents": 800},
        "rescheduleOrder": {"orderId": str(order.id), "windowId": other},
        "answerReplacement": lambda: {"orderId": str(order.id), "replacementId": str(asked(order)), "approve": True},
        "chooseReplacement": {
            "orderId": str(order.id),
            "lineId": str(order.lines[1].id),
            "itemId": str(items[BANANAS]),
        },
        "rateOrder": {"orderId": str(brought.id), "stars": 4, "tags": ["friendly"], "words": "Thanks"},
        "withdrawIssue": {"issueId": str(issue.id)},
    }


def asked(order):
    """Id of a question about the order's first line, while somebody picks the order."""
    proposed = Proposed(
        proposal_id=7,
        item_id=None,
        name="Plantains",
        code="",
        cost_unit="each",
        sold_by="count",
        quantity=Decimal(3),
        unit_price=Money(99),
        list_price=Money(99),
        unit_grams=0,
        tax_category="",
        deposit=Money(0),
    )
    models.Order.objects.filter(pk=order.id).update(status="picking")
    services.record_proposal(
        order_id=order.id,
        line_id=order.lines[0].id,
        proposed=proposed,
        is_withdrawn=False,
        actor="shopper:7",
        now=MORNING,
    )
    return models.Replacement.objects.get(customer_id=order.customer_id).pk


@pytest.fixture
def send(rf, inputs):
    customer_id, given = inputs

    def post(name):
        kind = f"{name[0].upper()}{name[1:]}Input"
        query = f"mutation ($i: {kind}!) {{ {name}(input: $i) {{ {SAID[name]} }} }}"
        said = given[name]
        body = {"query": query, "variables": {"i": said() if callable(said) else said}}
        request = rf.post("/graphql/", body, content_type="application/json")
        request.user = AnonymousUser() if name == "signUp" else User(pk=customer_id)
        return json.loads(LoadingGraphQLView.as_view(schema=schema)(request).content)

    return post


@pytest.mark.parametrize("name", REPEATABLE)
def test_sent_twice_it_is_done_once(name, send):
    untouched = snapshot()
    first = send(name)
    done = snapshot()
    again = send(name)
    assert "errors" not in first
    assert changed(done, snapshot()) == set()
    if name == "signUp":
        assert [error["extensions"]["code"] for error in again["errors"]] == ["email_taken"]
    else:
        assert again == first
    assert changed(untouched, done) != set()
