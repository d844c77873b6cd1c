"""What ``tests/architecture/test_writes.py`` says of mutations without a key: sent twice, they are done once."""

import json

import pytest
from django.contrib.auth.models import AnonymousUser

from apps.accounts.models import User
from apps.common import outbox
from apps.common.api.graphql import LoadingGraphQLView
from apps.support import services as support
from instacart.schema import schema
from tests.architecture.test_writes import REPEATABLE
from tests.orders.factories import BANANAS, MILK, bring_to, make_placed_order, make_ready
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
        "rateOrder": {"orderId": str(brought.id), "stars": 4, "tags": ["friendly"], "words": "Thanks"},
        "withdrawIssue": {"issueId": str(issue.id)},
    }


@pytest.fixture
def send(rf, inputs):
    customer_id, given = inputs

    def post(name):
        kind = f"{name[0].upper()}{name[1:]}Input"
        query = f"mutation ($i: {kind}!) {{ {name}(input: $i) {{ {SAID[name]} }} }}"
        body = {"query": query, "variables": {"i": given[name]}}
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
