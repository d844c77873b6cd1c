from collections.abc import Callable
from typing import Any

import pytest
import stripe

from deploy.payments_sandbox.server import Server
from deploy.payments_sandbox.state import Store
from tests.payments_sandbox.conftest import hold, pay


def _change(store: Store, kind: str, **fields: Any) -> None:
    store.save(store.all(kind)[0] | fields)


PLANTED: dict[str, tuple[Callable[[Store], Any], str]] = {
    "money from nowhere": (
        lambda store: store.new(
            "balance_transaction", {"amount": 5, "source": "ch_none", "currency": "usd", "available_on": 0, "net": 5}
        ),
        "belong to no movement",
    ),
    "a lost movement": (
        lambda store: store.db.execute("DELETE FROM objects WHERE kind = 'balance_transaction'"),
        "has not exactly one balance transaction of 1000",
    ),
    "captured more than held": (lambda store: _change(store, "charge", amount_captured=1001), "captured 1001 of 1000"),
    "refund without a record": (lambda store: _change(store, "charge", amount_refunded=1), "refunds say otherwise"),
    "received more than captured": (
        lambda store: _change(store, "payment_intent", amount_received=2000),
        "received 2000, its charges captured 1000",
    ),
    "canceled with money": (lambda store: _change(store, "payment_intent", status="canceled"), "is canceled with 1000"),
    "paid out and not moved": (
        lambda store: store.new("payout", {"_account": "platform", "amount": 7, "status": "paid"}),
        "has not exactly one balance transaction of -7",
    ),
    "charged twice": (
        lambda store: store.new("charge", {**store.all("charge")[0], "id": "ch_twin"}),
        "has 2 successful charges",
    ),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_each_planted_violation_is_seen(client: stripe.StripeClient, sandbox: Server, control: Any, plant: str) -> None:
    pay(client, amount=1000)
    assert control("invariants")["violations"] == []
    change, sentence = PLANTED[plant]
    store = sandbox.app.store
    with store.transaction():
        change(store)
    assert any(sentence in violation for violation in control("invariants")["violations"])


def test_everything_together_adds_up(client: stripe.StripeClient, control: Any) -> None:
    pay(client, amount=1000)
    client.v1.payment_intents.capture(hold(client, 2000).id, {"amount_to_capture": 1500})
    client.v1.payment_intents.cancel(hold(client, 3000).id)
    hold(client, 4000)
    client.v1.refunds.create({"payment_intent": pay(client, amount=5000).id, "amount": 1})
    with pytest.raises(stripe.CardError):
        pay(client, "pm_card_chargeDeclined")
    report = control("invariants")
    assert report["violations"] == []
    assert report["totals"] == {
        "captured": 7500,
        "refunded": 1,
        "released": 3500,
        "held": 4000,
        "disputed": 0,
        "transferred": 0,
        "paid_out": 0,
        "balance": 7499,
    }


def test_the_same_seed_gives_the_same_names(client: stripe.StripeClient, control: Any) -> None:
    control("reset", seed=7)
    first = client.v1.customers.create().id
    control("reset", seed=7)
    assert client.v1.customers.create().id == first


def test_a_restart_forgets_nothing(tmp_path: Any) -> None:
    path = str(tmp_path / "kept.sqlite")
    before = Store(path)
    with before.transaction():
        made = before.new("customer", {"name": "Ada"})
        before.advance(3600)
        clock = before.now()
    before.db.close()
    after = Store(path)
    assert after.find(made["id"]) == made
    assert after.now() >= clock
    after.db.close()
