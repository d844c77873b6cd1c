"""Orders that not everybody may carry, from the projection to the acceptance."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.dispatch import models, services
from apps.dispatch.errors import OverrideRefused
from apps.dispatch.types import By
from apps.fulfilment.models import StoreOrder
from apps.shoppers import selectors as shoppers
from apps.shoppers import services as shopper_services
from apps.shoppers.errors import CertificateMissing
from tests.dispatch.factories import NOW
from tests.dispatch.test_planning import near, offers, plan
from tests.fulfilment.factories import a_line, make_waiting_store_order, weighed
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

TODAY, DAY = NOW.date(), timedelta(days=1)


@pytest.fixture
def store():
    return make_store(zone="Cellar")


def certified(store, metres, *, last=TODAY + 30 * DAY):
    shopper = make_shopper(store.zone_id, point=near(store, metres))
    certify(shopper, last=last)
    return shopper


def certify(shopper, *, last):
    shopper_services.certify(
        shopper_id=shopper, kind="alcohol", valid_from=TODAY - DAY, valid_until=last, checked_by=3, now=NOW
    )


def make_wine_order(store):
    wine = FeedItem(
        lookup_code="wine", name="Red wine", price_cents=1299, size="1.5 l", department="Frozen wine", alcoholic=True
    )
    item_id = catalog.put_item(store_id=store.id, item=wine, now=NOW)
    lines = [a_line(1, item_id=item_id, quantity=Decimal(2)), weighed(quantity="2.5")]
    return make_waiting_store_order(store=store, drop=near(store, 2_000), lines=lines)


def test_the_projection_carries_what_the_goods_need_and_weigh(store):
    order = StoreOrder.objects.get(pk=make_wine_order(store))
    assert (order.has_alcohol, order.is_cold, order.grams) == (True, True, 3_000 + 500 * 2 + 250)  # an unknown item
    plain = StoreOrder.objects.get(pk=make_waiting_store_order(store=store))
    assert (plain.has_alcohol, plain.is_cold) == (False, False)


def test_nobody_without_a_certificate_is_asked(store):
    make_shopper(store.zone_id, point=near(store, 100))
    certified(store, 200, last=TODAY - DAY)
    make_wine_order(store)
    report = plan(store)
    assert (report.offers_sent, report.held) == (0, {"no_skill": 1})
    able = certified(store, 900)
    assert plan(store).offers_sent == 1
    assert offers(store) == [(able, "sent")]


def test_a_refused_batch_too_goes_only_to_who_has_one(store):
    first = certified(store, 100)
    make_wine_order(store)
    plan(store)
    offer = models.Offer.objects.get(store_id=store.id)
    services.decline(offer_id=offer.pk, shopper_id=first, now=NOW)
    make_shopper(store.zone_id, point=near(store, 200))
    assert plan(store).offers_sent == 0
    able = certified(store, 900)
    assert plan(store).offers_sent == 1
    assert offers(store)[-1] == (able, "sent")


def test_a_certificate_withdrawn_while_it_was_planned_is_noticed_by_the_claim(store, monkeypatch):
    shopper = certified(store, 100)
    make_wine_order(store)
    (held,) = shoppers.certifications(shopper_id=shopper)
    claim = shopper_services.claim

    def withdraw_first(**claimed):
        shopper_services.withdraw_certification(shopper_id=shopper, certification_id=held.id, now=NOW)
        return claim(**claimed)

    monkeypatch.setattr(shopper_services, "claim", withdraw_first)
    report = plan(store)
    assert (report.offers_sent, report.offers_lost) == (0, 1)
    assert shoppers.live_assignment(shopper_id=shopper) is None
    assert not models.Batch.objects.filter(store_id=store.id).exists()


def test_a_certificate_that_ran_out_since_the_offer_takes_nothing_and_others_are_asked(store):
    shopper = certified(store, 100)
    order_id = make_wine_order(store)
    plan(store)
    (held,) = shoppers.certifications(shopper_id=shopper)
    shopper_services.withdraw_certification(shopper_id=shopper, certification_id=held.id, now=NOW)
    offer = models.Offer.objects.get(store_id=store.id)
    with pytest.raises(CertificateMissing, match="alcohol"):
        services.accept(offer_id=offer.pk, shopper_id=shopper, now=NOW)
    assert offers(store) == [(shopper, "withdrawn")]
    assert models.Batch.objects.get(pk=offer.batch_id).status == "open"
    assert StoreOrder.objects.get(pk=order_id).status == "waiting"
    able = certified(store, 900)
    assert plan(store).offers_sent == 1
    assert offers(store)[-1] == (able, "sent")
    again = models.Offer.objects.get(store_id=store.id, shopper_id=able)
    services.accept(offer_id=again.pk, shopper_id=able, now=NOW)
    assert StoreOrder.objects.get(pk=order_id).shopper_id == able


def test_an_operator_too_assigns_it_only_to_who_has_one(store):
    shopper = make_shopper(store.zone_id, point=store.point)
    order = make_wine_order(store)
    by = By(operator_id=41, reason="The customer called", now=NOW)

    def assign():
        return services.assign(store_id=store.id, store_order_ids=[order], shopper_id=shopper, by=by)

    with pytest.raises(OverrideRefused, match="has no valid certificate for alcohol"):
        assign()
    assert offers(store) == []
    certify(shopper, last=TODAY)
    assert assign() is True
    assert offers(store) == [(shopper, "sent")]


def test_an_operator_assigns_no_more_than_the_vehicle_carries(store):
    shopper = make_shopper(store.zone_id, point=store.point)
    orders = [make_waiting_store_order(store=store, drop=near(store, 500)) for _ in range(2)]
    StoreOrder.objects.filter(store_id=store.id).update(grams=61_000)
    by = By(operator_id=41, reason="The customer called", now=NOW)
    with pytest.raises(OverrideRefused, match="122 kg are too much"):
        services.assign(store_id=store.id, store_order_ids=orders, shopper_id=shopper, by=by)
    assert offers(store) == []
    assert services.assign(store_id=store.id, store_order_ids=orders[:1], shopper_id=shopper, by=by) is True
