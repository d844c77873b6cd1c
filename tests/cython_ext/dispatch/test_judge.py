"""The judge of the public benchmark finds nothing wrong with our plans and days, and better ones than its simplest."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.dispatch import mdrp as ours
from cython_ext.dispatch import engine
from tests.cython_ext.dispatch import judge


@st.composite
def snapshots(draw: st.DrawFn) -> dict[str, Any]:
    chance = random.Random(draw(st.integers(0, 10**6)))  # noqa: S311 (the same snapshot every time)
    side, now = draw(st.sampled_from((500, 4000, 12000))), 600
    stores = {f"r{i}": [chance.randint(0, side), chance.randint(0, side)] for i in range(draw(st.integers(1, 6)))}
    orders = []
    for i in range(draw(st.integers(0, 25))):
        placed = now - chance.randint(0, 30)
        orders.append(
            {
                "id": f"o{i}",
                "store": chance.choice(sorted(stores)),
                "x": chance.randint(0, side),
                "y": chance.randint(0, side),
                "placed": placed,
                "ready": placed + chance.randint(0, 40),
            }
        )
    couriers = [
        {
            "id": f"c{j}",
            "x": chance.randint(0, side),
            "y": chance.randint(0, side),
            "free_at": now + chance.randint(-5, 20),
            "off": now + chance.randint(-10, 120),
        }
        for j in range(draw(st.integers(0, 12)))
    ]
    return {
        "now": now,
        "speed": draw(st.sampled_from((150.0, 320.0))),
        "pick_service": 4,
        "drop_service": 4,
        "target": 40,
        "max_onboard": draw(st.integers(1, 4)),
        "radius_min": draw(st.sampled_from((5, 15))),
        "weights": {"late": 2, "unassigned": draw(st.sampled_from((20, 120)))},
        "stores": stores,
        "orders": orders,
        "couriers": couriers,
    }


@settings(deadline=None, max_examples=60)
@given(snapshots())
def test_the_judge_finds_every_plan_valid_and_reckons_the_same_cost(snapshot: dict[str, Any]):
    made = engine.plan(ours.snapshot_request(snapshot), iterations=40)
    plan = {k: [["P" if kind == "pick" else "D", o] for kind, o in stops] for k, stops in made.routes.items()}
    verdict = judge.module("snapshot").score(snapshot, plan)
    assert verdict["bad"] == []
    assert verdict["J"] == made.cost
    assert verdict["unassigned"] == len(made.held)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("days")
    judge.module("gen").day(str(folder), "small", orders=150, seed=3, stores=30)
    return judge.module("mdrp").load("small", str(folder))


def test_a_day_breaks_no_rule_and_beats_the_nearest_free_courier(day: Any):
    sim, check = judge.module("sim"), judge.module("check")
    hidden = sim.hidden(day)
    log = sim.run(day, ours.make(hidden, iterations=60, seconds=0.0), step=1, known=hidden)
    assert check.verify(day, log) == []
    mine = check.metrics(day, log)
    greedy = judge.module("policies.greedy")
    theirs = check.metrics(day, sim.run(day, greedy.make(day, step=1), step=1))
    assert mine["undelivered_pct"] == 0
    assert mine["ctd"] < theirs["ctd"] - 1
    assert mine["cost_per_order"] < theirs["cost_per_order"]


def test_a_day_repeats_itself(day: Any):
    sim = judge.module("sim")

    def drops() -> dict[str, list[Any]]:
        hidden = sim.hidden(day)
        log = sim.run(day, ours.make(hidden, iterations=20, seconds=0.0), step=1, known=hidden)
        orders: dict[str, list[Any]] = log["orders"]
        return orders

    assert drops() == drops()
