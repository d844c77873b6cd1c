"""ETAs of made-up orders whose errors are known."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.geo import Point
from apps.dispatch import domain as dispatch
from apps.dispatch.etas import domain
from apps.dispatch.etas.domain import Errors, Interval, Model, Sample, Stage
from cython_ext.dispatch.travel import metres

STORE, FIRST, SECOND = Point(39.96, -83.0), Point(39.97, -83.0), Point(39.97, -82.99)


def drive_s(a: Point, b: Point) -> float:
    return dispatch.travel_s(metres((a.lat, a.lng), (b.lat, b.lng)))


def samples(count, *, seed, error, stage=Stage.PICKING):
    """``error(chance, hour, orders)`` is the logarithm of actual over predicted."""
    chance = random.Random(seed)  # noqa: S311 (repeats by its seed)
    made = []
    for _ in range(count):
        hour, orders, predicted = chance.randrange(8, 22), chance.randrange(14), chance.uniform(15, 70)
        actual = predicted * math.exp(error(chance, hour, orders))
        made.append(Sample(stage=stage, hour=hour, orders_at_store=orders, predicted=predicted, actual=actual))
    return made


def even_noise(chance, _hour, _orders):
    return chance.gauss(0.2, 0.25)


def busy_noise(chance, hour, orders):
    """At five and in full stores it takes longer, and one knows less."""
    slow = (hour in (17, 18)) * 0.3 + domain.load(orders) * 0.1
    return chance.gauss(slow, 0.1 + slow / 2)


def test_components_of_each_stage():
    work = {"lines_left": 10, "units_left": 30, "store": STORE}
    both = {**work, "doors": [FIRST, SECOND]}
    way = (drive_s(STORE, FIRST) + drive_s(FIRST, SECOND)) / 60
    for stage, in_store, drive in (
        (Stage.ASSIGNED, (300 + 450 + 240) / 60, 10 + way),
        (Stage.PICKING, (300 + 450 + 240) / 60, way),
        (Stage.DELIVERING, 0.0, way),
    ):
        found = domain.components(stage, **both)
        assert (found.in_store, found.drive, found.hand_over) == pytest.approx((in_store, drive, 5.0))
        assert found.minutes == pytest.approx(in_store + drive + 5.0)
    first = domain.components(Stage.PICKING, **work, doors=[FIRST], pace=0.8)
    assert (first.in_store, first.drive) == pytest.approx((0.8 * 16.5, drive_s(STORE, FIRST) / 60))
    assert first.hand_over == 2.5


def test_without_history_the_components_count_and_little_is_promised():
    told = Model().interval(Stage.PICKING, 30.0, hour=12, orders_at_store=3)
    assert told == Interval(earliest=18.0, likely=30.0, latest=60.0)
    of_another_stage = Model.fitted(samples(500, seed=1, error=even_noise, stage=Stage.DELIVERING))
    assert of_another_stage.interval(Stage.PICKING, 30.0, hour=12, orders_at_store=3) == told


def test_few_orders_narrow_an_interval_little():
    widths = []
    for count in (0, 5, 50, 5000):
        told = Model.fitted(samples(count, seed=2, error=even_noise)).interval(
            Stage.PICKING, 30.0, hour=3, orders_at_store=0
        )
        widths.append(told.latest - told.earliest)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 42.0
    true = 30 * math.exp(0.2) * (math.exp(1.2816 * 0.25) - math.exp(-1.2816 * 0.25))
    assert widths[-1] == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("noise", [even_noise, busy_noise])
def test_eight_in_ten_are_inside_an_interval_of_eighty_percent(noise):
    model = Model.fitted(samples(8000, seed=3, error=noise))
    found = domain.calibration(model, samples(4000, seed=4, error=noise))
    assert found is not None
    assert found.orders == 4000
    assert found.inside == pytest.approx(0.8, abs=0.025)
    assert found.early == pytest.approx(0.1, abs=0.02)
    assert found.late == pytest.approx(0.1, abs=0.02)
    assert found.off_minutes < found.components_off_minutes


def test_busy_hours_have_calibrated_intervals_of_their_own():
    """Overall quantiles alone would leave out most of the orders at five in a full store."""
    model = Model.fitted(samples(40_000, seed=5, error=busy_noise))
    held = samples(20_000, seed=6, error=busy_noise)
    worst = [sample for sample in held if sample.hour in (17, 18) and sample.orders_at_store > 10]
    quiet = [sample for sample in held if sample.hour == 9 and sample.orders_at_store <= 2]
    for some in (worst, quiet):
        found = domain.calibration(model, some)
        assert found is not None
        assert found.inside == pytest.approx(0.8, abs=0.07)
    overall = domain.calibration(Model(stages=model.stages), worst)
    assert overall is not None
    assert overall.inside < 0.5


@pytest.mark.parametrize("broken", [math.nan, math.inf, 0.0, -3.0])
def test_times_that_are_none_teach_nothing(broken):
    good = samples(60, seed=7, error=even_noise)
    bad = [
        Sample(stage=Stage.PICKING, hour=9, orders_at_store=1, predicted=broken, actual=30.0),
        Sample(stage=Stage.PICKING, hour=9, orders_at_store=1, predicted=30.0, actual=broken),
    ]
    assert Model.fitted([*good, *bad]) == Model.fitted(good)
    assert domain.calibration(Model(), bad) is None


def test_quantiles_by_hand():
    assert Errors.of([4, 1, 3, 2, 9, 8, 7, 6, 5]) == Errors(9, (1.0, 5.0, 9.0))
    assert domain.quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert domain.quantile([7.0], 0.9) == 7.0
    assert Errors(10, (0.0, 0.1, 0.2)).drawn_to((-0.4, 0.0, 1.0), 30.0) == pytest.approx((-0.3, 0.025, 0.8))


@given(
    st.lists(st.tuples(st.floats(1, 500), st.floats(1, 500), st.integers(0, 23), st.integers(0, 30)), max_size=60),
    st.floats(0, 500),
)
def test_an_interval_is_always_in_order_and_never_in_the_past(orders, minutes):
    model = Model.fitted(
        [
            Sample(stage=Stage.ASSIGNED, hour=hour, orders_at_store=load, predicted=predicted, actual=actual)
            for predicted, actual, hour, load in orders
        ]
    )
    for hour in (0, 12):
        told = model.interval(Stage.ASSIGNED, minutes, hour=hour, orders_at_store=4)
        assert 0 <= told.earliest <= told.likely * (1 + 1e-9)
        assert told.likely <= told.latest * (1 + 1e-9)
