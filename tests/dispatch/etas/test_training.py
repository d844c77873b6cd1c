"""``train_etas`` on finished batches of several shards, with errors that the test makes itself."""

import math
import random
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

import sharding
from apps.common import clock
from apps.common.geo import Point
from apps.dispatch import finished, models
from apps.dispatch.etas import domain, history, predicting, stored, training
from apps.dispatch.etas.domain import Components, Interval, Stage
from apps.fulfilment import models as fulfilment_models
from tests.dispatch.factories import Dropped, make_completed_batch
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)
NOON_IN_OHIO = datetime(2026, 5, 3, 16, 0, tzinfo=UTC)
DOORS = (Point(39.97, -82.99), Point(39.98, -82.98))
ROUTE = Components(in_store=12.0, drive=6.0, hand_over=2.0)


def make_finished(store, *, assigned, slow=1.0, orders=1, late=False):
    """A delivered batch whose every minute took ``slow`` times what the components say; the ids of its orders."""
    doors, units, lines = DOORS[:orders], 12 * orders, 4 * orders

    def at(stage, count):
        left = domain.components(
            stage, lines_left=lines, units_left=units, store=store.point, doors=doors[:count]
        ).minutes
        return timedelta(minutes=left * slow)

    delivered = [assigned + at(Stage.ASSIGNED, count) for count in range(1, orders + 1)]
    # Each stage begins for the batch as a whole, when so much is left until the first door.
    drops = [
        Dropped(
            door=door,
            at=there,
            window_ends_at=there + timedelta(minutes=-1 if late else 1),
            picking_started_at=delivered[0] - at(Stage.PICKING, 1),
            delivery_started_at=delivered[0] - at(Stage.DELIVERING, 1),
        )
        for door, there in zip(doors, delivered, strict=True)
    ]
    return make_completed_batch(store, drops, accepted_at=assigned)


def read(since=NOON_IN_OHIO - timedelta(days=1), most=1000):
    told = [
        order
        for alias in sharding.aliases("store")
        for order in history.orders(using=alias, since=since, most_batches=most)
    ]
    return sorted(told, key=lambda order: order.delivered_at)


def test_each_stage_of_a_batch_of_two_is_one_sample_an_order():
    make_finished(make_store(), assigned=NOON_IN_OHIO, orders=2, slow=1.5)
    first, second = read()
    assert [sample.stage for sample in first.samples] == list(Stage)
    for order in (first, second):
        for sample in order.samples:
            assert sample.error == pytest.approx(0.5)
            assert (sample.hour, sample.orders_at_store) == (12, 2) or sample.stage != Stage.ASSIGNED
        assert order.is_in_window
    both = domain.components(Stage.ASSIGNED, lines_left=8, units_left=24, store=make_store().point, doors=DOORS).minutes
    assert second.samples[0].predicted == pytest.approx(both)


def test_how_busy_a_store_was_is_counted_at_that_store_at_that_time():
    here, there = make_store(), make_store()
    for minutes in (0, 1, 2, 300):
        make_finished(here, assigned=NOON_IN_OHIO + timedelta(minutes=minutes))
    make_finished(there, assigned=NOON_IN_OHIO + timedelta(minutes=2))
    loads = sorted(
        (order.delivered_at, next(s.orders_at_store for s in order.samples if s.stage == Stage.ASSIGNED))
        for order in read()
    )
    assert [load for _, load in loads] in ([1, 2, 3, 1, 1], [1, 2, 1, 3, 1])


