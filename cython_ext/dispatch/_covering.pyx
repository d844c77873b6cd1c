# distutils: extra_compile_args = -ffp-contract=off -fno-math-errno -fno-trapping-math
"""Compiled twin of ``covering.py``: same names, same answers, same errors."""

from libc.math cimport ceil, sqrt
from libc.stdlib cimport free, malloc, qsort

from cython_ext.dispatch.covering import check

cdef enum:
    RANKS = 4
    NEAR_STORES = 16
    MOST_MOVES = 3

cdef double AGAIN = 0.5
cdef double NOBODY_MINUTES = 60.0
cdef double EAGER = 0.3
cdef double LEAST_GAIN = 0.02

cdef struct Near:
    double way
    int store

cdef struct Cover:
    int stores, shoppers, steps
    const double* x
    const double* y
    const double* share
    const double* delays
    const double* at_x
    const double* at_y
    const double* away
    double speed
    bint whole
    double* now_x          # where each shopper is counted from, and the minutes until he is there
    double* now_y
    double* now_away
    double* others         # stores * RANKS
    double* there
    Near* near


cdef inline double leg(const Cover* c, double x, double y, int store) noexcept nogil:
    cdef double dx = x - c.x[store], dy = y - c.y[store], way = sqrt(dx * dx + dy * dy) / c.speed
    return ceil(way) if c.whole else way


cdef inline double delay(const Cover* c, double minutes) noexcept nogil:
    return c.delays[<int>minutes if minutes < c.steps - 1 else c.steps - 1]


cdef int by_way(const void* a, const void* b) noexcept nogil:
    cdef double p = (<const Near*>a).way, q = (<const Near*>b).way
    if p != q:
        return -1 if p < q else 1
    return (<const Near*>a).store - (<const Near*>b).store


cdef double cost_of(const Cover* c) noexcept nogil:
    cdef double total = 0, cost, weight, carried, other
    cdef int q, j
    for q in range(c.stores):
        carried = c.there[q]
        cost = 0
        weight = 1 - AGAIN
        for j in range(RANKS):
            other = c.others[q * RANKS + j]
            if carried < other:
                cost += weight * delay(c, carried)
                carried = other
            else:
                cost += weight * delay(c, other)
            weight *= AGAIN
        total += c.share[q] * cost
    return total


cdef void rank_others(const Cover* c, int without) noexcept nogil:
    cdef int q, k, j
    cdef double way
    cdef double* top
    for q in range(c.stores):
        top = c.others + q * RANKS
        for j in range(RANKS):
            top[j] = NOBODY_MINUTES
        for k in range(c.shoppers):
            if k == without:
                continue
            way = leg(c, c.now_x[k], c.now_y[k], q) + c.now_away[k]
            if way < top[RANKS - 1]:
                j = RANKS - 1
                while j > 0 and way < top[j - 1]:
                    top[j] = top[j - 1]
                    j -= 1
                top[j] = way


cdef int best_store(const Cover* c, int k, double* gain) noexcept nogil:
    """The store where shopper k is worth most, -1 for where he is."""
    cdef int q, number, store, where = -1
    cdef double stay, best, cost, way
    rank_others(c, k)
    for q in range(c.stores):
        c.there[q] = leg(c, c.now_x[k], c.now_y[k], q) + c.now_away[k]
        c.near[q].way = leg(c, c.at_x[k], c.at_y[k], q)
        c.near[q].store = q
    stay = best = cost_of(c)
    qsort(c.near, c.stores, sizeof(Near), by_way)
    for number in range(c.stores if c.stores < NEAR_STORES else NEAR_STORES):
        store = c.near[number].store
        way = c.near[number].way
        for q in range(c.stores):
            c.there[q] = leg(c, c.x[store], c.y[store], q) + EAGER * way
        cost = cost_of(c)
        if cost < best:
            best = cost
            where = store
    gain[0] = stay - best
    if where < 0 or not gain[0] > LEAST_GAIN or not leg(c, c.at_x[k], c.at_y[k], where) > 0:
        return -1
    way = leg(c, c.at_x[k], c.at_y[k], where)
    c.now_x[k] = c.x[where]
    c.now_y[k] = c.y[where]
    c.now_away[k] = way
    return where


def stand_by(coverage, *, turn):
    cdef Cover c
    cdef const double[::1] x, y, share, delays, at_x, at_y, away
    cdef int k, q, where, number, first
    cdef double gain
    check(coverage)
    idle = [k for k, may in enumerate(coverage.may_move) if may]
    c.stores, c.shoppers, c.steps = len(coverage.x), len(coverage.at_x), len(coverage.delays)
    if not c.stores or not idle:
        return []
    x, y, share, delays = coverage.x, coverage.y, coverage.share, coverage.delays
    at_x, at_y, away = coverage.at_x, coverage.at_y, coverage.away
    c.x, c.y, c.share, c.delays = &x[0], &y[0], &share[0], &delays[0]
    c.at_x, c.at_y, c.away = &at_x[0], &at_y[0], &away[0]
    c.speed, c.whole = coverage.speed, coverage.is_whole
    cdef double* room = <double*>malloc((3 * c.shoppers + (RANKS + 1) * c.stores) * sizeof(double))
    c.near = <Near*>malloc(c.stores * sizeof(Near))
    moves = []
    try:
        if room == NULL or c.near == NULL:
            raise MemoryError
        c.now_x, c.now_y, c.now_away = room, room + c.shoppers, room + 2 * c.shoppers
        c.others = room + 3 * c.shoppers
        c.there = c.others + RANKS * c.stores
        for k in range(c.shoppers):
            c.now_x[k], c.now_y[k], c.now_away[k] = at_x[k], at_y[k], away[k]
        first = turn * MOST_MOVES % len(idle)
        for number in range(min(MOST_MOVES, len(idle))):
            k = idle[(first + number) % len(idle)]
            with nogil:
                where = best_store(&c, k, &gain)
            if where >= 0:
                moves.append((k, where, gain))
    finally:
        free(room)
        free(c.near)
    return moves
