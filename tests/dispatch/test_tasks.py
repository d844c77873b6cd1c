"""What beat starts does its work, and on the right queue."""

from datetime import timedelta

import pytest
from celery import current_app

from apps.common import clock
from apps.dispatch import models, tasks
from apps.shoppers import selectors as shoppers
from apps.shoppers import tasks as shopper_tasks
from celery_app import schedule
from tests.dispatch.factories import NOW, make_offer
from tests.fulfilment.factories import make_waiting_store_order
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

MINUTE_LATER = NOW + timedelta(seconds=65)
TWO_MINUTES_LATER = NOW + timedelta(minutes=2)


def test_every_task_is_scheduled_and_goes_to_the_dispatch_queue():
    names = {"dispatch.plan_zones", "dispatch.sweep", "dispatch.weigh_zones", "shoppers.sweep"}
    assert names <= schedule.EVERY_SECONDS.keys()
    names |= {"dispatch.plan_zone", "dispatch.weigh_zone"}
    assert names <= current_app.tasks.keys()
    assert {current_app.amqp.router.route({}, name)["queue"].name for name in names} == {"dispatch"}


def test_each_zone_is_planned_in_a_task_of_its_own(monkeypatch):
    zone_ids = [make_store(zone=name).zone_id for name in ("North", "South")]
    sent = []
    monkeypatch.setattr(tasks.plan_zone, "apply_async", lambda args, expires: sent.append((args, expires)))
    tasks.plan_zones()
    assert sorted(entry for entry in sent if entry[0][0] in zone_ids) == [
        ([zone_id], 3) for zone_id in sorted(zone_ids)
    ]


def test_no_zone_is_always_the_last_that_overloaded_workers_drop(monkeypatch):
    zone_ids = [make_store(zone=name).zone_id for name in ("North", "Middle", "South")]
    last = set()
    for _ in range(100):  # that one of three is never the last has a chance of 3 (2/3)^100
        sent = []
        monkeypatch.setattr(tasks.plan_zone, "apply_async", lambda args, expires, sent=sent: sent.append(args[0]))
        tasks.plan_zones()
        assert sorted(sent) == sorted(zone_ids)
        last.add(sent[-1])
    assert last == set(zone_ids)


def test_planning_and_sweeping_by_the_clock():
    store = make_store(zone="West")
    shopper = make_shopper(store.zone_id, point=store.point)
    make_waiting_store_order(store=store)
    with clock.shifted_to(NOW):
        tasks.plan_zone(store.zone_id)
    offer = models.Offer.objects.get(store_id=store.id, shopper_id=shopper)
    assert offer.status == "sent"
    with clock.shifted_to(MINUTE_LATER):
        tasks.sweep()
        shopper_tasks.sweep()
    offer.refresh_from_db()
    assert offer.status == "expired"
    assert shoppers.live_assignment(shopper_id=shopper).state == "offered"  # until word of it comes, or
    with clock.shifted_to(TWO_MINUTES_LATER):
        shopper_tasks.sweep()
    assert shoppers.live_assignment(shopper_id=shopper) is None


def test_a_sweep_leaves_a_standing_offer_alone():
    offered = make_offer()
    with clock.shifted_to(NOW):
        tasks.sweep()
    assert models.Offer.objects.get(pk=offered.offer_id).status == "sent"
