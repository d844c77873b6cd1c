"""Where idle shoppers are worth most: what ``_covering.pyx`` computes, written to be read.

The next order comes from each store with its share of the demand; the nearest shopper takes it, or the second nearest
where the first is busy, and so on with ``AGAIN`` the chance that one is (the idea of the hypercube queueing model of
R. Larson, 1974, with one chance for all). What it costs to be away from a store is convex: being in time is enough.
"""

import math

from cython_ext.dispatch.problem import Coverage

RANKS = 4
AGAIN = 0.5
NOBODY_MINUTES = 60.0
NEAR_STORES = 16
EAGER = 0.3
"""How much of the way to a store counts against standing there: he is under way only once."""
LEAST_GAIN = 0.02
MOST_MOVES = 3


def stand_by(coverage: Coverage, *, turn: int) -> list[tuple[int, int, float]]:
    """(shopper, store, gain) for up to three idle shoppers worth more elsewhere; ``turn`` says whose turn it is.

    One after the other, each knowing of the moves before. Raises ValueError when lengths differ.
    """
    check(coverage)
    c = coverage
    stores, idle = len(c.x), [k for k, may in enumerate(c.may_move) if may]
    if not stores or not idle:
        return []
    away = [[_leg(c, c.at_x[k], c.at_y[k], q) + c.away[k] for q in range(stores)] for k in range(len(c.at_x))]
    moves = []
    first = turn * MOST_MOVES % len(idle)
    for number in range(min(MOST_MOVES, len(idle))):
        k = idle[(first + number) % len(idle)]
        others = [
            sorted([away[i][q] for i in range(len(away)) if i != k] + [NOBODY_MINUTES] * RANKS)[:RANKS]
            for q in range(stores)
        ]
        way = [_leg(c, c.at_x[k], c.at_y[k], q) for q in range(stores)]
        stay = _cost(c, others, away[k])
        best, where = stay, -1
        for _, store in sorted((way[q], q) for q in range(stores))[:NEAR_STORES]:
            there = [_leg(c, c.x[store], c.y[store], q) + EAGER * way[store] for q in range(stores)]
            cost = _cost(c, others, there)
            if cost < best:
                best, where = cost, store
        if where >= 0 and stay - best > LEAST_GAIN and way[where] > 0:
            moves.append((k, where, stay - best))
            away[k] = [_leg(c, c.x[where], c.y[where], q) + way[where] for q in range(stores)]
    return moves


def check(coverage: Coverage) -> None:
    c = coverage
    if not len(c.x) == len(c.y) == len(c.share):
        raise ValueError(f"{len(c.x)} x, {len(c.y)} y and {len(c.share)} shares of stores; they must be equally many")
    if not len(c.at_x) == len(c.at_y) == len(c.away) == len(c.may_move):
        raise ValueError("at_x, at_y, away and may_move of shoppers must be equally long")
    if not len(c.delays) or not c.speed > 0:
        raise ValueError("delays must not be empty and speed must be above 0")


def _leg(c: Coverage, x: float, y: float, store: int) -> float:
    dx, dy = x - c.x[store], y - c.y[store]
    way = math.sqrt(dx * dx + dy * dy) / c.speed
    return float(math.ceil(way)) if c.is_whole else way


def _cost(c: Coverage, others: list[list[float]], away: list[float]) -> float:
    """Expected cost of the next order with one more shopper so far away from each store."""
    total = 0.0
    for q, share in enumerate(c.share):
        carried, cost, weight = away[q], 0.0, 1 - AGAIN
        for other in others[q]:
            cost += weight * _delay(c, min(carried, other))
            carried = max(carried, other)
            weight *= AGAIN
        total += share * cost
    return total


def _delay(c: Coverage, minutes: float) -> float:
    return c.delays[min(int(minutes), len(c.delays) - 1)]
