"""What ``_dispatch.pyx`` computes, written to be read: plans by ruin and recreate.

The method is slack induction by string removals (J. Christiaens and G. Vanden Berghe, *Slack Induction by String
Removals for Vehicle Routing Problems*, Transportation Science 54(2), 2020), with pickups and drops instead of visits:
take strings of like orders out of neighbouring routes, put each back where it costs least (passing over a place now
and then: a *blink*), keep the outcome when it is better or, by a falling temperature, not much worse. Between these
rounds routes exchange their tails.
"""

import math
import time
from collections.abc import Sequence

from cython_ext.dispatch import checks
from cython_ext.dispatch.covering import stand_by
from cython_ext.dispatch.problem import Answer, Choice, Problem
from cython_ext.dispatch.routes import NEVER, Plain, best_insertion, made
from cython_ext.dispatch.searching import BLINK, WIDE, Search
from cython_ext.dispatch.tails import Exchange

__all__ = ["choices", "search", "stand_by", "timetables"]

HOT, COLD = 5.0, 0.2
"""Temperatures at the beginning and the end, in units of cost."""
EXCHANGES = 2
"""Exchanges of tails tried in each round."""


def search(
    problem: Problem, warm: Sequence[Sequence[int]], *, seed: int, iterations: int, seconds: float = 0.0
) -> Answer:
    """The best plan found from the routes ``warm``, in so many rounds and, where ``seconds`` is above 0, that time.

    The same problem, routes, seed and iterations give the same answer; with ``seconds`` only where the rounds end in
    time. A warm route that is no longer allowed is reduced to what is pinned of it; orders in no route are put in
    first. Raises ValueError for a problem that does not fit together (see ``checks``).
    """
    began = time.monotonic()
    checks.check(problem)
    running = Search(problem, checks.warm_routes(problem, warm), seed)
    running.build(began + seconds if seconds > 0 else 0.0)
    done = _improve(running, iterations, began, seconds)
    return Answer(routes=running.best, cost=running.best_cost, iterations=done)


def _improve(running: Search, iterations: int, began: float, seconds: float) -> int:
    """Rounds done."""
    done, heat, exchange = 0, HOT, Exchange(running)
    running.is_wide = running.m <= WIDE
    while done < iterations and running.n > 0 and running.m > 0:
        if done % 8 == 0:
            share = done / iterations
            if seconds > 0:
                gone = (time.monotonic() - began) / seconds
                if gone >= 1:
                    break
                share = max(share, gone)
            heat = HOT * math.exp(math.log(COLD / HOT) * share)
        done += 1
        for _ in range(EXCHANGES):
            exchange(heat)
        before = running.cost
        running.touched = {}
        running.ruin()
        running.add_loose()
        if not running.gone:
            continue
        running.arrange()
        for order in running.gone:
            running.insert(order, BLINK)
        if running.cost < before - heat * math.log(running.chance() + 1e-300):
            running.keep()
        else:
            running.undo(before)
    return done


def choices(problem: Problem, routes: Sequence[Sequence[int]], order: int) -> list[Choice]:
    """What the order would cost each shopper who may take it, the other orders staying as they are; cheapest first."""
    checks.check(problem)
    plain, found = Plain(problem), []
    for shopper, stops in enumerate(checks.warm_routes(problem, routes)):
        route, is_allowed = made(plain, shopper, [stop for stop in stops if stop >> 1 != order])
        if not is_allowed:
            continue
        cost, i, j = best_insertion(plain, route, order, NEVER)
        if i >= 0:
            found.append(Choice(shopper=shopper, cost=cost, pick=i, drop=j))
    return sorted(found, key=lambda choice: (choice.cost, choice.shopper))


def timetables(problem: Problem, routes: Sequence[Sequence[int]]) -> list[list[tuple[float, float]]]:
    """When each shopper acts and leaves at each of his stops; ValueError where a rule refuses a route."""
    checks.check(problem)
    plain, tables = Plain(problem), []
    for shopper, stops in enumerate(checks.warm_routes(problem, routes)):
        route, is_allowed = made(plain, shopper, stops)
        if not is_allowed:
            raise ValueError(f"shopper {shopper} may not drive {stops}: a pickup after the shift, too far or too much")
        tables.append([(state.act, state.leave) for state in route.at[1:]])
    return tables
