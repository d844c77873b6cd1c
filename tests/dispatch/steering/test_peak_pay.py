"""From a zone that is short of shoppers to cents that a shopper was promised and gets."""

from datetime import timedelta

import pytest
from django.core.cache import cache

import sharding
from apps.common import clock, outbox
from apps.common.geo import Point
from apps.dispatch import events, handlers, models, selectors, services, tasks
from apps.dispatch.steering import peaks
from apps.dispatch.steering.models import ZoneHeat
from apps.dispatch.types import By
from apps.fulfilment.models import StoreOrder
from apps.shoppers import selectors as shoppers
from apps.shoppers import services as shopper_services
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.fulfilment.factories import make_waiting_store_order
from tests.presence import forget_everybody
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__")

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store():
    return make_store(zone=f"Zone of {make_store().id}")


def near(store, metres=1_000):
    return Point(store.point.lat + metres / 111_195, store.point.lng)


def make_hot(store, level=2, *, now=NOW):
    """As if it had been weighed so."""
    cell = peaks.Cell(level=level, wanted=level, demand=6.0, supply=2.0)
    kept = peaks.to_json({peaks.cell_of(store.point): cell})
    ZoneHeat.objects.update_or_create(zone_id=store.zone_id, defaults={"weighed_at": now, "cells": kept})


def weigh(store, *, minutes):
    return services.weigh_cells(zone_id=store.zone_id, now=NOW + timedelta(minutes=minutes))


def cell(store, *, minutes=0):
    (found,) = selectors.heat_map(zone_id=store.zone_id, now=NOW + timedelta(minutes=minutes))
    return found.level, found.extra_pay.cents, found.orders, found.shoppers


def plan(store, now=NOW):
    return services.plan(zone_id=store.zone_id, now=now)


def offer_to(shopper, now=NOW):
    (offer,) = selectors.offers_of(shopper_id=shopper, now=now)
    return offer


def test_a_zone_that_is_short_pays_more_from_the_second_reading_on(store):
    for _ in range(4):
        make_waiting_store_order(store=store, drop=near(store))
    make_shopper(store.zone_id, point=store.point)
    assert weigh(store, minutes=0) is True
    assert cell(store) == (0, 0, 4.0, 1.0)
    assert weigh(store, minutes=1) is True
    assert cell(store, minutes=1) == (3, 300, 4.0, 1.0)
    assert weigh(store, minutes=1) is False  # by another worker
    assert cell(store, minutes=1) == (3, 300, 4.0, 1.0)
    assert selectors.heat_map(zone_id=store.zone_id, now=NOW + timedelta(minutes=6)) == ()  # nobody weighs any more


def test_after_a_gap_it_begins_anew(store):
    for _ in range(4):
        make_waiting_store_order(store=store, drop=near(store))
    for minutes in (0, 1):
        weigh(store, minutes=minutes)
    assert cell(store, minutes=1)[0] == 5
    weigh(store, minutes=10)
    assert cell(store, minutes=10)[0] == 0


def test_what_counts_as_waiting_and_who_as_free(store, settings):
    settings.DISPATCH_EARLY_MINUTES = 15
    make_waiting_store_order(store=store)
    waits = make_waiting_store_order(store=store)
    by = By(operator_id=41, reason="The customer called", now=NOW)
    services.keep_back(store_id=store.id, store_order_id=waits, by=by)
    lead = 15 + 10 + 5 + 2 * 0.75 + 30  # early, approach, in the store, two lines, looked ahead
    make_waiting_store_order(store=store, window_starts_at=NOW + timedelta(minutes=lead))
    make_waiting_store_order(store=store, window_starts_at=NOW + timedelta(minutes=lead, seconds=1))
    make_shopper(store.zone_id, online=False)
    weigh(store, minutes=0)
    assert cell(store)[2:] == (2.0, 0.0)


def test_an_offered_batch_counts_with_whom_it_is_offered_to_and_a_taken_one_not_at_all(store):
    offered = make_offer(store=store, orders=2)
    weigh(store, minutes=0)
    assert cell(store)[2:] == (2.0, 1.0)
    services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW)
    weigh(store, minutes=1)
    assert cell(store, minutes=1)[2:] == (0.0, 0.0)


def test_who_is_at_the_last_doors_is_soon_free_there(store):
    taken = make_offer(store=store, orders=2)
    services.accept(offer_id=taken.offer_id, shopper_id=taken.shopper_id, now=NOW)
    ids = taken.store_order_ids
    at = {"picking_started_at": NOW, "picked_at": NOW, "delivery_started_at": NOW}
    StoreOrder.objects.filter(pk=ids[0], store_id=store.id).update(status="delivering", **at)
    weigh(store, minutes=0)
    assert cell(store)[2:] == (0.0, 0.0)
    StoreOrder.objects.filter(pk=ids[1], store_id=store.id).update(status="delivering", **at)
    weigh(store, minutes=1)
    assert cell(store, minutes=1)[3] in (1.0, 0.5)  # the door is in the store's cell or in the next


def test_an_order_without_a_place_does_not_hide_the_zone(store):
    lost, _ = (make_waiting_store_order(store=store) for _ in range(2))
    StoreOrder.objects.filter(pk=lost, store_id=store.id).update(drop_lat=float("nan"))
    assert weigh(store, minutes=0) is True
    assert cell(store)[2] == 1.0


