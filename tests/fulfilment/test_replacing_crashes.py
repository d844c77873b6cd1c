"""Kill the process at every call that leaves it, while a replacement is proposed, answered, timed out and sold.

Each cell is one order, one kill, and what happens by itself afterwards: the client asks again, relays and sweepers come
round. Then the shards agree, and the order can be brought to its check-out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

import sharding
from apps.fulfilment import models as store_models
from apps.fulfilment import services
from apps.orders import services as orders
from tests.fulfilment.replacing import CREAM, ME, OAT, Picking, make_wide_market
from tests.fulfilment.replacing_invariants import violations
from tests.orders.conftest import a_monday_morning, provider  # noqa: F401
from tests.orders.factories import BANANAS, BEER, MILK, MORNING
from tests.orders.failpoints import Killed, failpoints

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.usefixtures("a_monday_morning"),
]

TOO_LATE = MORNING + timedelta(minutes=6)


@dataclass(frozen=True)
class Scenario:
    name: str
    act: Callable[[Picking], object]
    """What is killed; a client repeats it afterwards."""
    ends: str
    """What the line is in the end."""
    prepare: Callable[[Picking], object] = lambda picking: None
    is_like_another: bool = False
    """Told by the same code as one above; only with --long."""


def propose(picking):
    picking.propose(MILK, OAT, key="only", tell=False)


def propose_own(picking):
    services.propose_own(
        store_order_id=picking.store_order_id,
        line_id=picking.line(MILK).id,
        shopper_id=ME,
        name="Goat milk",
        price_cents=599,
        code="",
        quantity=Decimal(2),
        key="only",
        now=MORNING,
    )


def proposed(picking):
    picking.propose(MILK, OAT, key="only")


def proposed_last(picking):
    proposed(picking)
    picking.found(BANANAS)
    picking.found(BEER)


def answer(picking, approve):
    (question,) = picking.order.replacements
    picking.answer(question.id, approve=approve, tell=False)


def yes(picking):
    answer(picking, approve=True)


def no(picking):
    answer(picking, approve=False)


def something_else(picking):
    picking.choose(MILK, CREAM, tell=False)


def withdraw(picking):
    picking.withdraw(MILK, tell=False)


def time_out(picking):
    orders.expire_replacements(using=sharding.alias_for("customer", picking.customer_id), now=TOO_LATE)


def took_place(act):
    """``act`` has happened after a question was asked, and nobody has been told."""

    def prepare(picking):
        proposed_last(picking)
        act(picking)

    return prepare


def tell(picking):
    picking.tell_once()


def find_it_after_all(picking):
    picking.found(MILK, tell=False)


def accepted(picking):
    took_place(yes)(picking)
    picking.tell()


def check_out(picking):
    services.check_out(store_order_id=picking.store_order_id, shopper_id=ME, now=MORNING)
    picking.tell_once()


def take_back(picking):
    services.take_back(
        store_id=picking.market.store_id,
        store_order_ids=[picking.store_order_id],
        shopper_id=ME,
        quiet_since=MORNING,
    )
    picking.tell_once()


SCENARIOS = [
    Scenario("propose", propose, "replaced"),
    Scenario("propose a find", propose_own, "replaced"),
    Scenario("tell of a proposal", tell, "replaced", prepare=propose),
    Scenario("approve", yes, "replaced", prepare=proposed_last),
    Scenario("turn down", no, "to_refund", prepare=proposed_last),
    Scenario("ask for something else", something_else, "found", prepare=proposed_last),
    Scenario("withdraw", withdraw, "found", prepare=proposed_last),
    Scenario("time out", time_out, "replaced", prepare=proposed_last),
    Scenario("tell of a yes", tell, "replaced", prepare=took_place(yes)),
    Scenario("tell of a no", tell, "to_refund", prepare=took_place(no), is_like_another=True),
    Scenario("tell of a wish", tell, "found", prepare=took_place(something_else), is_like_another=True),
    Scenario("tell of a withdrawal", tell, "found", prepare=took_place(withdraw), is_like_another=True),
    Scenario("tell of a time-out", tell, "replaced", prepare=took_place(time_out), is_like_another=True),
    Scenario("find it after all", find_it_after_all, "found", prepare=accepted),
    Scenario("check out", check_out, "replaced", prepare=accepted),
    Scenario("fall silent", take_back, "found", prepare=proposed_last, is_like_another=True),
]


def finish(picking):
    """Bring the order to its check-out, as whoever has it then would: what is open times out or is found."""
    row = store_models.StoreOrder.objects.get(pk=picking.store_order_id)
    if row.status == "waiting":
        services.assign(store_id=row.store_id, store_order_ids=[row.pk], shopper_id=ME, now=MORNING)
        services.start_picking(store_order_id=row.pk, shopper_id=ME, now=MORNING)
    picking.tell()
    time_out(picking)
    picking.tell()
    for code in (BANANAS, MILK, BEER):
        if picking.pick_line(code).status == "not_picked":
            picking.found(code)
    if picking.order.status == "picking":
        picking.check_out()


def run(scenario, market, killer):
    """One order of the scenario, killed as ``killer`` says, then left to itself; the points that were passed."""
    picking = Picking(market=market)
    scenario.prepare(picking)
    with killer as points:
        try:
            scenario.act(picking)
        except Killed:
            scenario.act(picking) if scenario.act is not tell else None
    return picking, points


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_kill_at_any_point_leaves_no_half(scenario, provider, capsys, request):  # noqa: F811
    is_long = request.config.getoption("--long")
    if scenario.is_like_another and not is_long:
        pytest.skip("told by the same code as another scenario: pass --long")
    market = make_wide_market()
    unharmed, points = run(scenario, market, failpoints(provider))
    names = points.passed
    finish(unharmed)
    assert len(names) >= 3
    chosen = range(len(names)) if is_long else distinct(names)
    for number in chosen:
        where = f"{scenario.name}, killed at {number} ({names[number]})"
        picking, points = run(scenario, market, failpoints(provider, deadly=number))
        assert points.passed[: number + 1] == names[: number + 1], where
        picking.tell()
        assert violations(picking) == [], where
        finish(picking)
        assert violations(picking) == [], where
        assert (picking.order.status, picking.line(MILK).status) == ("checkout", scenario.ends), where
        assert picking.reserved() == {}, where
    with capsys.disabled():
        print(f"\n{scenario.name}: {len(chosen)} of {len(names)} cells", end="")


def distinct(names):
    """Without those before a call that come right after another: nothing is written between."""
    return [n for n, name in enumerate(names) if n == 0 or not name.startswith("before") or "after" not in names[n - 1]]
