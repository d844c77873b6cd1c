"""Statements of stores and shoppers: exact cents, balances that tie, so many queries however much there is."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import connections

import sharding
from apps.common.errors import NotFound
from apps.common.money import Money
from apps.ledger import selectors as books
from apps.ledger import services as ledger
from apps.payments import services as payments
from apps.shoppers import services as shoppers
from apps.statements import selectors, services
from apps.statements.errors import PeriodInvalid
from tests.queries import counted
from tests.shoppers.factories import make_shopper

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

STORE, OTHER = 7, 8
CUSTOMERS = (1, 9_001)
"""On different shards."""
FIRST = datetime(2026, 3, 2, 15, tzinfo=UTC)
"""A Monday."""
MONDAY = FIRST.date()
DAY = timedelta(days=1)
SOLD = {"item": 1_000, "deposit": 60, "fee": 250, "tax": 75, "tip": 300, "discount": -100}


def sell(order_id, *, at=FIRST, customer_id=CUSTOMERS[0], store_id=STORE, cents=None):
    with sharding.atomic(sharding.home("customer", customer_id)):
        ledger.book_sale(
            customer_id=customer_id,
            order_id=order_id,
            store_id=store_id,
            cents_by_kind=cents or SOLD,
            currency="USD",
            now=at,
        )


def give_back(order_id, cents, *, at, customer_id=CUSTOMERS[0]):
    with sharding.atomic(sharding.home("customer", customer_id)):
        ledger.credit(
            customer_id=customer_id,
            order_id=order_id,
            store_id=STORE,
            number=1,
            cents_by_kind={"item": cents},
            currency="USD",
            now=at,
        )


def pay_out(kind, party_id, fake, *, at):
    fake.available_cents = 1_000_000
    made = payments.open_account(party_kind=kind, party_id=party_id, now=at)
    fake.decide(made.account_id, "enabled")
    payments.refresh_account(party_kind=kind, party_id=party_id, now=at)
    assert payments.pay_out(day=at.date(), now=at) == 1


def of_store(period="week", day=MONDAY, **page):
    return selectors.of_store(store_id=STORE, span=selectors.span(period, day, UTC), **page)


def told(now):
    said = []
    services.audit(now=now, tell=lambda what, cents: said.append((what, cents)))
    return said


# Stores


def test_a_stores_week_line_by_line_and_its_balances(fake_gateway):
    sell(11, at=FIRST - 7 * DAY)
    sell(12)
    sell(13, customer_id=CUSTOMERS[1], at=FIRST + DAY)
    sell(99, store_id=OTHER)
    pay_out("store", STORE, fake_gateway, at=FIRST + 2 * DAY)
    give_back(12, 400, at=FIRST + 3 * DAY)
    found = of_store()
    each = {"goods": 1_000, "commission": -150, "deposits": 60, "refunds": 0, "other": 0}
    noted = {"discounts": -100, "fees": 250, "taxes": 75, "tips": 300}
    assert [(row.ref, row.cents, row.net) for row in found.rows] == [
        (12, {**each, "refunds": -340, **noted}, 570),
        (13, {**each, **noted}, 910),
    ]
    assert found.rows[0].at == FIRST + 3 * DAY
    assert (found.opening, found.net, found.moved, found.closing) == (910, 1_480, 2_730, -340)
    assert {name: found.totals[name] for name in ("goods", "commission", "refunds", "taxes")} == {
        "goods": 2_000,
        "commission": -300,
        "refunds": -340,
        "taxes": 150,
    }
    (move,) = found.moves
    assert (move.cents, move.day, move.payout) == (2_730, date(2026, 3, 4), "tr_1")
    until = FIRST + 6 * DAY
    owed = books.owed_to_stores(store_ids=[STORE], before=until)[STORE]
    assert found.closing == owed - books.sent_to(party_kind="store", before=until)[STORE]


def test_a_week_begins_with_what_the_last_one_ended_with(fake_gateway):
    for n in range(6):
        sell(20 + n, at=FIRST + 3 * n * DAY, customer_id=CUSTOMERS[n % 2])
    pay_out("store", STORE, fake_gateway, at=FIRST + 4 * DAY)
    weeks = [of_store(day=(FIRST + 7 * n * DAY).date()) for n in range(4)]
    assert weeks[0].opening == 0
    for before, after in pairwise(weeks):
        assert before.closing == after.opening
    month = of_store("month")
    assert (month.opening, month.closing) == (0, weeks[-1].closing)
    assert month.net == sum(week.net for week in weeks)
    assert of_store("day").net == 910
    assert of_store("day", day=(FIRST + DAY).date()).rows == ()


def test_what_was_taken_back_is_there(fake_gateway):
    sell(30)
    pay_out("store", STORE, fake_gateway, at=FIRST + DAY)
    (move,) = of_store().moves
    payments.take_back(transfer_id=move.transfer_id, total=Money(200), now=FIRST + 2 * DAY)
    found = of_store()
    assert [one.cents for one in found.moves] == [910, -200]
    assert (found.moved, found.closing) == (710, 200)
    assert told(FIRST + 3 * DAY) == []


def test_a_day_is_the_stores_day():
    midnight = datetime(2026, 3, 3, 5, tzinfo=UTC)  # in Columbus
    sell(41, at=midnight - timedelta(seconds=1))
    sell(42, at=midnight)
    span = selectors.span("day", date(2026, 3, 3), ZoneInfo("America/New_York"))
    assert [row.ref for row in selectors.of_store(store_id=STORE, span=span).rows] == [42]


def test_pages_go_on_where_the_last_one_ended():
    for n in range(7):
        sell(50 + n, customer_id=CUSTOMERS[n % 2])
    first = of_store(limit=3)
    second = of_store(limit=3, after=first.next_cursor)
    third = of_store(limit=3, after=second.next_cursor)
    assert [[row.ref for row in page.rows] for page in (first, second, third)] == [[50, 51, 52], [53, 54, 55], [56]]
    assert third.next_cursor is None
    assert first.totals == third.totals
    with pytest.raises(NotFound):
        of_store(after="x")


def test_a_stores_page_asks_five_times_a_shard_however_much_there_is(fake_gateway):
    def asked():
        with counted() as queries:
            of_store()
        return queries.by_alias

    sell(60)
    sell(61, customer_id=CUSTOMERS[1])
    pay_out("store", STORE, fake_gateway, at=FIRST + DAY)
    homes = {sharding.alias_for("customer", customer_id) for customer_id in CUSTOMERS}
    expected = {**dict.fromkeys(homes, 5), "default": 3}
    assert asked() == expected
    for n in range(20):
        sell(70 + n, customer_id=CUSTOMERS[n % 2])
    assert asked() == expected


# Shoppers


@pytest.fixture
def shopper():
    return make_shopper(1, online=False)


def earn(shopper_id, batch_id, kind, cents, *, order_id=None, at=FIRST):
    shoppers.earn(shopper_id=shopper_id, batch_id=batch_id, order_id=order_id, kind=kind, amount=Money(cents), now=at)


def of_shopper(shopper_id, **page):
    return selectors.of_shopper(shopper_id=shopper_id, span=selectors.span("week", FIRST.date(), UTC), **page)


def test_a_shoppers_week_batch_by_batch(shopper, fake_gateway):
    earn(shopper, 1, "batch_pay", 700, at=FIRST - 7 * DAY)
    earn(shopper, 2, "batch_pay", 800)
    earn(shopper, 2, "tip", 300, order_id=1_001)
    earn(shopper, 2, "tip", 200, order_id=1_002, at=FIRST + timedelta(hours=1))
    earn(shopper, 3, "batch_pay", 650)
    earn(shopper, 3, "peak_pay", 100)
    pay_out("shopper", shopper, fake_gateway, at=FIRST + DAY)
    earn(shopper, 4, "batch_pay", 500, at=FIRST + 2 * DAY)
    found = of_shopper(shopper)
    assert [(row.ref, row.cents, row.net) for row in found.rows] == [
        (2, {"batch_pay": 800, "peak_pay": 0, "tip": 500}, 1_300),
        (3, {"batch_pay": 650, "peak_pay": 100, "tip": 0}, 750),
        (4, {"batch_pay": 500, "peak_pay": 0, "tip": 0}, 500),
    ]
    assert found.totals == {"batch_pay": 1_950, "peak_pay": 100, "tip": 500}
    assert (found.opening, found.net, found.moved, found.closing) == (700, 2_550, 2_750, 500)
    assert found.rows[0].at == FIRST + timedelta(hours=1)
    first = of_shopper(shopper, limit=2)
    assert [row.ref for row in of_shopper(shopper, limit=2, after=first.next_cursor).rows] == [4]


def test_a_shoppers_page_asks_seven_times_however_much_there_is(shopper, fake_gateway):
    def asked():
        with counted() as queries:
            of_shopper(shopper)
        return queries.by_alias

    earn(shopper, 1, "batch_pay", 700)
    pay_out("shopper", shopper, fake_gateway, at=FIRST + DAY)
    expected = {sharding.alias_for("shopper", shopper): 4, "default": 3}
    assert asked() == expected
    for n in range(20):
        earn(shopper, 10 + n, "batch_pay", 700)
    assert asked() == expected


# Periods


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [("day", "2026-03-04", "2026-03-04"), ("week", "2026-03-02", "2026-03-08"), ("month", "2026-03-01", "2026-03-31")],
)
def test_periods(period, first, last):
    found = selectors.span(period, date(2026, 3, 4), UTC)
    assert (str(found.first), str(found.last)) == (first, last)


def test_the_week_of_the_clock_change_is_an_hour_shorter():
    found = selectors.span("week", date(2026, 3, 4), ZoneInfo("America/New_York"))
    assert found.ends_at - found.starts_at == timedelta(days=7) - timedelta(hours=1)


@pytest.mark.parametrize(("period", "day"), [("year", date(2026, 3, 4)), ("day", date(1, 1, 1)), ("week", date.max)])
def test_what_is_no_period(period, day):
    with pytest.raises(PeriodInvalid):
        selectors.span(period, day, UTC)


# The check


def pass_on(customer_id, order_id):
    with sharding.atomic(sharding.home("customer", customer_id)):
        ledger.pass_tip_on(customer_id=customer_id, order_id=order_id, now=FIRST)


@pytest.fixture
def quiet(shopper, fake_gateway):
    """A store and a shopper, paid in part, everything in order; the id of the order with the tip."""
    home = sharding.alias_for("customer", CUSTOMERS[0])
    order_id = 80
    sell(order_id)
    sell(81, customer_id=CUSTOMERS[1])
    pass_on(CUSTOMERS[0], order_id)
    earn(shopper, 5, "batch_pay", 700)
    pay_out("store", STORE, fake_gateway, at=FIRST + DAY)
    assert told(FIRST + 2 * DAY) == []
    return home


def forge(alias, statement):
    """Past the triggers, as somebody with the keys to the database could."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SET session_replication_role = replica; {statement}; RESET session_replication_role")


