"""The six integers: each kind of loss, planted, is counted as what it is, and to the cent and the unit."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections

from apps.common import clock
from apps.common.money import Money
from apps.payments import gateway
from instacart import invariants
from tests.flows.test_invariants import EMIT, PLANTED, QUARANTINE, orders, planted
from tests.orders.factories import MORNING

__all__ = ["orders"]

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.crosses_databases]

NOTHING_LOST = {
    "orders_lost": 0,
    "cents_of_difference": 0,
    "double_charges": 0,
    "oversold_units": 0,
    "doubled_batches": 0,
    "undrained_jobs": 0,
}
PAST_TRIGGERS = "SET LOCAL session_replication_role = replica"
LOSSES = [
    # what was lost, how many of which integer, in whose database, how
    (
        "an order that never came",
        {"orders_lost": 1},
        "customer_0",
        ["UPDATE orders_order SET window_ends_at = '2026-03-02T09:00Z' WHERE id = {new}"],
    ),
    (
        "an order that was told and is gone",
        {"orders_lost": 1},
        "customer_0",
        [PAST_TRIGGERS, "DELETE FROM orders_order WHERE id = {new}"],
    ),
    (
        "a cent too much noted",
        {"cents_of_difference": 1},
        "customer_0",
        ["UPDATE orders_order SET captured_cents = captured_cents + 1"],
    ),
    (
        "a capture that is not in the books",
        {"cents_of_difference": 1210},
        "customer_0",
        [PAST_TRIGGERS, "DELETE FROM ledger_ledgerentry WHERE cause = 'captured'"],
    ),
    (
        "delivered and never charged",
        {"cents_of_difference": 1210},
        "customer_0",
        ["UPDATE orders_order SET captured_cents = NULL WHERE id = {done}"],
    ),
    (
        "two units promised that are not there",
        {"oversold_units": 2},
        "store_1",
        [
            "ALTER TABLE inventory_stocklevel DROP CONSTRAINT inventory_level_reserved",
            (
                "UPDATE inventory_stocklevel SET on_hand = reserved - 2 WHERE id ="
                " (SELECT id FROM inventory_stocklevel WHERE reserved > 2 LIMIT 1)"
            ),
        ],
    ),
    (
        "a batch whose order is another shopper's",
        {"doubled_batches": 1},
        "store_1",
        ["UPDATE dispatch_batch SET shopper_id = 1"],
    ),
    ("messages left", {"undrained_jobs": 3}, "customer_0", [EMIT, EMIT, QUARANTINE]),
]


@pytest.fixture
def asked_inside(bank, monkeypatch):
    """What is planted lives in a transaction, in which nobody but these tests may ask the provider."""
    provider = gateway.current()
    monkeypatch.setattr(gateway, "current", lambda: provider)


def looked(orders):
    return invariants.score(now=MORNING, acknowledged=orders.values())


def test_each_loss_is_counted_as_what_it_is(asked_inside, orders, capsys):
    assert looked(orders).integers == NOTHING_LOST
    table = []
    for name, _, alias, statements in LOSSES:
        with planted(alias, [statement.format(**orders) for statement in statements]):
            found = looked(orders)
            rules = sorted({line.partition(" ")[0] for line in found.violations})
            table.append((name, {k: n for k, n in found.integers.items() if n}, rules))
            assert not found.is_clean
    assert looked(orders).is_clean
    with capsys.disabled():
        print("\nplanted -> caught as, by rule")
        for name, integers, rules in table:
            print(f"  {name}: {integers}, {' '.join(rules)}")
    assert [(name, found) for name, found, _ in table] == [(name, expected) for name, expected, _, _ in LOSSES]


def test_every_rule_is_planted_somewhere():
    """The second rule, and what only the provider knows, in ``test_what_only_the_provider_knows``."""
    assert {number for _, number, _, _ in PLANTED} | {2} == set(range(1, 10))


def test_what_only_the_provider_knows(bank, orders):
    customer = bank.objects("payment_intent")[0]["customer"]
    card = gateway.current().attach(customer=customer, card="pm_card_visa").id

    def hold(order_id, attempt):
        reference = gateway.Reference(customer_id=1, order_id=order_id, step="estimate", attempt=attempt)
        named = {"customer": customer, "card": card, "amount": Money(5000), "return_url": ""}
        gateway.current().authorise(**named, reference=reference, key=f"planted-{order_id}")

    hold(orders["new"], 7)
    found = looked(orders)
    assert (found.integers, found.violations) == (
        {**NOTHING_LOST, "double_charges": 1},
        (f"2 order {orders['new']}: 2 authorisations of estimate",),
    )
    hold(5, 1)
    assert "2 5000 cents were authorised for order 5, which is nowhere" in looked(orders).violations
    charge = next(one["id"] for one in bank.objects("charge") if one["captured"])
    bank.refund_by_hand(charge, 100)
    assert looked(orders).integers == {**NOTHING_LOST, "double_charges": 1, "cents_of_difference": 100}


def test_the_command_says_it_and_ends_accordingly(asked_inside, orders):
    with clock.shifted_to(MORNING):
        out, err = StringIO(), StringIO()
        call_command("invariants", "--json", acknowledged=list(orders.values()), stdout=out, stderr=err)
        assert (json.loads(out.getvalue()), err.getvalue()) == (NOTHING_LOST, "")
        with planted("customer_0", [EMIT.format()]), pytest.raises(SystemExit) as ended:
            call_command("invariants", stdout=out, stderr=err)
        assert ended.value.code == 1
        assert "undrained jobs 1" in out.getvalue()
        assert err.getvalue().startswith("6 customer_0: x ")
        with pytest.raises(SystemExit):
            call_command("invariants", "--no-provider", acknowledged=[5], stdout=out, stderr=err)
        assert "orders lost 1" in out.getvalue()


def test_a_transfer_that_was_booked_otherwise_is_found(bank, orders):
    statements = [
        (
            "INSERT INTO payments_payoutaccount (party_kind, party_id, account_id, status, version, created_at,"
            " changed_at) VALUES ('store', 7, 'acct_7', 'enabled', 1, now(), now())"
        ),
        (
            "INSERT INTO payments_transfer (account_id, day, amount_cents, pay_cents, reversed_cents, back_cents,"
            " currency, status, sent_id, failure_code, version, idempotency_key, key_made_at, created_at, changed_at,"
            " checked_at) SELECT id, now(), 77, 0, 0, 0, 'USD', 'sent', 'tr_7', '', 1, 'k', now(), now(), now(), now()"
            " FROM payments_payoutaccount"
        ),
    ]
    with planted("default", statements):
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT max(id) FROM payments_transfer")
            (number,) = cursor.fetchone()
        assert invariants.violations(now=MORNING) == [f"1 transfer {number}: 77 cents sent, 0 booked"]
