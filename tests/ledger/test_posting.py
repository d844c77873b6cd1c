from collections import Counter
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connections, transaction

import sharding
from apps.common.money import Money
from apps.ledger import models, selectors, services
from apps.ledger.errors import PostingConflict
from apps.ledger.types import Account, Cause, Line
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CUSTOMERS = (7, 9_007)
"""On different shards."""
ORDER = 77


def capture(customer_id, cents=500, version=1):
    with sharding.atomic(sharding.home("customer", customer_id)):
        return services.book_capture(
            customer_id=customer_id, order_id=ORDER, step="estimate", version=version, amount=Money(cents), now=NOW
        )


def post(customer_id=7, **changes):
    given = {
        "customer_id": customer_id,
        "order_id": ORDER,
        "cause": Cause.SOLD,
        "step": "final",
        "version": 1,
        "lines": [Line(debit=Account.CUSTOMER, credit=Account.TAX, cents=5, kind="tax")],
        "currency": "USD",
        "now": NOW,
    }
    with sharding.atomic(sharding.home("customer", customer_id)):
        return services.post(**{**given, **changes})


@pytest.mark.parametrize("customer_id", CUSTOMERS)
def test_a_posting_is_written_once_on_its_customers_shard(customer_id):
    assert capture(customer_id) is True
    assert capture(customer_id) is False
    (entry,) = selectors.entries(customer_id=customer_id, order_id=ORDER)
    assert (entry.cause, entry.debit, entry.credit, entry.cents) == ("captured", "provider_cash", "customer", 500)
    rows = {alias: models.LedgerEntry.objects.using(alias).count() for alias in sharding.aliases("customer")}
    assert {alias for alias, count in rows.items() if count} == {sharding.alias_for("customer", customer_id)}


def test_a_step_booked_otherwise_before_is_refused_and_changes_nothing():
    capture(7)
    with pytest.raises(PostingConflict):
        capture(7, cents=501)
    assert selectors.balance(customer_id=7, order_id=ORDER).cents == {"provider_cash": 500, "customer": -500}


def test_booking_outside_the_transaction_of_what_is_booked_is_refused():
    with pytest.raises(transaction.TransactionManagementError):
        services.book_capture(customer_id=7, order_id=ORDER, step="estimate", version=1, amount=Money(5), now=NOW)
    assert selectors.balance(customer_id=7, order_id=ORDER) is None


def test_a_booking_goes_with_the_transaction_that_is_undone():
    def book_and_fail():
        services.book_capture(customer_id=7, order_id=ORDER, step="estimate", version=1, amount=Money(5), now=NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sharding.run(sharding.home("customer", 7), book_and_fail)
    assert selectors.balance(customer_id=7, order_id=ORDER) is None


def test_of_two_that_book_the_same_step_at_once_one_wins():
    def job():
        try:
            return str(capture(7))
        except IntegrityError:
            return "later"

    said = at_once([job] * 8)
    assert said["True"] == 1
    assert said == Counter({"True": 1, "False": said["False"], "later": said["later"]})
    assert selectors.balance(customer_id=7, order_id=ORDER).cents == {"provider_cash": 500, "customer": -500}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_ledgerentry SET amount_cents = 1",
        "DELETE FROM ledger_ledgerentry",
        "TRUNCATE ledger_ledgerentry",
    ],
)
@pytest.mark.parametrize("customer_id", CUSTOMERS)
def test_the_database_refuses_to_change_what_was_written(customer_id, statement):
    capture(customer_id)
    connection = connections[sharding.alias_for("customer", customer_id)]
    with pytest.raises(IntegrityError, match="only added to"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert selectors.balance(customer_id=customer_id, order_id=ORDER).cents["provider_cash"] == 500


@pytest.mark.parametrize(
    ("line", "constraint"),
    [
        (Line(debit=Account.TAX, credit=Account.CUSTOMER, cents=0, kind="tax"), "ledger_amount_positive"),
        (Line(debit=Account.TAX, credit=Account.TAX, cents=5, kind="tax"), "ledger_two_accounts"),
        (Line(debit="pocket", credit=Account.TAX, cents=5, kind="tax"), "ledger_account_known"),
        (Line(debit=Account.CUSTOMER, credit=Account.STORE_PAYABLE, cents=5, kind="item"), "ledger_store_named"),
    ],
)
def test_the_database_refuses_what_is_no_booking(line, constraint):
    with pytest.raises(IntegrityError, match=constraint):
        post(lines=[line])
    assert selectors.balance(customer_id=7, order_id=ORDER) is None


def test_the_tip_is_passed_on_once_and_a_later_one_too():
    def sell(cents, version):
        post(lines=[Line(debit=Account.CUSTOMER, credit=Account.TIP, cents=cents, kind="tip")], version=version)

    def pass_on():
        with sharding.atomic(sharding.home("customer", 7)):
            return services.pass_tip_on(customer_id=7, order_id=ORDER, now=NOW)

    assert pass_on() is False
    sell(300, 1)
    assert (pass_on(), pass_on()) == (True, False)
    sell(200, 2)
    assert pass_on() is True
    balance = selectors.balance(customer_id=7, order_id=ORDER)
    assert balance.cents == {"customer": 500, "tip": 0, "shopper_payable": -500}
