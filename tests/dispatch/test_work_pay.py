"""Work that comes to nothing is paid by the minute; what is completed is paid as promised."""

from datetime import timedelta

import pytest

from apps.common import outbox
from apps.dispatch import domain, handlers, services
from apps.dispatch.events import BatchCanceled
from apps.dispatch.models import Batch, Offer
from apps.fulfilment import services as fulfilment
from apps.fulfilment.models import PickLine, StoreOrder
from apps.shoppers import selectors as shoppers
from tests.dispatch.factories import NOW, make_accepted
from tests.dispatch.test_silence import SILENCE, begin, bring, check_out, find, sweep
from tests.shoppers.factories import make_shopper

pytestmark = pytest.mark.django_db(databases="__all__")

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def no_orders_behind_them(monkeypatch):
    """Store orders here have no customer's order: what the store tells it goes nowhere."""
    monkeypatch.setattr(fulfilment, "report", lambda **_: None)
    monkeypatch.setattr(fulfilment, "report_line", lambda **_: None)


def earned(shopper_id):
    page = shoppers.earnings(shopper_id=shopper_id)
    return sorted((one.kind, one.amount.cents) for one in page.earnings)


def pay(offered):
    return Batch.objects.get(pk=offered.batch_id).pay_cents


def cancel(offered, number, now):
    row = StoreOrder.objects.get(pk=offered.store_order_ids[number])
    fulfilment.cancel(store_id=row.store_id, order_id=row.order_id, customer_id=row.customer_id, now=now)
    services.drop_order(store_id=row.store_id, store_order_id=row.pk, now=now)


@pytest.mark.parametrize(
    ("worked", "cents"),
    [
        (timedelta(0), 0),
        (timedelta(seconds=-5), 0),
        (timedelta(seconds=1), 0),
        (timedelta(seconds=6), 3),
        (MINUTE, 25),
        (17 * MINUTE, 425),
        (timedelta(hours=9), 900),
    ],
)
def test_a_minute_is_25_cents_and_never_more_than_the_batch(worked, cents):
    assert domain.PAY.work_cents(worked, most=900) == cents


def test_a_batch_that_is_canceled_pays_for_the_time_since_it_was_accepted():
    offered = make_accepted(orders=2)
    cancel(offered, 0, NOW + 4 * MINUTE)
    outbox.drain()
    assert earned(offered.shopper_id) == []  # the other one is still to be delivered, for the whole pay
    cancel(offered, 1, NOW + 8 * MINUTE)
    outbox.drain()
    outbox.drain()
    assert Batch.objects.get(pk=offered.batch_id).status == "canceled"
    assert earned(offered.shopper_id) == [("work_pay", 200)]


def test_a_batch_that_goes_on_without_an_order_pays_what_was_promised():
    offered = make_accepted(orders=2)
    cancel(offered, 0, NOW + 30 * MINUTE)
    begin(offered, 1)
    check_out(offered, 1)
    bring(offered, 1)
    outbox.drain()
    assert earned(offered.shopper_id) == [("batch_pay", pay(offered))]


def test_who_is_relieved_is_paid_until_the_last_thing_they_did_and_who_completes_gets_the_batch():
    offered = make_accepted()
    begin(offered, at=NOW + 5 * MINUTE)
    find(offered, 0, 2, at=NOW + 9 * MINUTE)
    assert sweep(offered, NOW + 9 * MINUTE + SILENCE) == 1
    outbox.drain()
    assert earned(offered.shopper_id) == [("work_pay", 225)]

    later = NOW + 30 * MINUTE
    second = make_shopper(offered.store.zone_id, point=offered.store.point, now=later)
    services.plan(zone_id=offered.store.zone_id, now=later)
    offer = Offer.objects.get(store_id=offered.store.id, shopper_id=second, status="sent")
    services.accept(offer_id=offer.pk, shopper_id=second, now=later)
    (store_order_id,) = offered.store_order_ids
    fulfilment.start_picking(store_order_id=store_order_id, shopper_id=second, now=later)
    line = PickLine.objects.filter(store_order_id=store_order_id).order_by("pk")[1]
    fulfilment.mark_found(
        store_order_id=store_order_id, line_id=line.line_id, shopper_id=second, quantity=line.quantity, now=later
    )
    fulfilment.check_out(store_order_id=store_order_id, shopper_id=second, now=later)
    fulfilment.start_delivery(store_order_id=store_order_id, shopper_id=second, now=later)
    StoreOrder.objects.filter(pk=store_order_id).update(status="delivered", delivered_at=later)
    services.finish_order(store_id=offered.store.id, store_order_id=store_order_id, now=later)
    outbox.drain()
    assert earned(second) == [("batch_pay", pay(offered))]
    assert earned(offered.shopper_id) == [("work_pay", 225)]


def test_who_never_began_has_not_worked():
    offered = make_accepted()
    assert sweep(offered, NOW + SILENCE) == 1
    outbox.drain()
    assert earned(offered.shopper_id) == []


def test_word_of_the_work_that_comes_twice_pays_once():
    offered = make_accepted()
    cancel(offered, 0, NOW + 4 * MINUTE)
    offer = Offer.objects.get(store_id=offered.store.id, batch_id=offered.batch_id, status="accepted")
    event = BatchCanceled(
        batch_id=offered.batch_id,
        store_id=offered.store.id,
        shopper_id=offered.shopper_id,
        work_cents=100,
        offer_id=offer.pk,
    )
    outbox.drain()
    handlers.free_who_has_nothing_left(event, "")
    assert earned(offered.shopper_id) == [("work_pay", 100)]