def test_chunks_lose_and_double_nothing(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(finished, "CHUNK", 2)
    store = make_store()
    for hours in range(5):
        make_finished(store, assigned=NOON_IN_OHIO + timedelta(hours=hours))
    assert len({order.delivered_at for order in read()}) == len(read()) == 5
    assert len(read(most=3)) == 3
    assert len(read(since=NOON_IN_OHIO + timedelta(hours=2))) == 3
    alias = sharding.home("store", store.id).alias
    with django_assert_num_queries(4, using=alias):  # batches and none left; stops, orders; the store is global
        monkeypatch.setattr(finished, "CHUNK", 500)
        history.orders(using=alias, since=NOON_IN_OHIO, most_batches=1000)


def test_a_batch_under_way_or_with_an_order_undelivered_teaches_nothing():
    store = make_store()
    make_finished(store, assigned=NOON_IN_OHIO)
    models.Batch.objects.filter(store_id=store.id).update(status="picking")
    assert read() == []
    [order_id] = make_finished(store, assigned=NOON_IN_OHIO)
    fulfilment_models.StoreOrder.objects.filter(pk=order_id).update(status="delivering", delivered_at=None)
    assert read() == []


@pytest.fixture
def history_of_two_stores():
    """240 orders of two shards, a third slower than the components say, give or take."""
    chance = random.Random(8)  # noqa: S311 (repeats by its seed)
    here = make_store()
    home = sharding.alias_for("store", here.id)
    there = next(store for store in iter(make_store, None) if sharding.alias_for("store", store.id) != home)
    for number in range(240):
        slow = 1.33 * math.exp(chance.gauss(0, 0.2))
        assigned = NOW - timedelta(days=10) + timedelta(minutes=50 * number)
        make_finished((here, there)[number % 2], assigned=assigned, slow=slow, late=number % 4 == 0)


def test_trained_on_all_shards_stored_and_used(history_of_two_stores):
    without = Interval(earliest=12.0, likely=20.0, latest=40.0)
    assert predicting.interval(Stage.PICKING, ROUTE, hour=12, orders_at_store=1) == without
    out = StringIO()
    with clock.shifted_to(NOW):
        call_command("train_etas", stdout=out)
    row = models.EtaModel.objects.get()
    assert (row.orders, set(row.calibration)) == (192, {"assigned", "picking", "delivering"})
    assert abs(row.trained_at - NOW) < timedelta(minutes=1)
    for figures in row.calibration.values():
        assert figures["orders"] == 48
        assert 0.68 <= figures["inside"] <= 0.92  # of 48 orders: two standard errors
        assert figures["off_minutes"] < figures["components_off_minutes"]
    lines = out.getvalue().splitlines()
    assert lines[0] == f"Model {row.pk}, from 192 finished orders."
    assert lines[1] == "Of 48 later ones, 75.0% were delivered inside their delivery window."
    assert [line.split(":")[0] for line in lines[2:]] == [f"ETAs told when {stage}" for stage in Stage]
    assert f"{row.calibration['picking']['inside']:.1%} inside the interval of 80 %" in lines[3]
    told = predicting.interval(Stage.PICKING, ROUTE, hour=12, orders_at_store=1)
    assert told.likely == pytest.approx(20 * 1.33, rel=0.12)
    assert 13 < told.earliest < 24 < told.likely < 30 < told.latest < 42


def test_trained_again_is_a_version_more(history_of_two_stores):
    first = training.train(now=NOW, days=28)
    second = training.train(now=NOW, days=28)
    assert first.version is not None
    assert second.version == first.version + 1
    assert models.EtaModel.objects.count() == 2
    assert (first.calibration, first.in_window) == (second.calibration, second.in_window)


def test_too_few_orders_store_nothing():
    make_finished(make_store(), assigned=NOON_IN_OHIO)
    with clock.shifted_to(NOW), pytest.raises(CommandError, match=r"^Only 1 finished orders in 28 days; 50 are needed"):
        call_command("train_etas")
    assert not models.EtaModel.objects.exists()


def test_a_model_is_the_same_after_the_database(django_assert_num_queries):
    samples = [
        domain.Sample(stage=stage, hour=n % 24, orders_at_store=n % 13, predicted=30.0, actual=20.0 + n % 31)
        for n in range(900)
        for stage in Stage
    ]
    model = domain.Model.fitted(samples)
    assert len(model.stretches) == 3
    stored.save(model, orders=900, calibration={}, now=NOW)
    stored.forget()
    with django_assert_num_queries(1):
        assert stored.newest() == model
        assert stored.newest() == model
