"""Many at once for one batch: one wins, nothing is doubled, nothing is left behind."""

import time
from datetime import timedelta
from threading import Event

import pytest
from django.db import connections

import sharding
from apps.common.models import OutboxMessage
from apps.dispatch import models, services
from apps.dispatch.errors import OfferGone
from apps.dispatch.services import planning
from apps.dispatch.types import Accepted
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.shoppers import models as shopper_models
from apps.shoppers import services as shoppers
from tests.dispatch.factories import NOW, make_offer
from tests.fulfilment.factories import make_waiting_store_order
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

INDEX = "dispatch_one_live_offer"


def acceptances(store_id):
    messages = OutboxMessage.objects.using(sharding.alias_for("store", store_id))
    return messages.filter(name="dispatch.offer_accepted").count()


@pytest.fixture
def many_live_offers():
    """Lets one batch have several live offers, as if its unique index had failed: the updates must hold alone."""
    made = {}
    for alias in sharding.aliases("store"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [INDEX])
            made[alias] = cursor.fetchone()[0]
            cursor.execute(f"DROP INDEX {INDEX}")
    yield
    for alias, definition in made.items():
        models.Offer.objects.using(alias).all().delete()
        with connections[alias].cursor() as cursor:
            cursor.execute(definition)


@pytest.mark.usefixtures("many_live_offers")
def test_of_fifty_shoppers_who_accept_one_batch_one_gets_it():
    offered = make_offer()
    first = models.Offer.objects.get(pk=offered.offer_id)
    everybody = {offered.shopper_id: offered.offer_id}
    for _ in range(49):
        shopper = make_shopper(offered.store.zone_id)
        soon = NOW + timedelta(seconds=90)
        shoppers.claim(shopper_id=shopper, batch_id=first.batch_id, store_id=first.store_id, expires_at=soon, now=NOW)
        row = models.Offer.objects.create(
            batch_id=first.batch_id,
            store_id=first.store_id,
            shopper_id=shopper,
            distance_m=1,
            sent_at=NOW,
            expires_at=first.expires_at,
        )
        everybody[shopper] = row.pk
    asked = list(everybody.items())

    answers = answers_at_once(
        lambda i: services.accept(offer_id=asked[i][1], shopper_id=asked[i][0], now=NOW), len(asked)
    )

    winners = [asked[i][0] for i, answer in enumerate(answers) if isinstance(answer, Accepted)]
    assert len(winners) == 1
    assert [type(answer) for answer in answers].count(OfferGone) == 49
    assert models.Batch.objects.get(pk=first.batch_id).shopper_id == winners[0]
    assert models.Offer.objects.filter(batch_id=first.batch_id, status="accepted").count() == 1
    (order,) = fulfilment.store_orders(store_order_ids=offered.store_order_ids).values()
    assert (order.status, order.shopper_id) == ("assigned", winners[0])
    assert acceptances(first.store_id) == 1
    late, offer_id = next(one for one in asked if one[0] != winners[0])
    with counted() as queries, pytest.raises(OfferGone):
        services.accept(offer_id=offer_id, shopper_id=late, now=NOW)
    assert queries.total == 1


def test_fifty_taps_of_one_shopper_are_one_acceptance():
    offered = make_offer(orders=2)
    answers = answers_at_once(
        lambda i: services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW), 50
    )
    assert set(answers) == {Accepted(offer_id=offered.offer_id, batch_id=offered.batch_id, store_id=offered.store.id)}
    assert acceptances(offered.store.id) == 1


@pytest.mark.parametrize("_", range(5))
def test_accepting_declining_expiring_and_canceling_at_once_has_one_outcome(_):
    offered = make_offer()
    alias = sharding.alias_for("store", offered.store.id)
    (store_order_id,) = offered.store_order_ids
    late = NOW + timedelta(seconds=60)
    works = [
        lambda: services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW),
        lambda: services.decline(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW),
        lambda: services.expire_offers(using=alias, now=late),
        lambda: services.drop_order(store_id=offered.store.id, store_order_id=store_order_id, now=NOW),
    ]
    answers = answers_at_once(lambda i: works[i % 4](), 12)
    assert [answer for answer in answers if isinstance(answer, Exception) and type(answer) is not OfferGone] == []
    batch = models.Batch.objects.get(pk=offered.batch_id)
    offer = models.Offer.objects.get(pk=offered.offer_id)
    assert offer.status != "sent"
    assert (offer.status == "accepted") == (batch.shopper_id is not None)
    assert batch.status == "canceled"  # its only order was dropped, before or after


