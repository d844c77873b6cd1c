"""Do the compiled kernels still pay? The same search, weighing and placing by both implementations."""

import time
from array import array
from collections.abc import Callable

from bench.dispatch.scale import city
from bench.report import Figure
from cython_ext.dispatch import _covering, _dispatch, covering, reference
from cython_ext.dispatch.building import build
from cython_ext.dispatch.demand import Demand
from cython_ext.dispatch.problem import Coverage

GOAL = 50


def figures(*, quick: bool) -> list[Figure]:
    """Each pair is asserted to give the same answer."""
    problem = build(city(150, 100)).problem
    rounds = 20 if quick else 100
    coverage = _coverage()
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "search": (
            lambda: reference.search(problem, [], seed=1, iterations=rounds),
            lambda: _dispatch.search(problem, [], seed=1, iterations=rounds),
        ),
        "moves": (lambda: covering.stand_by(coverage, turn=0), lambda: _covering.stand_by(coverage, turn=0)),
    }
    found = []
    for name, (slow, fast) in pairs.items():
        assert slow() == fast()
        ratio = _best_seconds(slow, 1 if quick else 3) / _best_seconds(fast, 20)
        found.append(Figure(name=f"compiled {name} over reference", value=ratio, unit="times", at_least=GOAL))
    return found


def _coverage() -> Coverage:
    request = city(200, 120)
    stores = {order.store_id: order.store or (0.0, 0.0) for order in request.orders}
    shares = Demand(stores).shares()
    places = [shopper.at or (0.0, 0.0) for shopper in request.shoppers]
    return Coverage(
        x=array("d", [at[0] for at in stores.values()]),
        y=array("d", [at[1] for at in stores.values()]),
        share=array("d", shares.values()),
        delays=Demand({}).delays(2.0),
        at_x=array("d", [at[0] for at in places]),
        at_y=array("d", [at[1] for at in places]),
        away=array("d", [0.0]) * len(places),
        may_move=array("i", [1]) * len(places),
        speed=320.0,
    )


def _best_seconds(measured: Callable[[], object], rounds: int) -> float:
    """The least disturbed of all rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        measured()
        best = min(best, time.perf_counter() - began)
    return best
