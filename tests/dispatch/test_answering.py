from datetime import timedelta

import pytest

import sharding
from apps.common.models import OutboxMessage
from apps.dispatch import errors, models, selectors, services
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.shoppers import selectors as shoppers
from apps.shoppers import services as shopper_services
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.shoppers.factories import make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")


def accept(offered, shopper_id=None, now=NOW):
    return services.accept(offer_id=offered.offer_id, shopper_id=shopper_id or offered.shopper_id, now=now)


def batch(offered):
    return models.Batch.objects.get(pk=offered.batch_id)


def told(offered):
    messages = OutboxMessage.objects.using(sharding.alias_for("store", offered.store.id))
    return sorted(messages.filter(payload__store_id=offered.store.id).values_list("name", flat=True))


def statuses(offered):
    found = fulfilment.store_orders(store_order_ids=offered.store_order_ids)
    return [(found[order].status, found[order].shopper_id) for order in offered.store_order_ids]


def order_ids(offered):
    found = fulfilment.store_orders(store_order_ids=offered.store_order_ids)
    return [found[order].order_id for order in offered.store_order_ids]


def test_accepting_gives_the_shopper_the_batch_and_its_orders():
    offered = make_offer(orders=2)
    accepted = accept(offered)
    assert (accepted.offer_id, accepted.batch_id) == (offered.offer_id, offered.batch_id)
    assert (batch(offered).status, batch(offered).shopper_id) == ("acknowledged", offered.shopper_id)
    assert statuses(offered) == [("assigned", offered.shopper_id)] * 2
    assert told(offered) == ["dispatch.offer_accepted"] + ["fulfilment.order_assigned"] * 2


def test_accepting_again_gives_the_same_answer_and_tells_nothing_more():
    offered = make_offer()
    first = accept(offered)
    before = told(offered)
    assert accept(offered) == first
    assert accept(offered, now=NOW + timedelta(hours=1)) == first
    assert told(offered) == before


def test_another_shopper_and_an_absent_offer_are_refused_alike():
    offered = make_offer()
    stranger = make_shopper(offered.store.zone_id)
    refusals = []
    for offer_id, shopper_id in [(offered.offer_id, stranger), (offered.offer_id + 1, stranger), (1, stranger)]:
        for answer in (services.accept, services.decline):
            with pytest.raises(errors.OfferNotFound) as refused:
                answer(offer_id=offer_id, shopper_id=shopper_id, now=NOW)
            refusals.append(str(refused.value))
    assert len(set(refusals)) == 1
    assert batch(offered).status == "offered"


def test_a_minute_later_it_is_gone():
    offered = make_offer()
    with pytest.raises(errors.OfferGone):
        accept(offered, now=NOW + timedelta(seconds=60))
    assert (batch(offered).status, statuses(offered)) == ("offered", [("waiting", None)])


def test_what_was_declined_or_expired_is_gone():
    declined, expired = make_offer(), make_offer()
    services.decline(offer_id=declined.offer_id, shopper_id=declined.shopper_id, now=NOW)
    late = NOW + timedelta(seconds=60)
    for alias in sharding.aliases("store"):
        services.expire_offers(using=alias, now=late)
    for offered in (declined, expired):
        with pytest.raises(errors.OfferGone):
            accept(offered, now=NOW)
        assert batch(offered).status == "open"
        assert told(offered) == ["dispatch.offer_closed"]
    with pytest.raises(errors.OfferGone):
        services.decline(offer_id=expired.offer_id, shopper_id=expired.shopper_id, now=late)


def test_a_shopper_whose_claim_was_released_has_no_offer_any_more():
    offered = make_offer()
    shopper_services.release(shopper_id=offered.shopper_id, batch_id=offered.batch_id)
    with pytest.raises(errors.OfferGone):
        accept(offered)
    assert batch(offered).shopper_id is None


def test_an_order_canceled_at_the_last_moment_is_left_out():
    offered = make_offer(orders=2)
    gone = order_ids(offered)[0]
    fulfilment_services.cancel(store_id=offered.store.id, order_id=gone, customer_id=12, now=NOW)
    accept(offered)
    assert statuses(offered) == [("canceled", None), ("assigned", offered.shopper_id)]
    stops = models.BatchStop.objects.filter(batch_id=offered.batch_id).order_by("sequence")
    by_order = {(stop.order_id, stop.kind): stop.state for stop in stops}
    assert by_order[(gone, "pick")] == by_order[(gone, "drop")] == "dropped"
    assert sorted(by_order.values()) == ["dropped", "dropped", "pending", "pending"]