def test_a_transfer_that_the_books_do_not_know_is_found(quiet):
    forge("default", "DELETE FROM ledger_partyentry")
    assert told(FIRST + 2 * DAY) == [(f"store {STORE}: its transfers come to 1820 cents, the books to 0", 1_820)]


def test_a_transfer_of_another_amount_is_found(quiet):
    forge("default", "UPDATE ledger_partyentry SET amount_cents = amount_cents - 3")
    assert told(FIRST + 2 * DAY) == [(f"store {STORE}: its transfers come to 1820 cents, the books to 1817", 3)]


def test_statements_are_of_both_kinds_and_counted(quiet, shopper):
    assert services.audit(now=FIRST + 2 * DAY, tell=lambda what, cents: None) == 2


def test_rows_that_do_not_come_to_the_balance_are_found(quiet, monkeypatch):
    monkeypatch.setattr(books, "orders_of_store", lambda **asked: {})
    assert told(FIRST + 2 * DAY) == [
        (f"statement of store {STORE}: its rows come to 0 cents, their sum to 1820", 1_820)
    ]


def test_a_closing_balance_that_is_not_the_ledgers_is_found(quiet, monkeypatch):
    known = books.owed_to_stores
    monkeypatch.setattr(
        books,
        "owed_to_stores",
        lambda *, store_ids, before: {
            store_id: cents + 5 * (before > FIRST)
            for store_id, cents in known(store_ids=store_ids, before=before).items()
        },
    )
    assert told(FIRST + 2 * DAY) == [(f"statement of store {STORE}: it closes with 0 cents, the ledger owes 5", 5)]
