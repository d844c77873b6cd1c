"""A mover may be killed at any moment: whoever goes on loses nothing, and writers never know more than a short wait."""

import random
from pathlib import Path

import pytest

from tests.sharding.moves import acts, checking
from tests.sharding.moves.world import World

SEED = 3
ROUNDS = 30
"""With --long: about a thousand moves."""
GIVEN_UP_AT = "switch: adopted"
"""The last moment before the map is changed."""


@pytest.fixture(scope="module")
def points(worlds) -> dict[str, list[str]]:
    """Every point that a move passes, by what is being done to it."""
    with worlds() as world:
        found: dict[str, list[str]] = {}
        move = world.do(acts.start, "customer", 0, 9, "a", "b")
        found["run"] = world.do(acts.points, "run", move)
        found["rollback"] = world.do(acts.points, "rollback", move)
        move = world.do(acts.start, "customer", 0, 9, "a", "b")
        assert world.do(acts.killed, "run", move, GIVEN_UP_AT)
        found["give up"] = world.do(acts.points, "rollback", move)
        move = world.do(acts.move, "customer", 0, 9, "a", "b")
        found["cleanup"] = world.do(acts.points, "cleanup", move, now=True)
    return found


def test_the_points_are_all_there(points):
    assert {name: len(found) for name, found in points.items()} == {
        "run": 34,
        "rollback": 20,
        "give up": 20,
        "cleanup": 6,
    }


def test_killed_at_every_step_under_traffic_nothing_is_lost(worlds, points, tmp_path: Path, request):
    is_long = request.config.getoption("--long")
    rounds = ROUNDS if is_long else 1
    # Between a step's end and the next one's beginning only the directory's note of it lies.
    chosen = {name: [p for p in found if is_long or not p.startswith("before")] for name, found in points.items()}
    chance = random.Random(SEED)
    kills = moves = 0
    with worlds() as world:
        with checking.traffic(world, tmp_path) as verdict:
            for _ in range(rounds):
                todo = {name: chance.sample(found, len(found)) for name, found in chosen.items()}
                while any(todo.values()):
                    kills += one_move(world, chance, points, todo)
                    moves += 1
        found_amiss = world.do(acts.verify)
    print(f"{moves} moves, {kills} kills: {verdict}")
    assert verdict.is_clean, str(verdict)
    assert verdict.met_a_move > 0
    assert moves >= 20
    assert kills == rounds * sum(map(len, chosen.values()))
    assert found_amiss == []


def one_move(world: World, chance: random.Random, points: dict[str, list[str]], todo: dict[str, list[str]]) -> int:
    """A random move, killed on its way and again when it is undone or cleaned up."""
    holders = world.do(acts.holders)
    keyspace = chance.choice(["customer", "customer", "store"])
    first = chance.randrange(10_000)
    source = holders[keyspace][first]
    last = first
    while last + 1 < 10_000 and last - first < 2_000 and holders[keyspace][last + 1] == source:
        last += 1
    target = chance.choice([alias for alias in "abc" if alias != source])
    move = world.do(acts.start, keyspace, first, last, source, target)
    if todo["give up"] and chance.random() < 0.3:
        assert world.do(acts.killed, "run", move, GIVEN_UP_AT)
        return kill(world, "rollback", move, todo["give up"], points["give up"], 3)
    kills = kill(world, "run", move, todo["run"], points["run"], 1)
    end = chance.choice(["rollback", "cleanup"])
    return kills + kill(world, end, move, todo[end], points[end], 2)


def kill(world: World, what: str, move: int, todo: list[str], order: list[str], times: int) -> int:
    """Do it, killed at so many of the points, in their order, and taken up again."""
    chosen = [todo.pop() for _ in range(min(times, len(todo)))]
    options = {"now": True} if what == "cleanup" else {}
    kills = 0
    for point in sorted(chosen, key=order.index):
        if world.do(acts.killed, what, move, point, **options):
            kills += 1
        else:  # killed after the map was changed, it does not pass the rest of the switch again
            assert kills, f"{what} did not pass {point!r}"
            todo.insert(0, point)
    world.do(acts.call, what, move, **options)
    return kills
