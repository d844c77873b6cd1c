from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

import sharding
from apps.shoppers import errors, models, selectors, services
from tests.queries import counted
from tests.shoppers.factories import NOW, make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")

ZONE = 7
TODAY, DAY = NOW.date(), timedelta(days=1)


def certify(shopper, *, first=TODAY, last=TODAY + 30 * DAY, kind="alcohol"):
    services.certify(shopper_id=shopper, kind=kind, valid_from=first, valid_until=last, checked_by=3, now=NOW)


def seen(now=NOW):
    return {one.shopper_id: set(one.certificates) for one in selectors.available(zone_id=ZONE, now=now)}


def claim(shopper, now=NOW):
    return services.claim(
        shopper_id=shopper, batch_id=5, store_id=17, expires_at=now + timedelta(hours=1), now=now, needs={"alcohol"}
    )


def test_a_certificate_counts_from_its_first_day_to_its_last():
    early, today, over, without = (make_shopper(ZONE) for _ in range(4))
    certify(early, first=TODAY + DAY)
    certify(today, last=TODAY)
    certify(over, first=TODAY - 9 * DAY, last=TODAY - DAY)
    assert seen() == {early: set(), today: {"alcohol"}, over: set(), without: set()}
    assert [bool(claim(one)) for one in (early, today, over, without)] == [False, True, False, False]
    assert selectors.live_assignment(shopper_id=without) is None


def test_a_certificate_seen_again_is_one_and_a_withdrawn_one_counts_no_more():
    shopper = make_shopper(ZONE)
    certify(shopper)
    certify(shopper, last=TODAY + 60 * DAY)
    (held,) = selectors.certifications(shopper_id=shopper)
    assert (held.kind, held.valid_until, held.checked_by, held.checked_at) == ("alcohol", TODAY + 60 * DAY, 3, NOW)
    stranger = make_shopper(ZONE)
    mine = {"certification_id": held.id, "now": NOW}
    assert services.withdraw_certification(shopper_id=stranger, **mine) is False
    assert services.withdraw_certification(shopper_id=shopper, **mine) is True
    assert services.withdraw_certification(shopper_id=shopper, **mine) is False
    assert (claim(shopper), seen()[shopper]) == (None, set())
    certify(shopper)
    assert [one.withdrawn_at for one in selectors.certifications(shopper_id=shopper)] == [None, NOW]
    assert seen()[shopper] == {"alcohol"}


@pytest.mark.parametrize(
    "wrong", [{"last": TODAY - DAY}, {"last": TODAY + 3_654 * DAY}, {"kind": "forklift"}], ids=["back", "long", "kind"]
)
def test_what_is_no_certificate_is_refused_and_not_written(wrong):
    shopper = make_shopper(ZONE)
    with pytest.raises(errors.CertificateInvalid):
        certify(shopper, **wrong)
    with pytest.raises(errors.NotAShopper):
        certify(77)
    assert selectors.certifications(shopper_id=shopper) == ()


def test_the_database_keeps_no_certificate_that_makes_no_sense():
    shopper = make_shopper(ZONE)
    certify(shopper)
    for wrong in ({"valid_until": TODAY - DAY}, {"kind": "forklift"}):
        with pytest.raises(IntegrityError), transaction.atomic(using=sharding.alias_for("shopper", shopper)):
            models.Certification.objects.filter(shopper_id=shopper).update(**wrong)


def test_who_is_there_takes_as_many_questions_however_many_have_certificates():
    people = [make_shopper(ZONE) for _ in range(8)]
    seen()  # fills Redis
    with counted() as before:
        selectors.available(zone_id=ZONE, now=NOW)
    for shopper in people:
        certify(shopper)
    with counted() as after:
        assert set(map(frozenset, seen().values())) == {frozenset({"alcohol"})}
    assert after.by_alias == before.by_alias
