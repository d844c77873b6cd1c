"""The compiled kernels and their reference: the same answers to the last bit, the same refusals."""

import random
import time
from array import array
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cython_ext import dispatch, implementation
from cython_ext.dispatch import reference
from cython_ext.dispatch.building import build
from cython_ext.dispatch.problem import Coverage, Problem
from tests.cython_ext.dispatch import factories
from tests.cython_ext.meanwhile import ticks_during


@pytest.fixture(scope="module")
def compiled() -> ModuleType:
    pytest.importorskip("cython_ext.dispatch._dispatch")
    return import_module("cython_ext.dispatch._dispatch")


@pytest.mark.twins
def test_the_chosen_implementation_is_the_one_at_work():
    assert dispatch.search is implementation("cython_ext.dispatch", "_dispatch").search


@settings(deadline=None, max_examples=80)
@given(factories.problems(), st.integers(0, 2**64), st.sampled_from((0, 1, 30)))
def test_searches_agree(compiled: ModuleType, drawn: tuple[Problem, list[list[int]]], seed: int, iterations: int):
    problem, warm = drawn
    ours = reference.search(problem, warm, seed=seed, iterations=iterations)
    assert compiled.search(problem, warm, seed=seed, iterations=iterations) == ours
    for order in range(len(problem.placed)):
        assert compiled.choices(problem, ours.routes, order) == reference.choices(problem, ours.routes, order)
    assert compiled.timetables(problem, ours.routes) == reference.timetables(problem, ours.routes)


@pytest.mark.parametrize("shoppers", [40, 60, 120])
def test_searches_agree_among_many_shoppers(compiled: ModuleType, shoppers: int):
    """Few, some and many shoppers are looked over in three ways."""
    problem = crowd(orders=70, shoppers=shoppers)
    ours = reference.search(problem, [], seed=3, iterations=40)
    assert compiled.search(problem, [], seed=3, iterations=40) == ours
    assert compiled.search(problem, [], seed=4, iterations=40) != ours


@settings(deadline=None)
@given(factories.coverages(), st.integers(0, 100))
def test_moves_agree(compiled: ModuleType, coverage: Coverage, turn: int):
    assert compiled.stand_by(coverage, turn=turn) == reference.stand_by(coverage, turn=turn)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"ready": array("d")}, "ready has 0 items; 2 are needed"),
    ({"order_store": array("i", [0, 99])}, "order_store refers to a place that is none of the 4"),
    ({"pin": array("i", [-1, 7])}, "pin refers to a shopper who is none of the 1"),
    ({"speed": 0.0}, "speed is 0.0; it must be above 0"),
    ({"due": array("d", [0, float("nan")])}, "due holds a number that is not finite"),
    ({"free": array("d", [float("inf")])}, "free holds a number that is not finite"),
    ({"matrix": array("f", [1, 2, 3])}, "matrix has 3 items; 16 are needed, or none"),
]


@pytest.mark.twins
@pytest.mark.parametrize(("change", "words"), WRONG, ids=lambda value: next(iter(value), "") if value else "")
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], words: str):
    problem = two_orders()
    for name, value in change.items():
        setattr(problem, name, value)
    with pytest.raises(ValueError, match=words):
        dispatch.search(problem, [], seed=1, iterations=1)


@pytest.mark.twins
@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ([[0, 1], []], "2 routes for 1 shoppers"),
        ([[0]], r"orders \[0\] are picked up and never dropped"),
        ([[1]], "order 0 is dropped without a pickup by shopper 0, to whom it is not pinned"),
        ([[0, 1, 0, 1]], "order 0 is in the routes twice"),
        ([[4, 5]], "stop 4 is of order 2, which is none of the 2"),
        ([[0, 1] * 40], "a route of 80 stops; 64 are the most"),
    ],
)
def test_routes_that_are_none_are_refused(routes: list[list[int]], words: str):
    for refusing in (
        lambda: dispatch.search(two_orders(), routes, seed=1, iterations=1),
        lambda: dispatch.choices(two_orders(), routes, 0),
        lambda: dispatch.timetables(two_orders(), routes),
    ):
        with pytest.raises(ValueError, match=words):
            refusing()


@pytest.mark.twins
def test_a_timetable_of_a_forbidden_route_is_refused():
    problem = two_orders()
    problem.off = array("d", [1.0])
    with pytest.raises(ValueError, match="shopper 0 may not drive"):
        dispatch.timetables(problem, [[0, 1]])


def test_other_threads_run_meanwhile(compiled: ModuleType):
    problem = crowd(orders=300, shoppers=200)
    assert ticks_during(lambda: compiled.search(problem, [], seed=1, iterations=10**9, seconds=0.3)) >= 10


def test_the_deadline_is_kept(compiled: ModuleType):
    """A quarter of a second for 3,000 orders and 2,000 shoppers, in the time this thread was given to compute."""
    problem = crowd(orders=3000, shoppers=2000)
    began = time.thread_time()
    answer = compiled.search(problem, [], seed=1, iterations=10**9, seconds=0.25)
    assert time.thread_time() - began < 0.35
    compiled.timetables(problem, answer.routes)


def two_orders() -> Problem:
    request = factories.request([factories.order("o1"), factories.order("o2", door=(20.0, 0.0))], [factories.shopper()])
    return build(request).problem


def crowd(*, orders: int, shoppers: int) -> Problem:
    chance = random.Random(orders + shoppers)  # noqa: S311 (the same crowd every time)

    def somewhere() -> tuple[float, float]:
        return chance.uniform(0, 60), chance.uniform(0, 60)

    stores = {f"s{i}": somewhere() for i in range(max(3, orders // 8))}
    names = sorted(stores)
    placed = []
    for i in range(orders):
        store = chance.choice(names)
        at, ready = chance.uniform(-20, 0), chance.uniform(0, 30)
        placed.append(
            factories.order(
                f"o{i}", store_id=store, store=stores[store], door=somewhere(), placed=at, ready=ready, due=at + 40
            )
        )
    on_shift = [
        factories.shopper(f"c{i}", at=somewhere(), free=chance.uniform(0, 20), off=chance.uniform(60, 200))
        for i in range(shoppers)
    ]
    return build(factories.request(placed, on_shift, radius_minutes=40.0)).problem
