from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from apps.common.money import Money
from apps.shoppers import models, selectors, services
from tests.shoppers.factories import NOW, make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")

ZONE, STORE, BATCH, OTHER_BATCH, OFFER = 7, 17, 900, 901, 5000
SOON = NOW + timedelta(seconds=90)


def claim(shopper, batch_id=BATCH, now=NOW, expires_at=None):
    return services.claim(
        shopper_id=shopper,
        batch_id=batch_id,
        store_id=STORE,
        expires_at=expires_at or now + timedelta(seconds=90),
        now=now,
    )


def states(shopper):
    rows = models.Assignment.objects.filter(shopper_id=shopper).order_by("pk")
    return list(rows.values_list("batch_id", "state"))


def test_a_claimed_shopper_is_not_available_and_not_claimed_again():
    shopper = make_shopper(ZONE)
    assert claim(shopper) is not None
    assert selectors.available(zone_id=ZONE, now=NOW) == ()
    assert claim(shopper, OTHER_BATCH) is None
    assert claim(shopper) is None  # a second planner with the same thought
    assert states(shopper) == [(BATCH, "claimed")]


def test_a_claim_that_ran_out_blocks_nobody():
    shopper = make_shopper(ZONE)
    claim(shopper)
    assert [found.shopper_id for found in selectors.available(zone_id=ZONE, now=SOON)] == [shopper]
    assert claim(shopper, OTHER_BATCH, now=SOON) is not None
    assert states(shopper) == [(BATCH, "expired"), (OTHER_BATCH, "claimed")]


@pytest.mark.parametrize("online", [False, True])
def test_only_who_is_online_and_active_can_be_claimed(online):
    shopper = make_shopper(ZONE, online=online)
    if online:
        services.pause(shopper_id=shopper)
    assert claim(shopper) is None
    assert states(shopper) == []


def test_the_database_itself_refuses_a_second_live_assignment():
    shopper = make_shopper(ZONE)
    claim(shopper)
    alias = models.Shopper.objects.get(pk=shopper)._state.db
    with pytest.raises(IntegrityError, match="shoppers_one_live_assignment"), transaction.atomic(using=alias):
        models.Assignment.objects.create(shopper_id=shopper, batch_id=1, store_id=1, state="accepted")


def test_the_way_of_an_offer_that_is_accepted():
    shopper = make_shopper(ZONE)
    assignment = claim(shopper)
    assert services.mark_offered(shopper_id=shopper, assignment_id=assignment, offer_id=OFFER, now=NOW) is True
    assert services.hold(shopper_id=shopper, batch_id=BATCH, until=SOON, now=NOW) is True
    assert services.mark_accepted(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER) is True
    assert services.mark_accepted(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER) is False  # told twice
    live = selectors.live_assignment(shopper_id=shopper)
    assert (live.state, live.offer_id, live.expires_at) == ("accepted", OFFER, None)
    assert services.complete(shopper_id=shopper, batch_id=BATCH, now=SOON) is True
    assert services.complete(shopper_id=shopper, batch_id=BATCH, now=SOON) is False
    assert selectors.live_assignment(shopper_id=shopper) is None


def waiting_since(shopper, now):
    return {one.shopper_id: one.waiting_since for one in selectors.available(zone_id=ZONE, now=now)}.get(shopper)


def test_a_shopper_waits_since_coming_online_the_last_offer_or_the_end_of_the_last_batch():
    shopper, later, last = make_shopper(ZONE), NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)
    assert waiting_since(shopper, NOW) == NOW
    services.release(shopper_id=shopper, batch_id=BATCH if claim(shopper) else 0)
    assert waiting_since(shopper, NOW) == NOW  # a claim that nobody made an offer of
    assignment = claim(shopper)
    services.mark_offered(shopper_id=shopper, assignment_id=assignment, offer_id=OFFER, now=later)
    services.release(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER)
    assert waiting_since(shopper, NOW) == later  # declined: it was a turn
    assert services.mark_offered(shopper_id=shopper, assignment_id=assignment, offer_id=OFFER, now=last) is False
    assert waiting_since(shopper, NOW) == later
    claim(shopper)
    services.mark_accepted(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER)
    assert services.complete(shopper_id=shopper, batch_id=BATCH, now=last) is True
    assert services.complete(shopper_id=shopper, batch_id=BATCH, now=last + timedelta(hours=1)) is False
    assert waiting_since(shopper, NOW) == last


