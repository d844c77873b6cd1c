"""Every flow of money, killed before, in and after each of its foreign calls and commits.

The points are not listed anywhere: a flow is run once to find them, then once for each of them, none left out. What was
killed is first left to the sweeps, then asked for again; both times the invariants of money (1, 2 and 8) must hold, and
nobody helps. ``--long`` kills the recovery, too, at each of its points, for each first point.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

import sharding
from apps.common.money import Money
from apps.payments import services
from apps.payments.fake import FakeGateway
from instacart.invariants import at_provider, rules
from instacart.invariants.counting import double_charges
from tests.faults.flows import FLOWS, SECRET, Cell, Flow
from tests.orders.failpoints import Killed, failpoints
from tests.payments.factories import NOW

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__")]


@pytest.fixture
def cells(fake_gateway: FakeGateway, settings) -> Iterator[Cell]:
    settings.STRIPE_WEBHOOK_SECRETS = (SECRET,)
    cards: dict[tuple[int, str], int] = {}
    return (Cell(number, fake_gateway, cards) for number in itertools.count())


def begun(flow: Flow, cells: Iterator[Cell]) -> Cell:
    cell = next(cells)
    flow.prepare(cell)
    cell.card()
    return cell


def sweep(cell: Cell, now) -> None:
    services.sweep(using=sharding.alias_for("customer", cell.customer_id), now=now)
    services.sweep_transfers(now=now)
    services.sweep_payouts(now=now)


def left_alone(cell: Cell) -> None:
    for minutes in (3, 70):
        sweep(cell, NOW + timedelta(minutes=minutes))


def broken() -> list[str]:
    """Invariants 1, 2 and 8, of money that needs no order: whose payment it is says enough."""
    found: list[str] = []
    intents = at_provider()
    services.compare_with_provider(now=NOW.replace(year=2099), tell=lambda what, cents: found.append(f"1 {what}"))
    if doubled := double_charges(intents):
        found.append(f"2 {doubled} doubled")
    return [*found, *rules.books(), *rules.parties(), *rules.held_for_nobody(intents), *rules.expired(NOW)]


def is_news(flow: Flow) -> bool:
    """What only the provider's news can tell is not known while nobody has told."""
    return flow.name.startswith("the webhook of a")


def check(flow: Flow, cell: Cell, where: str, *, is_alone: bool) -> None:
    outcome = flow.outcome(cell)
    if is_alone:
        assert outcome in flow.alone, where
        if is_news(flow) and outcome != flow.ends:
            return
    else:
        assert outcome == flow.ends, where
    assert broken() == [], where


def points_of(flow: Flow, cells: Iterator[Cell]) -> list[str]:
    cell = begun(flow, cells)
    with failpoints(cell.fake) as points:
        flow.act(cell)
    check(flow, cell, flow.name, is_alone=False)
    assert len(points.passed) >= 3
    return points.passed


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_kill_anywhere_costs_and_doubles_nothing(flow: Flow, cells, capsys) -> None:
    names = points_of(flow, cells)
    for number, name in enumerate(names):
        where = f"{flow.name}, killed at {number} ({name})"
        cell = begun(flow, cells)
        with failpoints(cell.fake, deadly=number) as points, pytest.raises(Killed):
            flow.act(cell)
        assert points.passed == names[: number + 1], where
        left_alone(cell)
        check(flow, cell, f"{where}, left alone", is_alone=True)
        flow.act(cell)
        left_alone(cell)
        check(flow, cell, f"{where}, asked again", is_alone=False)
    with capsys.disabled():
        print(f"\n{flow.name}: {len(names)} of {len(names)} kills", end="")


@pytest.mark.slow
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_second_kill_in_the_recovery_costs_and_doubles_nothing(flow: Flow, cells, capsys, request) -> None:
    if flow is not FLOWS[2] and not request.config.getoption("--long"):
        pytest.skip("all pairs of kills: pass --long")
    began, pairs = time.monotonic(), 0
    for first in range(len(points_of(flow, cells))):
        for second in itertools.count():
            cell = begun(flow, cells)
            with failpoints(cell.fake, deadly=first), pytest.raises(Killed):
                flow.act(cell)
            is_over = False
            with failpoints(cell.fake, deadly=second) as points, suppress(Killed):
                flow.act(cell)
                sweep(cell, NOW + timedelta(minutes=3))
                is_over = True
            flow.act(cell)
            left_alone(cell)
            check(flow, cell, f"{flow.name}, killed at {first}, then at {second} {points.passed[-1:]}", is_alone=False)
            if is_over:
                break
            pairs += 1
    with capsys.disabled():
        print(f"\n{flow.name}: {pairs} pairs of kills in {time.monotonic() - began:.0f} s", end="")


def test_what_the_sweep_must_not_overlook_is_seen(cells: Iterator[Cell]) -> None:
    cell = begun(next(flow for flow in FLOWS if flow.name == "capture"), cells)
    assert broken() == []
    again = cell.fake.intents[cell.intent].reference
    assert again is not None
    cell.fake.charge(customer="c", card="pm_card_visa", amount=Money(5), reference=again, key="planted")
    assert [line.partition(" ")[0] for line in broken()] == ["1", "2"]
