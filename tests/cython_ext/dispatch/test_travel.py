"""Travel times without a server, and what is learned from trips driven."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cython_ext.dispatch import engine, travel
from tests.cython_ext.dispatch.factories import order, request, shopper

COLUMBUS, CLEVELAND = (39.9612, -82.9988), (41.4993, -81.6944)


def north(km: float) -> tuple[float, float]:
    """So far north of Columbus."""
    return COLUMBUS[0] + math.degrees(km * 1000 / travel.EARTH_RADIUS_M), COLUMBUS[1]


def trips(hour: int, minutes: float, count: int = 20) -> list[travel.Trip]:
    return [travel.Trip(COLUMBUS, north(6.0), hour, minutes) for _ in range(count)]


def test_known_distances():
    # By the law of cosines instead of the haversine.
    (phi, one), (psi, other) = [(math.radians(place[0]), math.radians(place[1])) for place in (COLUMBUS, CLEVELAND)]
    angle = math.acos(math.sin(phi) * math.sin(psi) + math.cos(phi) * math.cos(psi) * math.cos(one - other))
    assert travel.metres(COLUMBUS, CLEVELAND) == pytest.approx(6_371_008.8 * angle, rel=1e-9)
    assert travel.metres(COLUMBUS, north(6.0)) == pytest.approx(6000, abs=0.01)
    assert travel.metres(COLUMBUS, COLUMBUS) == 0


@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_the_plane_is_true_within_a_city(dlat: float, dlng: float):
    there = (COLUMBUS[0] + dlat, COLUMBUS[1] + dlng)
    grid = travel.Roads(detour=1.5).grid([COLUMBUS, there], 0.0)
    flat = math.hypot(grid.x[0] - grid.x[1], grid.y[0] - grid.y[1])
    assert flat == pytest.approx(1.5 * travel.metres(COLUMBUS, there), rel=2e-3, abs=0.5)


def test_speeds_are_learned_by_the_hour():
    roads = travel.Roads.fitted(trips(8, 20.0) + trips(3, 10.0) + trips(5, 1.0, count=19), detour=1.0)
    assert roads.speed_at(COLUMBUS, 8) == pytest.approx(300)
    assert roads.speed_at(COLUMBUS, 3) == pytest.approx(600)
    # Too few to believe: the speed of all trips together.
    assert roads.speed_at(COLUMBUS, 5) == roads.speed == pytest.approx(59 * 6000 / 619)
    assert roads.grid([COLUMBUS], 8 * 60.0).speed == pytest.approx(300)
    assert roads.grid([COLUMBUS], 27 * 60.0).speed == pytest.approx(600)


def test_each_zone_has_its_speed():
    def zone(place: tuple[float, float]) -> str:
        return "north" if place[0] > 40.0 else "south"

    slow = [travel.Trip(north(10.0), north(12.0), 8, 10.0)] * 20
    roads = travel.Roads.fitted(trips(8, 10.0) + slow, zone_of=zone, detour=1.0)
    grid = roads.grid([COLUMBUS, north(12.0)], 8 * 60.0)
    assert [round(minutes, 2) for minutes in grid.matrix] == [0.0, 20.0, 60.0, 0.0]


def test_few_trips_count_little():
    # 10 trips at 10 minutes a kilometre, drawn to 2 with the weight of 30: (10 * 10 + 30 * 2) / 40 = 4. The hour's own
    # 10 trips are drawn to that likewise: (10 * 10 + 30 * 4) / 40 = 5.5.
    drawn = travel.Roads.fitted(trips(8, 60.0, count=10), detour=1.0, least=1, towards=500.0, weight=30.0)
    assert drawn.speed == pytest.approx(1000 / 4)
    assert drawn.speed_at(COLUMBUS, 8) == pytest.approx(1000 / 5.5)
    assert drawn.speed_at(COLUMBUS, 9) == drawn.speed


def test_trips_that_are_none_are_passed_over():
    bad = [travel.Trip(COLUMBUS, COLUMBUS, 8, 5.0), travel.Trip(COLUMBUS, north(1), 8, 0.0)]
    bad += [travel.Trip(COLUMBUS, (math.nan, 0.0), 8, 5.0), travel.Trip(COLUMBUS, north(1), 8, math.inf)]
    assert travel.Roads.fitted(trips(8, 20.0) + bad, detour=1.0).speed == pytest.approx(300)
    with pytest.raises(ValueError, match="no usable trip"):
        travel.Roads.fitted(bad)


@pytest.mark.twins
def test_a_plan_on_the_globe():
    roads = travel.Roads(speed=600.0, detour=1.0)
    near = order(store=COLUMBUS, door=north(6.0), due=25.0)
    made = engine.plan(request([near], [shopper(at=north(-3.0))], travel=roads))
    assert made.batches[0].drive == pytest.approx(15, abs=0.01)
    assert made.batches[0].visits[1].at == pytest.approx(21, abs=0.01)
