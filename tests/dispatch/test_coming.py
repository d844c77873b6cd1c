"""Shoppers at work: when and where they will be free, and what is held for them."""

from datetime import timedelta

import pytest

from apps.common import driving
from apps.dispatch import services
from apps.dispatch.domain import coming as domain
from apps.dispatch.domain.coming import Coming
from apps.dispatch.domain.zone_plan import Zone, propose
from apps.fulfilment.models import StoreOrder
from apps.fulfilment.types import InHand
from apps.shoppers import services as shopper_services
from apps.shoppers.types import AvailableShopper
from tests.dispatch.factories import NOW, make_offer
from tests.dispatch.test_planning import near, offers, plan
from tests.dispatch.test_zone_plan import STORE, batches, codes, north, order, shoppers
from tests.fulfilment.factories import make_waiting_store_order
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

MINUTE = timedelta(minutes=1)
KM = 76 / 60  # minutes


def in_hand(stage, *, metres=1_000, minutes_ago=0, lines=2, units=3):
    return InHand(
        id=1,
        stage=stage,
        since=NOW - minutes_ago * MINUTE,
        drop=None if metres is None else north(metres),
        line_count=lines,
        unit_count=units,
    )


def coming(*orders, at=0):
    return domain.coming(AvailableShopper(shopper_id=7, point=north(at), vehicle="car"), orders, store=STORE, now=NOW)


def minutes(found):
    return found.after / MINUTE


AT_DOOR, START, IN_STORE = 2.5, 111 / 60, 5 + 2 * 0.75 + 3 * 8 / 60


def test_who_is_on_the_way_is_free_behind_the_last_door():
    found = coming(in_hand("delivering"), in_hand("delivering", metres=3_000), at=500)
    assert found.shopper.point == north(3_000)
    assert minutes(found) == pytest.approx(2 * (START + AT_DOOR) + 2.5 * KM, abs=0.02)


def test_who_picks_has_done_as_much_as_the_time_says_and_no_more():
    whole = IN_STORE + START + KM + AT_DOOR
    assert minutes(coming(in_hand("picking"), at=400)) == pytest.approx(whole, abs=0.02)
    assert minutes(coming(in_hand("picking", minutes_ago=4))) == pytest.approx(whole - 4, abs=0.02)
    assert minutes(coming(in_hand("picking", minutes_ago=400))) == pytest.approx(whole - IN_STORE, abs=0.02)


def test_who_has_not_begun_drives_to_the_store_first():
    found = coming(in_hand("assigned", lines=0, units=0), at=500)
    assert minutes(found) == pytest.approx(5 + 2 * START + 1.5 * KM + AT_DOOR, abs=0.02)


def test_who_is_long_at_work_or_goes_nowhere_known_is_not_reckoned_with():
    assert coming(in_hand("assigned", lines=30)) is None
    assert coming(in_hand("delivering", metres=None)) is None
    assert coming() is None


def test_nobody_is_said_to_be_free_at_once(monkeypatch):
    monkeypatch.setattr(domain.domain, "AT_DOOR_S", 0.0)
    monkeypatch.setattr(driving, "START_AND_PARK_S", 0.0)
    assert coming(in_hand("delivering", metres=10)).after == MINUTE


def proposed(orders, free, *later):
    zone = Zone(stores={17: STORE}, now=NOW, early=15 * MINUTE)
    people = [
        Coming(shopper=AvailableShopper(shopper_id=100 + n, point=north(at), vehicle="car"), after=after * MINUTE)
        for n, (at, after) in enumerate(later)
    ]
    return propose(orders, free, coming=people, zone=zone, until_next=timedelta(seconds=63), previous={}, seconds=0.05)


def test_an_order_is_held_for_who_will_soon_be_free_next_door():
    one = order()
    held = proposed([one], shoppers(9_000), (100, 4))
    assert (held.matches, codes(held)) == ([], {one.id: "next_trip"})
    assert held.held[one.id].detail == "Who takes it best has another trip first, and sets out in 4 minutes."


@pytest.mark.parametrize(("at", "minutes"), [(100, 14), (8_000, 4)])
def test_but_not_when_that_is_no_better(at, minutes):
    one = order()
    assert batches(proposed([one], shoppers(600), (at, minutes))) == [[one.id]]


def test_and_not_when_the_order_would_be_late():
    one = order(minutes=21)  # 9 km are 11.4 minutes, and 13.1 more to the door
    assert batches(proposed([one], shoppers(3_000), (100, 13))) == [[one.id]]


def test_those_who_are_coming_are_never_asked_also_when_all_others_are():
    orders = [order(metres=500 * n) for n in range(1, 12)]
    proposal = proposed(orders, shoppers(0, 0), (50, 1), (60, 2))
    assert {match.shopper_id for match in proposal.matches} == {1, 2}
    offered = [order_id for batch in batches(proposal) for order_id in batch]
    assert sorted([*offered, *proposal.held]) == [one.id for one in orders]


@pytest.mark.django_db(databases="__all__")
def test_a_shopper_at_the_last_door_gets_the_order_next_door_when_he_is_free():
    store = make_store(zone="Next door")
    offered = make_offer(store=store)
    services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW)
    shopper_services.mark_accepted(shopper_id=offered.shopper_id, batch_id=offered.batch_id, offer_id=offered.offer_id)
    at_work = {"store_order_id": offered.store_order_ids[0], "shopper_id": offered.shopper_id}
    StoreOrder.objects.filter(pk=at_work["store_order_id"]).update(
        status="delivering",
        picking_started_at=NOW,
        picked_at=NOW,
        delivery_started_at=NOW,
        drop_lat=near(store, 200).lat,
    )
    far = make_shopper(store.zone_id, point=near(store, 9_000))
    make_waiting_store_order(store=store, drop=near(store, 2_000))
    report = plan(store, NOW + MINUTE)
    assert (report.free_shoppers, report.offers_sent, report.held) == (1, 0, {"next_trip": 1})

    late = NOW + 3 * MINUTE
    services.finish_order(store_id=store.id, store_order_id=at_work["store_order_id"], now=late)
    shopper_services.complete(shopper_id=offered.shopper_id, batch_id=offered.batch_id, now=NOW)
    for shopper_id, point in ((offered.shopper_id, near(store, 200)), (far, near(store, 9_000))):
        shopper_services.report_position(shopper_id=shopper_id, point=point, now=late)
    assert plan(store, late).offers_sent == 1
    assert offers(store)[-1] == (offered.shopper_id, "sent")


@pytest.mark.django_db(databases="__all__")
def test_as_many_questions_are_asked_however_many_are_at_work(settings):
    settings.DISPATCH_EARLY_MINUTES = 15
    store = make_store(zone="Busy")
    make_shopper(store.zone_id, point=near(store, 14_000))

    def one_more_at_work():
        offered = make_offer(store=store)
        services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW)
        shopper_services.mark_accepted(
            shopper_id=offered.shopper_id, batch_id=offered.batch_id, offer_id=offered.offer_id
        )

    def questions():
        with counted() as queries:
            report = plan(store)
        assert (report.offers_sent, report.free_shoppers, report.held) == (0, 1, {"too_early": 1})
        return queries.total

    one_more_at_work()
    one_more_at_work()  # somebody on each shard
    make_waiting_store_order(store=store, drop=near(store), window_starts_at=NOW + timedelta(hours=5))
    few = questions()
    for _ in range(4):
        one_more_at_work()
    assert questions() == few
