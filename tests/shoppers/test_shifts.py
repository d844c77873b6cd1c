from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

import sharding
from apps.common import clock
from apps.shoppers import errors, models, selectors, services, tasks
from tests.shoppers.factories import DOWNTOWN, NOW, make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")

ZONE = 7
HOUR = timedelta(hours=1)


def shift_end(shopper):
    return selectors.shopper(shopper_id=shopper).shift_ends_at


def online(shopper, *, until=None, now=NOW):
    services.go_online(shopper_id=shopper, point=DOWNTOWN, now=now, until=until)


def available_ids(now):
    return [found.shopper_id for found in selectors.available(zone_id=ZONE, now=now)]


def claim(shopper, now=NOW):
    return services.claim(shopper_id=shopper, batch_id=5, store_id=17, expires_at=now + HOUR, now=now)


def test_a_shift_ends_when_the_shopper_said_and_else_after_eight_hours(settings):
    settings.SHOPPER_SHIFT_HOURS = 8
    shopper = make_shopper(ZONE)
    assert shift_end(shopper) == NOW + 8 * HOUR
    online(shopper, until=NOW + 2 * HOUR)
    assert shift_end(shopper) == NOW + 2 * HOUR
    online(shopper, now=NOW + HOUR)
    assert shift_end(shopper) == NOW + 2 * HOUR  # only the app was started anew
    online(shopper, now=NOW + 2 * HOUR)
    assert shift_end(shopper) == NOW + 10 * HOUR
    services.go_offline(shopper_id=shopper)
    assert shift_end(shopper) is None


@pytest.mark.parametrize("hours", [-1, 0, 17])
def test_a_shift_that_is_over_or_endless_is_refused_and_nothing_changes(hours):
    shopper = make_shopper(ZONE, online=False)
    with pytest.raises(errors.ShiftInvalid, match="16 hours ahead"):
        online(shopper, until=NOW + hours * HOUR)
    assert selectors.shopper(shopper_id=shopper).is_online is False


def test_the_database_keeps_no_shift_of_somebody_offline_and_none_that_ends_before_it_begins():
    shopper = make_shopper(ZONE)
    mine = models.Shopper.objects.filter(pk=shopper)
    for wrong in ({"is_online": False}, {"shift_ends_at": NOW}, {"last_lat": float("nan")}):
        with pytest.raises(IntegrityError), transaction.atomic(using=sharding.alias_for("shopper", shopper)):
            mine.update(**wrong)


def test_after_the_shift_nobody_is_available_or_claimed():
    shopper = make_shopper(ZONE)
    online(shopper, until=NOW + timedelta(minutes=1))
    assert available_ids(NOW + timedelta(seconds=59)) == [shopper]
    assert available_ids(NOW + timedelta(seconds=60)) == []
    assert claim(shopper, now=NOW + timedelta(seconds=60)) is None
    assert claim(shopper, now=NOW + timedelta(seconds=59)) is not None


def test_at_the_end_of_the_shift_the_idle_go_offline_and_the_busy_when_they_are_done():
    idle, busy, longer = (make_shopper(ZONE) for _ in range(3))
    for shopper in (idle, busy):
        online(shopper, until=NOW + HOUR)
    assert claim(busy)
    services.mark_accepted(shopper_id=busy, batch_id=5, offer_id=1)

    def who_is_online(at):
        with clock.shifted_to(at):
            tasks.sweep()
        return {one for one in (idle, busy, longer) if selectors.shopper(shopper_id=one).is_online}

    for shopper in (idle, busy, longer):
        services.report_position(shopper_id=shopper, point=DOWNTOWN, now=NOW + HOUR - timedelta(seconds=1))
    assert who_is_online(NOW + HOUR - timedelta(seconds=1)) == {idle, busy, longer}
    assert who_is_online(NOW + HOUR) == {busy, longer}
    services.complete(shopper_id=busy, batch_id=5)
    assert who_is_online(NOW + HOUR) == {longer}