def test_ten_planners_at_once_offer_each_order_and_each_shopper_once():
    stores = [make_store(zone="Busy") for _ in range(3)]
    for store in stores:
        for _ in range(4):
            make_waiting_store_order(store=store)
    people = [make_shopper(stores[0].zone_id, point=stores[0].point) for _ in range(8)]

    def plan(i):
        models.PlannerLease.objects.all().delete()  # as if every lease had run out under its holder
        return services.plan(zone_id=stores[0].zone_id, now=NOW)

    answers = answers_at_once(plan, 10)

    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    ordered, asked = _planned(stores)
    assert ordered
    assert asked
    assert len(set(ordered)) == len(ordered)
    assert len(dict(asked)) == len(asked) == len({batch_id for _, batch_id in asked})
    plan(0)  # for two that took half of each other's: what both lost is planned by the next
    ordered, asked = _planned(stores)
    assert len(set(ordered)) == len(ordered) == 12
    assert len(dict(asked)) == len(asked) == len({batch_id for _, batch_id in asked}) == 6
    live = shopper_models.Assignment.objects.filter(shopper_id__in=people, state__in=["claimed", "offered"])
    assert {(row.shopper_id, row.batch_id) for row in live} == set(asked)


def test_who_takes_a_zone_over_waits_for_the_offer_that_is_being_made_and_sees_it(monkeypatch):
    store = make_store(zone="Contested")
    shopper = make_shopper(store.zone_id, point=store.point)
    make_waiting_store_order(store=store)
    make_batch, is_inside, has_begun = planning._make_batch, Event(), Event()

    def slowly(*details):
        is_inside.set()
        assert has_begun.wait(5)
        time.sleep(0.2)  # the successor has to wait for the store's number by now
        make_batch(*details)

    monkeypatch.setattr(planning, "_make_batch", slowly)

    def plan(i):
        if i == 0:
            return services.plan(zone_id=store.zone_id, now=NOW)
        assert is_inside.wait(5)
        has_begun.set()
        return services.plan(zone_id=store.zone_id, now=NOW + timedelta(seconds=10))

    first, successor = answers_at_once(plan, 2)

    assert (first.offers_sent, first.is_deposed) == (1, False)
    assert (successor.offers_sent, successor.held, successor.is_skipped) == (0, {}, False)
    ordered, asked = _planned([store])
    assert (len(ordered), [shopper_id for shopper_id, _ in asked]) == (1, [shopper])


def _planned(stores):
    """The store orders that are in batches, and who was asked for which batch."""
    ids = [store.id for store in stores]
    ordered, asked = [], []
    for alias in sharding.aliases("store"):
        stops = models.BatchStop.objects.using(alias).filter(kind="drop", store_id__in=ids)
        ordered += stops.values_list("store_order_id", flat=True)
        offers = models.Offer.objects.using(alias).filter(status="sent", store_id__in=ids)
        asked += offers.values_list("shopper_id", "batch_id")
    return ordered, asked


@pytest.mark.parametrize("_", range(5))
def test_a_cancelation_and_an_acceptance_at_once_end_legally(_):
    offered = make_offer()
    ((store_order_id, order),) = fulfilment.store_orders(store_order_ids=offered.store_order_ids).items()
    store_id = offered.store.id
    works = [
        lambda: services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW),
        lambda: fulfilment_services.cancel(store_id=store_id, order_id=order.order_id, customer_id=12, now=NOW),
    ]
    accepted, canceled = answers_at_once(lambda i: works[i](), 2)
    assert canceled is True
    assert isinstance(accepted, Accepted | OfferGone)
    services.drop_order(store_id=store_id, store_order_id=store_order_id, now=NOW)
    assert models.Batch.objects.get(pk=offered.batch_id).status == "canceled"
    assert fulfilment.store_orders(store_order_ids=[store_order_id])[store_order_id].status == "canceled"
