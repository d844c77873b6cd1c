"""What one order more costs under a guarantee, and where the next ones are expected."""

from array import array

import pytest

from cython_ext.dispatch import pay, stand_by
from cython_ext.dispatch.demand import Demand
from cython_ext.dispatch.problem import Coverage


def test_the_guarantee_pays_for_orders_below_it():
    """Three hours at 15 are guaranteed, an order pays 10: after three, the fourth brings 40 of 45, the fifth 5 more."""
    assert pay.cost_of_more(done=3, an_order=10, guarantee=45, expected=0.0)[:3] == (0.0, 5.0, 15.0)


def test_beyond_the_guarantee_every_order_costs():
    assert pay.cost_of_more(done=9, an_order=10, guarantee=45, expected=2.0) == pytest.approx(
        tuple(10.0 * k for k in range(1, 8))
    )


def test_orders_that_come_anyway_make_one_more_dearer():
    quiet = pay.cost_of_more(done=2, an_order=10, guarantee=45, expected=0.5)[0]
    busy = pay.cost_of_more(done=2, an_order=10, guarantee=45, expected=4.0)[0]
    assert 0 < quiet < 1 < 7 < busy < 10


def test_demand_is_what_was_seen_and_a_little_for_the_others():
    demand = Demand({"a": (0.0, 0.0), "b": (1.0, 0.0)})
    assert demand.shares() == {"a": 0.5, "b": 0.5}
    for _ in range(3):
        demand.observe("a")
    assert demand.shares() == {"a": 0.875, "b": 0.125}


def test_being_nearer_than_the_notice_costs_only_the_drive():
    delays = Demand({}, notice_minutes=10.0, notice_spread=0.0).delays(2.0)
    assert [round(delays[away], 9) for away in (0, 8, 9, 20)] == [0.0, 0.4, 1.45, 13.0]
    assert len(delays) == 120


def line(at: list[float], away: list[float], may_move: list[int]) -> Coverage:
    """Stores at 0 and 100 that share the demand; a minute away costs one."""
    return Coverage(
        x=array("d", [0, 100]),
        y=array("d", [0, 0]),
        share=array("d", [0.5, 0.5]),
        delays=array("d", range(200)),
        at_x=array("d", at),
        at_y=array("d", [0] * len(at)),
        away=array("d", away),
        may_move=array("i", may_move),
        speed=10.0,
    )


@pytest.mark.twins
def test_two_shoppers_spread_over_two_stores():
    # Together at 0: half 0 and half 10 minutes for the first, as much for the second. Apart: 0 for every first one.
    # Cost together: ½·(½·0+¼·0) + ½·(½·10+¼·10) = 3.75. Apart: each store ½·0 + ¼·10 (13 while he drives).
    ((who, store, gain),) = stand_by(line([0, 0], [0, 0], [1, 0]), turn=0)
    assert (who, store) == (0, 1)
    assert gain == pytest.approx(3.75 - 0.5 * (0.25 * 13) - 0.5 * (0.5 * 3 + 0.25 * 10))


@pytest.mark.twins
def test_who_is_well_placed_stays():
    assert stand_by(line([0, 100], [0, 0], [1, 1]), turn=0) == []
    assert stand_by(line([0, 0], [0, 0], [0, 0]), turn=0) == []


@pytest.mark.twins
def test_unequal_lengths_are_refused():
    wrong = line([0], [0], [1])
    wrong.away = array("d")
    with pytest.raises(ValueError, match="equally long"):
        stand_by(wrong, turn=0)
