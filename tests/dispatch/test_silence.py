"""Shoppers who fall silent with a batch in hand."""

from datetime import timedelta
from decimal import Decimal

import pytest

import sharding
from apps.common import clock
from apps.common.models import OutboxMessage
from apps.dispatch import models, selectors, services, tasks
from apps.fulfilment import errors
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.fulfilment.models import PickLine, StoreOrder
from apps.shoppers import models as models_of_shoppers
from apps.shoppers import services as shopper_services
from tests.dispatch.factories import NOW, make_accepted
from tests.shoppers.factories import make_shopper
from tests.threads import at_once

pytestmark = pytest.mark.django_db(databases="__all__")

MINUTE = timedelta(minutes=1)
SILENCE = 15 * MINUTE


def sweep(offered, at):
    return services.reclaim_silent(using=sharding.alias_for("store", offered.store.id), now=at)


def orders(offered):
    rows = StoreOrder.objects.filter(pk__in=offered.store_order_ids).order_by("pk")
    return list(rows.values_list("status", "shopper_id", "lines_done", "units_done"))


def batch(offered):
    return models.Batch.objects.get(pk=offered.batch_id)


def begin(offered, number=0, *, at=NOW):
    fulfilment_services.start_picking(
        store_order_id=offered.store_order_ids[number], shopper_id=offered.shopper_id, now=at
    )
    services.note_picking(store_id=offered.store.id, store_order_id=offered.store_order_ids[number])


def find(offered, line, quantity, *, number=0, at=NOW, shopper=None):
    line_id = PickLine.objects.filter(store_order_id=offered.store_order_ids[number]).order_by("pk")[line].line_id
    return fulfilment_services.mark_found(
        store_order_id=offered.store_order_ids[number],
        line_id=line_id,
        shopper_id=shopper or offered.shopper_id,
        quantity=Decimal(quantity),
        now=at,
    )


def check_out(offered, number=0, *, at=NOW):
    find(offered, 0, 2, number=number, at=at)
    find(offered, 1, "2.5", number=number, at=at)
    fulfilment_services.check_out(store_order_id=offered.store_order_ids[number], shopper_id=offered.shopper_id, now=at)


def bring(offered, number=0, *, at=NOW):
    store_order_id = offered.store_order_ids[number]
    fulfilment_services.start_delivery(store_order_id=store_order_id, shopper_id=offered.shopper_id, now=at)
    StoreOrder.objects.filter(pk=store_order_id).update(status="delivered", delivered_at=at)  # there is no real order
    services.finish_order(store_id=offered.store.id, store_order_id=store_order_id, now=at)


def events(offered):
    alias = sharding.alias_for("store", offered.store.id)
    return [message.name for message in OutboxMessage.objects.using(alias).order_by("pk")]


def test_a_silent_shoppers_orders_wait_again_with_what_was_picked():
    offered = make_accepted(orders=2)
    begin(offered, at=NOW + MINUTE)
    find(offered, 0, 2, at=NOW + 2 * MINUTE)
    assert sweep(offered, NOW + 2 * MINUTE + SILENCE - timedelta(seconds=1)) == 0
    assert [status for status, *_ in orders(offered)] == ["picking", "assigned"]
    assert sweep(offered, NOW + 2 * MINUTE + SILENCE) == 1
    assert sweep(offered, NOW + 2 * MINUTE + SILENCE) == 0
    assert orders(offered) == [("waiting", None, 1, 2), ("waiting", None, 0, 0)]
    assert (batch(offered).status, batch(offered).shopper_id) == ("open", None)
    assert events(offered).count("dispatch.batch_reopened") == 1
    with pytest.raises(errors.StoreOrderNotFound):
        find(offered, 1, "2.5")
    (order, _) = sorted(
        fulfilment.store_orders(store_order_ids=offered.store_order_ids).values(), key=lambda order: order.id
    )
    assert [(line.status, line.found_quantity) for line in order.lines] == [("found", 2), ("not_picked", 0)]


@pytest.mark.parametrize("sign", ["position", "line", "other order"])
def test_any_sign_of_life_leaves_the_shopper_the_batch(sign):
    offered = make_accepted(orders=2)
    begin(offered)
    late = NOW + SILENCE
    if sign == "position":
        shopper_services.report_position(shopper_id=offered.shopper_id, point=offered.store.point, now=NOW + MINUTE)
    else:
        begin(offered, number=1, at=NOW + MINUTE) if sign == "other order" else find(offered, 0, 1, at=NOW + MINUTE)
    assert sweep(offered, late) == 0
    assert {shopper_id for _, shopper_id, *_ in orders(offered)} == {offered.shopper_id}
    assert sweep(offered, late + MINUTE) == 1


