"""Distances: right in themselves, and the same from both implementations."""

import math
from array import array
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cython_ext
from cython_ext import geo
from cython_ext.geo import reference
from tests.cython_ext.meanwhile import ticks_during

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


def doubles(*values: float) -> "array[float]":
    return array("d", values)


@pytest.fixture
def compiled():
    return pytest.importorskip("cython_ext.geo._geo")


def angle(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Between two places as seen from the centre of the Earth, by their vectors instead of the haversine."""

    def vector(lat: float, lng: float) -> tuple[float, float, float]:
        phi, theta = math.radians(lat), math.radians(lng)
        return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)

    return 2 * math.asin(math.dist(vector(*one), vector(*other)) / 2)


@pytest.mark.twins
def test_known_distances():
    columbus, cleveland = (39.9612, -82.9988), (41.4993, -81.6944)
    metres = geo.distances_m(*columbus, doubles(columbus[0], cleveland[0], 90), doubles(columbus[1], cleveland[1], 0))
    assert metres[0] == 0
    assert metres[1] == pytest.approx(reference.EARTH_RADIUS_M * angle(columbus, cleveland), rel=1e-12)
    assert metres[2] == pytest.approx(reference.EARTH_RADIUS_M * math.radians(90 - columbus[0]), rel=1e-12)
    assert geo.distances_m(0, 0, doubles(0), doubles(1))[0] == pytest.approx(111_195.08, abs=0.01)


@pytest.mark.twins
def test_the_far_side_of_the_earth_is_half_its_girth_away():
    assert geo.distances_m(0, 0, doubles(0), doubles(180))[0] == pytest.approx(math.pi * reference.EARTH_RADIUS_M)


@pytest.mark.twins
def test_no_points_no_distances():
    assert geo.distances_m(0, 0, doubles(), doubles()) == doubles()


@pytest.mark.twins
def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="2 latitudes but 1 longitudes"):
        geo.distances_m(0, 0, doubles(1, 2), doubles(1))


@pytest.mark.twins
def test_the_chosen_implementation_is_the_one_at_work(monkeypatch: pytest.MonkeyPatch):
    chosen = cython_ext.implementation("cython_ext.geo", "_geo")
    assert geo.distances_m is chosen.distances_m


def test_each_choice_gives_its_module(monkeypatch: pytest.MonkeyPatch, compiled):
    for choice, module in [("python", reference), ("cython", compiled), ("auto", compiled)]:
        monkeypatch.setenv("INSTACART_IMPL", choice)
        assert cython_ext.implementation("cython_ext.geo", "_geo") is module


def test_a_twin_that_is_not_built(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INSTACART_IMPL", "auto")
    assert cython_ext.implementation("cython_ext.geo", "_absent") is reference
    monkeypatch.setenv("INSTACART_IMPL", "cython")
    with pytest.raises(ImportError, match="build_ext --inplace"):
        cython_ext.implementation("cython_ext.geo", "_absent")


def test_an_unknown_choice_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INSTACART_IMPL", "fast")
    with pytest.raises(ImportError, match="'fast'"):
        cython_ext.implementation("cython_ext.geo", "_geo")


@given(LATITUDES, LONGITUDES, st.lists(st.tuples(LATITUDES, LONGITUDES), max_size=20))
def test_twins_agree(lat: float, lng: float, points: list[tuple[float, float]]):
    twin = import_module("cython_ext.geo._geo")
    lats, lngs = doubles(*(point[0] for point in points)), doubles(*(point[1] for point in points))
    expected = reference.distances_m(lat, lng, lats, lngs)
    for one, other in zip(twin.distances_m(lat, lng, lats, lngs), expected, strict=True):
        # Close to the far side of the Earth the haversine loses half its digits, in either implementation.
        assert one == pytest.approx(other, rel=1e-9, abs=1e-3 if other < 19_900_000 else 1.0)


def test_other_threads_run_meanwhile(compiled):
    many = doubles(*(n * 1e-5 for n in range(1_000_000)))
    assert ticks_during(lambda: compiled.distances_m(0, 0, many, many)) >= 3