def test_an_acceptance_told_after_its_claim_ran_out_takes_the_shopper_back():
    shopper = make_shopper(ZONE)
    claim(shopper)
    claim(shopper, OTHER_BATCH, now=SOON)
    assert services.mark_accepted(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER) is True
    assert states(shopper) == [(BATCH, "accepted"), (OTHER_BATCH, "released")]
    assert services.hold(shopper_id=shopper, batch_id=OTHER_BATCH, until=SOON, now=SOON) is False


def test_an_acceptance_told_after_the_batch_was_given_up_or_done_changes_nothing():
    shopper = make_shopper(ZONE)
    claim(shopper)
    services.release(shopper_id=shopper, batch_id=BATCH)
    assert services.mark_accepted(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER) is False
    assert states(shopper) == [(BATCH, "released")]


def test_word_of_an_ended_offer_does_not_release_the_next_one():
    shopper = make_shopper(ZONE)
    services.mark_offered(shopper_id=shopper, assignment_id=claim(shopper), offer_id=OFFER, now=NOW)
    assert services.release(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER - 1) is False
    assert states(shopper) == [(BATCH, "offered")]
    assert services.release(shopper_id=shopper, batch_id=BATCH, offer_id=OFFER) is True


def test_the_sweep_ends_what_ran_out_and_nothing_else():
    expiring, accepted = make_shopper(ZONE), make_shopper(ZONE)
    claim(expiring)
    claim(accepted)
    services.mark_accepted(shopper_id=accepted, batch_id=BATCH, offer_id=OFFER)
    aliases = [models.Shopper.objects.get(pk=shopper)._state.db for shopper in (expiring, accepted)]
    assert aliases[0] != aliases[1]
    assert [services.release_expired(using=alias, now=SOON - timedelta(seconds=1)) for alias in aliases] == [0, 0]
    assert [services.release_expired(using=alias, now=SOON) for alias in aliases] == [1, 0]
    assert (states(expiring), states(accepted)) == ([(BATCH, "expired")], [(BATCH, "accepted")])


def earn(shopper, cents=1015, order_id=None, kind="batch_pay", batch_id=BATCH):
    return services.earn(
        shopper_id=shopper, batch_id=batch_id, order_id=order_id, kind=kind, amount=Money(cents), now=NOW
    )


def test_nobody_is_paid_twice_for_one_thing():
    shopper = make_shopper(ZONE)
    assert [earn(shopper), earn(shopper), earn(shopper, cents=9999)] == [True, False, False]
    assert [earn(shopper, 300, 11, "tip"), earn(shopper, 300, 11, "tip"), earn(shopper, 200, 12, "tip")] == [
        True,
        False,
        True,
    ]
    assert earn(shopper, 0, 13, "tip") is False
    page = selectors.earnings(shopper_id=shopper)
    assert [(line.kind, line.order_id, line.amount) for line in page.earnings] == [
        ("tip", 12, Money(200)),
        ("tip", 11, Money(300)),
        ("batch_pay", None, Money(1015)),
    ]
    assert page.total == Money(1515)


def test_earnings_come_in_pages_of_two_queries(django_assert_num_queries):
    shopper = make_shopper(ZONE)
    for batch_id in range(1, 8):
        earn(shopper, cents=batch_id, batch_id=batch_id)
    alias = models.Shopper.objects.get(pk=shopper)._state.db
    with django_assert_num_queries(2, using=alias):
        first = selectors.earnings(shopper_id=shopper, limit=5)
    second = selectors.earnings(shopper_id=shopper, limit=5, after=first.next_cursor)
    assert [line.batch_id for line in (*first.earnings, *second.earnings)] == [7, 6, 5, 4, 3, 2, 1]
    assert (first.total, second.total, second.next_cursor) == (Money(28), Money(28), None)


def test_a_name_is_sealed_in_the_table_and_open_to_its_owner():
    shopper = make_shopper(ZONE, name="Grace Hopper")
    assert b"Grace" not in bytes(models.Shopper.objects.get(pk=shopper).name_encrypted)
    assert selectors.shopper(shopper_id=shopper).name == "Grace Hopper"
    services.register(user_id=shopper, name="Grace Murray", zone_id=9, now=NOW)
    changed = selectors.shopper(shopper_id=shopper)
    assert (changed.name, changed.zone_id, changed.is_online) == ("Grace Murray", 9, True)
