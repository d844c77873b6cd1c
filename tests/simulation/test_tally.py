import asyncio
import json
from collections import Counter
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.simulation import city, screen
from apps.simulation.management.commands import simulate
from apps.simulation.tally import Placed, Tally


def placed(order_id, status, *, is_checked=None, **fields):
    order = Placed(order_id, status, placed_at=100.0, **fields)
    order.is_checked = status in {"delivered", "rejected", "canceled"} if is_checked is None else is_checked
    return order


def tally_of(*orders, wanted=None, **fields):
    return Tally(wanted=wanted, claimed=len(orders), orders={order.order_id: order for order in orders}, **fields)


def test_no_more_orders_are_begun_than_wanted():
    tally = Tally(wanted=2)
    assert [tally.claim() for _ in range(3)] == [True, True, False]
    tally.give_back()
    assert [tally.claim() for _ in range(2)] == [True, False]


def test_without_a_number_they_go_on_until_the_time_is_over():
    tally = Tally()
    assert [tally.claim() for _ in range(100)] == [True] * 100
    tally.is_closed = True
    assert tally.claim() is False


@pytest.mark.parametrize(
    ("tally", "is_done"),
    [
        (tally_of(placed("1", "delivered"), wanted=1), True),
        (tally_of(placed("1", "delivered"), wanted=2), False),
        (tally_of(placed("1", "delivered")), False),
        (tally_of(placed("1", "delivered"), is_closed=True), True),
        (tally_of(placed("1", "picking"), is_closed=True), False),
        (tally_of(placed("1", "delivered", is_checked=False), wanted=1), False),
        (Tally(wanted=1, claimed=1), False),  # begun, and nobody knows yet
        (Tally(claimed=1, is_closed=True), False),
        (Tally(is_closed=True), True),
    ],
)
def test_it_is_done_when_every_order_begun_has_ended(tally, is_done):
    assert tally.is_done is is_done


def test_the_summary_counts_what_happened():
    tally = tally_of(
        placed("1", "delivered", assigned_at=103.0),
        placed("2", "delivered", assigned_at=101.0, difference_cents=-3),
        placed("3", "delivered", is_checked=False, assigned_at=110.04),  # and never charged
        placed("4", "rejected"),
        placed("5", "picking"),
        placed("6", "canceled", difference_cents=5),
        refusals=Counter(out_of_stock=2),
    )
    summary = tally.summary()
    assert summary.pop("seconds") < 5
    assert summary == {
        "placed": 6,
        "delivered": 3,
        "rejected": 1,
        "lost": 2,
        "cents_of_difference": 8,
        "assigned_after_s_median": 3.0,
        "refusals": {"out_of_stock": 2},
    }


GOOD = placed("1", "delivered")
PLANS = [
    (tally_of(GOOD, wanted=1), None),
    (tally_of(GOOD, placed("2", "rejected"), wanted=2), None),
    (tally_of(), None),
    (tally_of(GOOD, wanted=2), 1),
    (tally_of(placed("1", "delivering"), wanted=1), 1),
    (tally_of(placed("1", "delivered", is_checked=False), wanted=1), 1),
    (tally_of(placed("1", "delivered", difference_cents=1), wanted=1), 1),
    (tally_of(placed("1", "delivered", difference_cents=1), placed("2", "delivered", difference_cents=-1)), 1),
]


@pytest.fixture(autouse=True)
def market(monkeypatch):
    """What the databases and the provider say afterwards; a test may change it."""
    said = {"orders_lost": 0, "undrained_jobs": 0}
    monkeypatch.setattr(simulate.Command, "_invariants", lambda self, order_ids: dict(said))
    return said


@pytest.mark.parametrize(("tally", "code"), PLANS)
def test_the_last_line_is_the_summary_and_the_exit_code_its_verdict(tally, code, monkeypatch, settings):
    settings.DEMO_PASSWORD = "secret"
    tally.trouble.append("ConnectError: away")

    async def run(plan):
        plans.append(plan)
        return tally

    plans = []
    monkeypatch.setattr(city, "run", run)
    out, err = StringIO(), StringIO()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command("simulate", orders=tally.wanted, stdout=out, stderr=err)
        assert ended.value.code == code
    else:
        call_command("simulate", orders=tally.wanted, stdout=out, stderr=err)
    assert json.loads(out.getvalue().splitlines()[-1])["placed"] == len(tally.orders)
    assert err.getvalue() == "ConnectError: away\n"
    assert (plans[0].orders, plans[0].seconds, plans[0].first_shopper, plans[0].shoppers) == (tally.wanted, 600, 13, 12)


def test_what_the_databases_say_is_in_the_summary_and_in_the_verdict(market, monkeypatch, settings):
    settings.DEMO_PASSWORD = "secret"

    async def run(plan):
        return tally_of(GOOD, wanted=1)

    monkeypatch.setattr(city, "run", run)
    market["undrained_jobs"] = 1
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("simulate", orders=1, stdout=out)
    assert json.loads(out.getvalue())["invariants"] == market
    out = StringIO()
    call_command("simulate", orders=1, base="http://elsewhere.example/", stdout=out)  # not ours to look into
    assert "invariants" not in json.loads(out.getvalue())


def test_the_demos_own_simulation_shares_nobody_with_another(monkeypatch, settings):
    settings.DEMO_PASSWORD = "secret"
    plans = []

    async def run(plan):
        plans.append(plan)
        return Tally()

    monkeypatch.setattr(city, "run", run)
    for options in ({"demo": True}, {"shoppers": 99}, {"demo": True, "shoppers": 99}):
        call_command("simulate", stdout=StringIO(), **options)
    people = [range(plan.first_shopper, plan.first_shopper + plan.shoppers) for plan in plans]
    assert people == [range(1, 13), range(13, 26), range(1, 13)]


def test_without_the_demos_password_it_says_what_to_do(settings):
    settings.DEMO_PASSWORD = ""
    with pytest.raises(CommandError, match="DEMO_PASSWORD"):
        call_command("simulate")


def test_when_the_time_is_over_orders_under_way_may_end(monkeypatch):
    """Nothing is begun after the deadline; what was begun is waited for, but not for ever."""

    async def one_order(base_url, tally, rng, pause_s):
        assert tally.claim()
        tally.orders["1"] = placed("1", "picking")
        while not tally.is_closed:
            await asyncio.sleep(0.01)
        assert not tally.claim()
        if comes_to_an_end:
            tally.orders["1"] = placed("1", "delivered")

    monkeypatch.setattr(city.customers, "live", one_order)
    monkeypatch.setattr(city, "FINISH_S", 1.0)
    for comes_to_an_end in (True, False):
        plan = city.Plan(
            base_url="",
            orders=None,
            seconds=0.1,
            customers=1,
            shoppers=0,
            first_shopper=1,
            pace=city.FAST,
            pause_s=0,
            shopper_password="",
            seed=1,
            show_table=False,
        )
        tally = asyncio.run(city.run(plan))
        assert (tally.is_good, tally.lost) == (comes_to_an_end, 0 if comes_to_an_end else 1)


def test_the_table_shows_every_order_once():
    tally = tally_of(placed("1", "delivered"), placed("2", "picking"), placed("3", "staged"), placed("4", "pending"))
    cells = {title: next(iter(cells)) for title, cells in _rows(screen.table(tally))}
    assert cells["placed"] == "4"
    assert (cells["waiting for a shopper"], cells["being picked"], cells["delivered"]) == ("1", "2", "1")


def _rows(table):
    first, second = (list(column.cells) for column in table.columns)
    return [(title, [value]) for title, value in zip(first, second, strict=True)]
