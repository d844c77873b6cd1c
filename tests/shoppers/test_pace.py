from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

import sharding
from apps.shoppers import domain, models, selectors, services
from tests.shoppers.factories import NOW, make_shopper
from tests.threads import answers_at_once

ZONE = 7


@pytest.mark.parametrize(
    ("ratios", "pace"),
    [
        ([], 1.0),
        ([0.5], 1 - 0.5 / 11),
        ([0.7] * 10, 0.85),
        ([0.7] * 30, 0.775),
        ([0.8] * 20 + [9.0] * 3, (23 * 0.8 + 10) / 33),
        ([0.01] * 50, 0.5),
        ([30.0] * 50, 2.0),
    ],
)
def test_a_pace_is_the_median_and_believed_by_number(ratios, pace):
    assert domain.pace(ratios) == pytest.approx(pace)


@given(st.lists(st.floats(1e-6, 1e6), max_size=50))
def test_a_pace_is_within_its_bounds_whatever_was_measured(ratios):
    assert 0.5 <= domain.pace(ratios) <= 2.0


def note(shopper, batch, *, minutes=8.0, days=0):
    return services.note_pick(
        shopper_id=shopper,
        batch_id=batch,
        minutes=minutes,
        expected_minutes=10.0,
        picked_at=NOW + timedelta(days=days),
    )


def pace(shopper):
    (found,) = [one for one in selectors.available(zone_id=ZONE, now=NOW) if one.shopper_id == shopper]
    return found.pace


@pytest.mark.django_db(databases="__all__")
def test_a_pick_counts_once_and_only_the_recent_count():
    shopper, other = make_shopper(ZONE), make_shopper(ZONE)
    assert pace(shopper) == 1.0
    assert (note(shopper, 1), note(shopper, 1), note(shopper, 1, minutes=99)) == (True, False, False)
    assert pace(shopper) == pytest.approx((0.8 + 10) / 11)
    for batch in range(2, 61):
        note(shopper, batch, minutes=12.0, days=batch)
    assert pace(shopper) == pytest.approx((50 * 1.2 + 10) / 60)
    assert (pace(other), note(77, 1)) == (1.0, False)
    assert selectors.shopper(shopper_id=shopper).pace == pace(shopper)


@pytest.mark.django_db(databases="__all__")
def test_the_database_keeps_no_pace_and_no_pick_that_make_no_sense():
    shopper = make_shopper(ZONE)
    note(shopper, 1)
    alias = sharding.alias_for("shopper", shopper)
    for rows, wrong in (
        (models.Shopper.objects.filter(pk=shopper), {"pace": float("nan")}),
        (models.Shopper.objects.filter(pk=shopper), {"pace": 0.1}),
        (models.Pick.objects.filter(shopper_id=shopper), {"minutes": 0.0}),
        (models.Pick.objects.filter(shopper_id=shopper), {"minutes": float("nan")}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic(using=alias):
            rows.update(**wrong)


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_of_one_pick_told_by_many_at_once_one_counts():
    shopper = make_shopper(ZONE)
    assert sorted(answers_at_once(lambda _: note(shopper, 1), 6)) == [False] * 5 + [True]
    assert models.Pick.objects.filter(shopper_id=shopper).count() == 1
