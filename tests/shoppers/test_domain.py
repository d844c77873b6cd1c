from datetime import timedelta

import pytest

from apps.common.geo import Point
from apps.shoppers import domain
from tests.shoppers.factories import NOW

HERE, THERE = Point(39.9, -83.0), Point(40.0, -83.1)


def test_a_stored_position_is_only_good_to_a_street():
    assert domain.coarse(Point(39.961234, -82.998765)) == Point(39.961, -82.999)


def test_the_newest_position_counts_in_whatever_order_they_come():
    early, late = (NOW - timedelta(seconds=40), HERE), (NOW - timedelta(seconds=10), THERE)
    assert domain.latest_fresh([late, early], now=NOW) == late
    assert domain.latest_fresh([early, late], now=NOW) == late


@pytest.mark.parametrize(
    ("age", "is_fresh"),
    [
        (timedelta(0), True),
        (timedelta(minutes=2, seconds=59), True),
        (timedelta(minutes=3), False),
        (timedelta(hours=1), False),
        (-timedelta(seconds=30), True),  # a phone's clock may run ahead
        (-timedelta(seconds=31), False),
    ],
)
def test_only_what_is_neither_stale_nor_from_the_future_says_where_somebody_is(age, is_fresh):
    found = domain.latest_fresh([(NOW - age, HERE)], now=NOW)
    assert found == ((NOW - age, HERE) if is_fresh else None)