def test_a_zone_without_stores_or_that_is_none_is_weighed_without_ado():
    assert services.weigh_cells(zone_id=999_999, now=NOW) is False
    assert selectors.heat_map(zone_id=999_999, now=NOW) == ()


def test_each_zone_is_weighed_in_a_task_of_its_own(store, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.weigh_zone, "apply_async", lambda args, expires: sent.append((args, expires)))
    tasks.weigh_zones()
    assert ([store.zone_id], 60) in sent
    with clock.shifted_to(NOW):
        tasks.weigh_zone(store.zone_id)
    assert ZoneHeat.objects.filter(zone_id=store.zone_id).exists()


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_of_ten_workers_one_takes_the_reading(store):
    make_waiting_store_order(store=store)
    assert answers_at_once(lambda i: weigh(store, minutes=0), 10).count(True) >= 1
    answers = answers_at_once(lambda i: weigh(store, minutes=1), 10)
    assert sorted(answers) == [False] * 9 + [True]


def test_an_offer_is_itemised_and_what_it_promised_stays_promised(store, settings):
    shopper = make_shopper(store.zone_id, point=store.point)
    make_waiting_store_order(store=store, drop=near(store))
    make_hot(store)
    plan(store)
    offer = offer_to(shopper)
    base = 500 + 2 * 15 + 3 * 5 + 60
    assert (offer.pay.cents, offer.peak.cents) == (base + 200, 200)
    cache.clear()
    forget_everybody()  # Redis promised nothing
    ZoneHeat.objects.all().delete()
    settings.DISPATCH_PEAK_MOST_CENTS = 0
    services.accept(offer_id=offer.id, shopper_id=shopper, now=NOW)
    batch = models.Batch.objects.get(pk=offer.batch_id)
    assert (batch.status, batch.pay_cents, batch.peak_cents) == ("acknowledged", base + 200, 200)


def test_the_signal_is_one_question_of_a_turn_that_offers_something(store):
    make_shopper(store.zone_id, point=store.point)
    plan(store)  # takes the lease for the first time
    with counted() as idle:
        plan(store)
    for metres in (9_000, -9_000):
        make_waiting_store_order(store=store, drop=near(store, metres))
        make_shopper(store.zone_id, point=store.point)
    with counted() as busy:
        assert plan(store).offers_sent == 2
    assert busy.by_alias["default"] == idle.by_alias["default"] + 1


def test_a_refused_batch_is_offered_for_more_in_a_peak_and_never_for_less(store):
    offered = make_offer(store=store)
    base = models.Batch.objects.get(pk=offered.batch_id).pay_cents
    second, third = (make_shopper(store.zone_id, point=near(store, metres)) for metres in (900, 1_800))
    services.decline(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW)
    make_hot(store, 3)
    plan(store)
    offer = offer_to(second)
    assert (offer.batch_id, offer.pay.cents, offer.peak.cents) == (offered.batch_id, base + 300, 300)
    services.decline(offer_id=offer.id, shopper_id=second, now=NOW)
    make_hot(store, 1)
    plan(store)
    offer = offer_to(third)
    assert (offer.batch_id, offer.pay.cents, offer.peak.cents) == (offered.batch_id, base + 300, 300)


def test_what_an_operator_assigns_is_paid_like_any_other(store):
    shopper = make_shopper(store.zone_id, point=store.point)
    order = make_waiting_store_order(store=store, drop=near(store))
    make_hot(store, 5)
    by = By(operator_id=41, reason="The customer called", now=NOW)
    services.assign(store_id=store.id, store_order_ids=[order], shopper_id=shopper, by=by)
    assert offer_to(shopper).peak.cents == 500


def test_an_old_signal_pays_nothing(store):
    shopper = make_shopper(store.zone_id, point=store.point)
    make_waiting_store_order(store=store, drop=near(store))
    make_hot(store, now=NOW - peaks.KEPT)
    plan(store)
    assert offer_to(shopper).peak.cents == 0


def test_peak_pay_is_a_line_of_its_own_in_the_ledger_and_only_once():
    taken = make_accepted()
    event = events.BatchCompleted(
        batch_id=taken.batch_id,
        store_id=taken.store.id,
        shopper_id=taken.shopper_id,
        pay_cents=905,
        peak_cents=200,
        currency="USD",
    )
    for _ in range(2):
        handlers.pay_the_shopper(event, "1")
    ledger = shoppers.earnings(shopper_id=taken.shopper_id)
    assert sorted((line.kind, line.amount.cents, line.order_id) for line in ledger.earnings) == [
        ("batch_pay", 705, None),
        ("peak_pay", 200, None),
    ]
    assert ledger.total.cents == 905


def test_the_event_carries_what_the_batch_promised(store):
    shopper = make_shopper(store.zone_id, point=store.point)
    order = make_waiting_store_order(store=store, drop=near(store))
    make_hot(store)
    plan(store)
    offer = offer_to(shopper)
    services.accept(offer_id=offer.id, shopper_id=shopper, now=NOW)
    services.finish_order(store_id=store.id, store_order_id=order, now=NOW)
    outbox.drain(aliases=[sharding.alias_for("store", store.id)])
    ledger = shoppers.earnings(shopper_id=shopper)
    assert {line.kind: line.amount.cents for line in ledger.earnings} == {
        "batch_pay": offer.pay.cents - 200,
        "peak_pay": 200,
    }
    assert shopper_services.release(shopper_id=shopper, batch_id=offer.batch_id) is False
