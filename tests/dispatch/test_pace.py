"""How long shoppers take in the store, from finished batches to the next plan."""

from dataclasses import replace
from datetime import timedelta

import pytest

from apps.common import outbox
from apps.dispatch import models, services
from apps.fulfilment.models import StoreOrder
from apps.shoppers import models as shopper_models
from apps.shoppers import selectors as shoppers
from tests.dispatch.factories import NOW, make_accepted
from tests.dispatch.test_zone_plan import order, propose
from tests.dispatch.test_zone_plan import shoppers as people

MINUTE = timedelta(minutes=1)


def finish(offered, *, began=(0, 4), ended=(9, 16), **changes):
    """Two orders of two lines and three units each, picked one beside the other."""
    for store_order_id, begun_after, ended_after in zip(offered.store_order_ids, began, ended, strict=True):
        times = {"picking_started_at": NOW + begun_after * MINUTE, "picked_at": NOW + ended_after * MINUTE}
        StoreOrder.objects.filter(pk=store_order_id).update(
            **({"status": "delivered", "delivered_at": NOW + 40 * MINUTE} | times | changes)
        )
        services.finish_order(store_id=offered.store.id, store_order_id=store_order_id, now=NOW + 40 * MINUTE)


def picks(offered):
    rows = shopper_models.Pick.objects.filter(shopper_id=offered.shopper_id)
    return list(rows.values_list("batch_id", "minutes", "expected_minutes", "picked_at"))


@pytest.mark.django_db(databases="__all__")
def test_a_finished_batch_tells_its_shoppers_pace_once():
    offered = make_accepted(orders=2)
    finish(offered)
    told = {"batch_id": offered.batch_id, "shopper_id": offered.shopper_id}
    assert (services.tell_pick(**told), services.tell_pick(**told)) == (True, False)
    expected = 5 + 4 * 0.75 + 6 * 8 / 60
    assert picks(offered) == [(offered.batch_id, 16.0, pytest.approx(expected), NOW + 16 * MINUTE)]
    ratio = 16 / expected
    assert shoppers.shopper(shopper_id=offered.shopper_id).pace == pytest.approx((ratio + 10) / 11)


@pytest.mark.django_db(databases="__all__")
def test_what_an_earlier_shopper_had_picked_is_not_expected():
    offered = make_accepted(orders=2)
    finish(offered, lines_done=1, units_done=2)
    services.tell_pick(batch_id=offered.batch_id, shopper_id=offered.shopper_id)
    assert picks(offered)[0][2] == pytest.approx(5 + 2 * 0.75 + 2 * 8 / 60)


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(
    "unknown",
    [{"picking_started_at": None}, {"picked_at": None}, {"picked_at": NOW}, {"picked_at": NOW + 600 * MINUTE}],
)
def test_times_that_say_nothing_are_left_out(unknown):
    offered = make_accepted(orders=2)
    finish(offered, **unknown)
    assert services.tell_pick(batch_id=offered.batch_id, shopper_id=offered.shopper_id) is False
    assert picks(offered) == []
    assert shoppers.shopper(shopper_id=offered.shopper_id).pace == 1.0


@pytest.mark.django_db(databases="__all__")
def test_word_of_the_completion_measures(monkeypatch):
    offered = make_accepted(orders=2)
    finish(offered)
    assert models.Batch.objects.get(pk=offered.batch_id).status == "completed"
    measured = []
    monkeypatch.setattr(services, "tell_pick", lambda **told: measured.append(told))
    outbox.drain()
    assert measured == [{"batch_id": offered.batch_id, "shopper_id": offered.shopper_id}]


def test_the_plan_reckons_with_each_ones_pace():
    one = order(line_count=20, unit_count=20)
    (usual,), (fast,) = people(0), [replace(people(0)[0], pace=0.5)]
    trips = [propose([one], [who]).matches[0].why.minutes for who in (usual, fast)]
    assert trips[0] - trips[1] == pytest.approx((20 * 0.75 + 20 * 8 / 60) / 2, abs=0.02)
    both = propose([one], [replace(usual, shopper_id=2), replace(fast, shopper_id=3)])
    assert [match.shopper_id for match in both.matches] == [3]
