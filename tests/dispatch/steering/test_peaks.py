"""Pressure, levels and cents, without a database."""

from itertools import pairwise

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.geo import Point
from apps.dispatch.steering import peaks
from apps.dispatch.steering.peaks import EASE, FALLS_AFTER, PRESSURES, Cell, Reading

HIGHEST = 5
CALM = Reading(demand=0, supply=3)
counts = st.floats(min_value=0, max_value=60)
readings = st.builds(Reading, demand=counts, supply=counts)
states = st.builds(
    Cell, level=st.integers(0, HIGHEST), wanted=st.integers(0, HIGHEST), eased=st.integers(0, FALLS_AFTER - 1)
)


def under(pressure, supply=3.0):
    return Reading(demand=pressure * supply, supply=supply)


def levels(readings, *, highest=HIGHEST):
    cell, found = Cell(), []
    for reading in readings:
        cell = peaks.follow(cell, reading, highest)
        found.append(cell.level)
    return found


@pytest.mark.parametrize(("pressure", "level"), [(1.9, 0), (2, 1), (3, 2), (5.9, 3), (6, 4), (8, 5), (80, 5)])
def test_the_second_reading_reaches_the_step(pressure, level):
    assert levels([under(pressure)] * 2) == [0, level]


def test_a_level_falls_step_by_step_and_slowly():
    assert levels([under(4)] * 2 + [CALM] * 16) == [0, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0]


def test_a_pressure_just_below_the_step_keeps_the_level():
    assert levels([under(4)] * 2 + [under(4 * EASE)] * 20)[-1] == 3
    assert levels([under(4)] * 2 + [under(4 * EASE - 0.01)] * FALLS_AFTER)[-1] == 2


def test_one_order_alone_is_no_peak_and_nobody_at_all_is_half_a_shopper():
    assert Reading(demand=1.9, supply=0).pressure == 0
    assert Reading(demand=2, supply=0).pressure == 4


def test_what_is_near_counts_by_its_ring():
    here = peaks.cell_of(Point(39.96, -82.99))
    next_one, second = (min(set(h3.grid_ring(here, k))) for k in (1, 2))
    far = min(h3.grid_ring(here, 3))
    found = peaks.weigh(
        [here],
        orders={here: 4, next_one: 2, second: 4, far: 50},
        shoppers={next_one: 1, second: 2, far: 9},
        before={},
        highest=HIGHEST,
    )
    assert found == {here: Cell(level=0, wanted=4, eased=0, demand=6.0, supply=1.0)}


def test_a_cell_is_a_hexagon_around_its_point():
    point = Point(39.96, -82.99)
    corners = peaks.boundary(peaks.cell_of(point))
    assert len(corners) == 6
    assert min(c.lat for c in corners) < point.lat < max(c.lat for c in corners)
    assert min(c.lng for c in corners) < point.lng < max(c.lng for c in corners)


@pytest.mark.parametrize(
    ("step", "most", "highest", "cents"),
    [(100, 500, 5, 500), (100, 250, 2, 250), (150, 10_000, 5, 750), (100, 0, 0, 0), (0, 500, 0, 0), (-5, -5, 0, 0)],
)
def test_cents_are_bounded_by_the_setting(step, most, highest, cents):
    assert peaks.highest_level(step_cents=step, most_cents=most) == highest
    assert peaks.extra_cents(9, step_cents=step, most_cents=most) == min(9 * max(step, 0), max(most, 0))
    assert peaks.extra_cents(5, step_cents=step, most_cents=most) == cents


def test_a_lower_bound_takes_hold_at_once():
    assert peaks.follow(Cell(level=5), under(80), 2).level == 2


@given(states, readings, counts, counts)
def test_more_orders_or_fewer_shoppers_never_mean_less(before, reading, more, fewer):
    pressed = Reading(demand=reading.demand + more, supply=max(0.0, reading.supply - fewer))
    assert reading.pressure <= pressed.pressure
    assert peaks.follow(before, reading, HIGHEST).level <= peaks.follow(before, pressed, HIGHEST).level


@given(st.lists(st.tuples(readings, counts), max_size=60))
def test_a_day_with_more_orders_is_at_no_moment_paid_less(day):
    calmer = levels([reading for reading, _ in day])
    busier = levels([Reading(demand=reading.demand + more, supply=reading.supply) for reading, more in day])
    assert all(low <= high for low, high in zip(calmer, busier, strict=True))


@given(st.lists(readings, max_size=60), st.integers(0, HIGHEST))
def test_levels_are_bounded_and_do_not_flicker(day, highest):
    found = [0, *levels(day, highest=highest)]
    changes = [(i, after - before) for i, (before, after) in enumerate(pairwise(found)) if before != after]
    assert all(0 <= level <= highest for level in found)
    for i, change in changes:
        if change > 0:  # two readings in a row asked for it
            assert i > 0
            assert all(day[j].pressure >= PRESSURES[found[i + 1] - 1] for j in (i - 1, i))
        else:
            assert change == -1
    falls = [i for i, change in changes if change < 0]
    assert all(i - max((j for j, _ in changes if j < i), default=-1) >= FALLS_AFTER for i in falls)


@given(st.dictionaries(st.sampled_from(["872a956a9ffffff", "872a956abffffff"]), states))
def test_what_is_kept_comes_back(cells):
    assert peaks.from_json(peaks.to_json(cells)) == cells