def test_nobody_is_relieved_whose_own_shard_is_away(monkeypatch):
    offered = make_accepted()
    begin(offered)
    using = models_of_shoppers.Shopper.objects.using

    def away(alias):
        if alias == home:
            raise sharding.ShardUnavailable(alias, "away")
        return using(alias)

    home = sharding.alias_for("shopper", offered.shopper_id)
    with monkeypatch.context() as patched:
        patched.setattr(models_of_shoppers.Shopper.objects, "using", away)
        assert sweep(offered, NOW + SILENCE) == 0
    assert [status for status, *_ in orders(offered)] == ["picking"]
    assert sweep(offered, NOW + SILENCE) == 1


def test_who_never_began_is_relieved_of_it_as_soon():
    offered = make_accepted()
    assert sweep(offered, NOW + SILENCE) == 1
    assert (orders(offered), batch(offered).status) == ([("waiting", None, 0, 0)], "open")


def test_what_is_paid_for_stays_and_the_rest_leaves_the_batch():
    offered = make_accepted(orders=2)
    begin(offered), check_out(offered)
    begin(offered, number=1)
    assert sweep(offered, NOW + SILENCE) == 1
    assert [row[:2] for row in orders(offered)] == [("checkout", offered.shopper_id), ("waiting", None)]
    assert (batch(offered).status, batch(offered).shopper_id) == ("picking", offered.shopper_id)
    assert "dispatch.batch_reopened" not in events(offered)
    again = make_shopper(offered.store.zone_id, point=offered.store.point, now=NOW + SILENCE)
    services.plan(zone_id=offered.store.zone_id, now=NOW + SILENCE)
    (offer,) = selectors.offers_of(shopper_id=again, now=NOW + SILENCE)
    assert (offer.batch_id != offered.batch_id, offer.order_count) == (True, 1)


def test_what_was_delivered_is_paid_to_who_delivered_it():
    offered = make_accepted(orders=2)
    begin(offered), check_out(offered), bring(offered)
    begin(offered, number=1)
    assert sweep(offered, NOW + SILENCE) == 1
    assert (batch(offered).status, batch(offered).shopper_id) == ("completed", offered.shopper_id)
    assert events(offered).count("dispatch.batch_completed") == 1


def test_the_next_shopper_goes_on_from_there_and_earns_the_batch():
    offered = make_accepted()
    begin(offered), find(offered, 0, 2)
    late = NOW + SILENCE
    pay = batch(offered).pay_cents
    second = make_shopper(offered.store.zone_id, point=offered.store.point, now=late)
    with clock.shifted_to(late):
        tasks.sweep()
    (waiting,) = fulfilment.waiting(store_ids=[offered.store.id], now=late)
    assert (waiting.lines_done, waiting.units_done) == (1, 2)
    services.plan(zone_id=offered.store.zone_id, now=late)
    (offer,) = selectors.offers_of(shopper_id=second, now=late)
    assert (offer.batch_id, offer.pay.cents) == (offered.batch_id, pay)
    services.accept(offer_id=offer.id, shopper_id=second, now=late)
    fulfilment_services.start_picking(store_order_id=offered.store_order_ids[0], shopper_id=second, now=late)
    find(offered, 1, "2.4", at=late, shopper=second)
    assert fulfilment_services.check_out(store_order_id=offered.store_order_ids[0], shopper_id=second, now=late)
    services.finish_order(store_id=offered.store.id, store_order_id=offered.store_order_ids[0], now=late)
    assert (batch(offered).status, batch(offered).shopper_id) == ("completed", second)


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_of_a_late_mark_and_the_sweep_one_comes_first_and_the_other_gives_way():
    late = NOW + SILENCE
    for round_number in range(4):
        offered = make_accepted()
        begin(offered)

        def mark(offered=offered):
            try:
                return f"marked {find(offered, 0, 2, at=late)}"
            except errors.StoreOrderNotFound:
                return "gone"

        jobs = [mark, lambda offered=offered: f"taken back {sweep(offered, late)}"]
        said = at_once(jobs if round_number % 2 else jobs[::-1])
        ((status, shopper_id, *_),) = orders(offered)
        if said["taken back 1"]:
            assert said == {"taken back 1": 1, "gone": 1}
            assert (status, shopper_id, batch(offered).status) == ("waiting", None, "open")
        else:
            assert said == {"taken back 0": 1, "marked True": 1}
            assert (status, shopper_id, batch(offered).status) == ("picking", offered.shopper_id, "picking")
