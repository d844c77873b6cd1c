import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.geo import Point
from apps.common.money import Money
from apps.stores import domain, selectors
from apps.stores.types import ListedStore, Store
from tests.stores.factories import COLUMBUS

ROW = {
    "chain": "Trader Joe's",
    "store_no": "672",
    "name": "Trader Joe's Dublin",
    "address": "6355 Sawmill Rd",
    "city": "Dublin",
    "state": "OH",
    "zip": "43017",
    "lat": "40.096504",
    "lon": "-83.093089",
}

points = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))


def store(radius_m: int) -> Store:
    return Store(
        id=1,
        retailer_id=1,
        retailer_name="Grocer",
        code="grocer-1",
        name="Grocer",
        address="1 High St",
        city="Columbus",
        state="OH",
        postcode="43215",
        point=COLUMBUS,
        timezone="America/New_York",
        currency="USD",
        zone_id=1,
        delivery_radius_m=radius_m,
        minimum_basket=Money(0),
        is_paused=False,
    )


def test_a_known_distance() -> None:
    """A degree along the equator on a globe of mean radius, a quarter of a meridian, and both over the date line."""
    assert domain.distance_m(Point(0, 0), Point(0, 1)) == pytest.approx(111_195.08, abs=0.01)
    assert domain.distance_m(Point(0, 179.5), Point(0, -179.5)) == pytest.approx(111_195.08, abs=0.01)
    assert domain.distance_m(Point(0, 20), Point(90, -70)) == pytest.approx(10_007_557.2, abs=0.1)


@given(points, points)
def test_distances_are_the_same_both_ways_and_never_over_half_the_globe(a: Point, b: Point) -> None:
    assert domain.distance_m(a, b) == pytest.approx(domain.distance_m(b, a), abs=1e-3)
    assert 0 <= domain.distance_m(a, b) <= math.pi * domain.EARTH_RADIUS_M


def test_a_store_delivers_up_to_its_radius() -> None:
    near = Point(COLUMBUS.lat + 0.05, COLUMBUS.lng)  # 5,560 m
    assert domain.delivers_to(store(5_600), near)
    assert not domain.delivers_to(store(5_500), near)
    assert selectors.delivers_to(store=store(5_600), point=near)
    assert not selectors.delivers_to(store=store(5_500), point=near)


def test_a_good_row_of_the_directory() -> None:
    assert domain.listed_store(7, ROW) == ListedStore(
        line=7,
        chain="Trader Joe's",
        number="672",
        name="Trader Joe's Dublin",
        address="6355 Sawmill Rd",
        city="Dublin",
        state="OH",
        postcode="43017",
        point=Point(40.096504, -83.093089),
    )


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("store_no", " ", "is empty"),
        ("address", "=cmd", "starts like a spreadsheet formula"),
        ("state", "Ohio", "is longer than 2 characters"),
        ("lat", "NaN", "is not a number of degrees between -90 and 90"),
        ("lat", "90.1", "is not a number of degrees between -90 and 90"),
        ("lat", "1e1", "is not a number of degrees between -90 and 90"),
        ("lat", "٤٠", "is not a number of degrees between -90 and 90"),
        ("lon", "-180.5", "is not a number of degrees between -180 and 180"),
        ("lon", "", "is not a number of degrees between -180 and 180"),
    ],
)
def test_a_bad_cell_is_told(column: str, value: str, reason: str) -> None:
    found = domain.listed_store(7, ROW | {column: value})
    assert isinstance(found, tuple)
    assert [(error.line, error.column, error.reason) for error in found] == [(7, column, reason)]


@pytest.mark.parametrize(
    ("state", "timezone", "currency"),
    [("OH", "America/New_York", "USD"), ("AZ", "America/Phoenix", "USD"), ("BC", "America/Vancouver", "CAD")],
)
def test_states(state: str, timezone: str, currency: str) -> None:
    assert (domain.timezone_of(state), domain.currency_of(state)) == (timezone, currency)


def test_a_state_we_do_not_know_has_no_time_zone() -> None:
    assert domain.timezone_of("XX") is None


@pytest.mark.parametrize(
    ("text", "slug"), [("Trader Joe's", "trader-joes"), ("7-Eleven", "7-eleven"), ("Dollar General", "dollar-general")]
)
def test_codes_can_be_typed(text: str, slug: str) -> None:
    assert domain.slug(text) == slug