def test_nothing_is_accepted_when_every_order_was_canceled():
    offered = make_offer()
    fulfilment_services.cancel(store_id=offered.store.id, order_id=order_ids(offered)[0], customer_id=12, now=NOW)
    with pytest.raises(errors.OfferGone):
        accept(offered)
    assert (batch(offered).status, batch(offered).shopper_id) == ("offered", None)
    assert services.drop_order(store_id=offered.store.id, store_order_id=offered.store_order_ids[0], now=NOW) is True
    assert services.drop_order(store_id=offered.store.id, store_order_id=offered.store_order_ids[0], now=NOW) is False
    assert batch(offered).status == "canceled"
    assert models.Offer.objects.get(pk=offered.offer_id).status == "withdrawn"


def test_a_batch_goes_on_to_its_end_by_its_orders():
    offered = make_accepted(orders=2)
    store_id, (first, second) = offered.store.id, offered.store_order_ids
    assert services.note_picking(store_id=store_id, store_order_id=first) is True
    assert services.note_picking(store_id=store_id, store_order_id=second) is False
    assert batch(offered).status == "picking"
    services.finish_order(store_id=store_id, store_order_id=first, now=NOW)
    assert batch(offered).status == "picking"
    assert services.finish_order(store_id=store_id, store_order_id=second, now=NOW) is True
    assert services.finish_order(store_id=store_id, store_order_id=second, now=NOW) is False
    assert batch(offered).status == "completed"
    assert told(offered).count("dispatch.batch_completed") == 1


def test_a_batch_whose_other_order_was_canceled_completes_with_the_one_delivered():
    offered = make_accepted(orders=2)
    store_id, (first, second) = offered.store.id, offered.store_order_ids
    services.drop_order(store_id=store_id, store_order_id=first, now=NOW)
    assert batch(offered).status == "acknowledged"
    services.finish_order(store_id=store_id, store_order_id=second, now=NOW)
    assert batch(offered).status == "completed"


def test_a_batch_nobody_began_is_offered_to_others():
    offered = make_accepted()
    alias = sharding.alias_for("store", offered.store.id)
    late = NOW + timedelta(minutes=30)
    assert services.reclaim_stale(using=alias, now=late - timedelta(seconds=1)) == 0
    assert services.reclaim_stale(using=alias, now=late) == 1
    assert (batch(offered).status, statuses(offered)) == ("open", [("waiting", None)])
    second = make_shopper(offered.store.zone_id, point=offered.store.point, now=late)
    assert services.plan(zone_id=offered.store.zone_id, now=late).offers_sent == 1
    (offer,) = selectors.offers_of(shopper_id=second, now=late)
    assert offer.batch_id == offered.batch_id


def test_a_batch_that_was_begun_stays_where_it_is():
    offered = make_accepted(orders=2)
    begun = offered.store_order_ids[1]
    fulfilment_services.start_picking(store_order_id=begun, shopper_id=offered.shopper_id, now=NOW)
    alias = sharding.alias_for("store", offered.store.id)
    assert services.reclaim_stale(using=alias, now=NOW + timedelta(hours=1)) == 0  # word of the start is on its way
    assert statuses(offered) == [("assigned", offered.shopper_id), ("picking", offered.shopper_id)]


def test_the_shopper_side_follows_the_batch_and_not_late_news():
    offered = make_accepted()
    told_accepted = {"batch_id": offered.batch_id, "offer_id": offered.offer_id, "shopper_id": offered.shopper_id}
    assert services.tell_accepted(**told_accepted) is True
    assert services.tell_accepted(**told_accepted) is False
    alias = sharding.alias_for("store", offered.store.id)
    services.reclaim_stale(using=alias, now=NOW + timedelta(minutes=30))
    shopper_services.release(shopper_id=offered.shopper_id, batch_id=offered.batch_id)
    assert services.tell_accepted(**told_accepted) is False
    assert shoppers.live_assignment(shopper_id=offered.shopper_id) is None
