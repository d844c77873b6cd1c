"""ETAs of a batch at each stage, to the second, and who sees them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

import sharding
from apps.common import clock, outbox
from apps.common.geo import Point
from apps.dispatch import models, selectors, services
from apps.dispatch.etas import stored
from apps.dispatch.etas.domain import Errors, Model, Stage
from apps.dispatch.types import Eta
from apps.fulfilment import models as fulfilment_models
from apps.payments import gateway
from apps.stores import selectors as stores
from apps.web import wording
from cython_ext.dispatch import travel
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.dispatch.test_rest import app, call
from tests.orders.factories import MORNING, make_placed_order
from tests.orders.provider import Provider
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(databases="__all__")

GUESSED = (-0.4, 0.0, 1.0)
TAUGHT = (-0.13, 0.18, 0.55)
"""Ninety orders' (-0.1, 0.2, 0.5) and ten of what is guessed."""


SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def provider():
    with gateway.replaced_by(Provider()):
        yield


@pytest.fixture
def taught():
    stages = {stage: Errors(90, (-0.1, 0.2, 0.5)) for stage in Stage}
    stored.save(Model(stages), orders=90, calibration={}, now=NOW)


def expected(taken, stage, since, doors, errors):
    """By an arithmetic of the test's own: two lines and five units an order, a kilometre and some to the first door."""
    door = Point(taken.store.point.lat + 0.01, taken.store.point.lng)
    orders = len(taken.store_order_ids)
    leg = 111 + 76 * travel.metres((taken.store.point.lat, taken.store.point.lng), (door.lat, door.lng)) / 1000
    seconds = leg + 111 * (doors - 1) + 150 * doors
    if stage != Stage.DELIVERING:
        units = sum(
            fulfilment_models.StoreOrder.objects.filter(pk__in=taken.store_order_ids).values_list(
                "unit_count", flat=True
            )
        )
        seconds += 300 + 45 * 2 * orders + 8 * units
    if stage == Stage.ASSIGNED:
        seconds += 600
    earliest, likely, latest = (since + timedelta(seconds=seconds * (1 + error)) for error in errors)
    return Eta(earliest=earliest, likely=likely, latest=latest)


def is_about(told, wanted):
    return all(
        abs(getattr(told, name) - getattr(wanted, name)) < SECOND / 100 for name in ("earliest", "likely", "latest")
    )


def etas(taken):
    """In the sequence of the doors."""
    drops = models.BatchStop.objects.filter(batch_id=taken.batch_id, kind="drop").order_by("sequence")
    order_ids = drops.values_list("order_id", flat=True)
    return [selectors.eta(store=taken.store, order_id=order_id) for order_id in order_ids]


def enter(taken, column, status, at):
    rows = fulfilment_models.StoreOrder.objects.filter(pk__in=taken.store_order_ids)
    rows.update(status=status, **{column: at})


@pytest.mark.parametrize("errors", [GUESSED, TAUGHT])
def test_each_stage_tells_for_each_door_from_when_it_began(errors, request):
    if errors is TAUGHT:
        request.getfixturevalue("taught")
    taken = make_accepted(orders=2)
    for stage, column, status, minutes in (
        (Stage.ASSIGNED, None, None, 0),
        (Stage.PICKING, "picking_started_at", "picking", 9),
        (Stage.DELIVERING, "delivery_started_at", "delivering", 30),
    ):
        since = NOW + timedelta(minutes=minutes)
        if column:
            enter(taken, column, status, since)
        told = etas(taken)
        assert len(told) == 2
        for doors, eta in enumerate(told, start=1):
            assert is_about(eta, expected(taken, stage, since, doors, errors)), (stage, doors)


def test_what_an_earlier_shopper_has_picked_is_not_picked_again():
    taken = make_accepted()
    (before,) = etas(taken)
    rows = fulfilment_models.StoreOrder.objects.filter(pk__in=taken.store_order_ids)
    rows.update(lines_done=1, units_done=2)
    (after,) = etas(taken)
    assert before.likely - after.likely == timedelta(seconds=45 + 8 * 2)


def test_there_is_none_before_a_shopper_has_it_and_after_the_door():
    offered = make_offer()
    order_id = models.BatchStop.objects.filter(batch_id=offered.batch_id).values_list("order_id", flat=True)[0]
    assert selectors.eta(store=offered.store, order_id=order_id) is None
    assert selectors.eta(store=offered.store, order_id=1) is None

    taken = make_accepted(orders=2)
    first, second = models.BatchStop.objects.filter(batch_id=taken.batch_id, kind="drop").order_by("sequence")
    enter(taken, "delivery_started_at", "delivering", NOW)
    before = etas(taken)
    first_row = fulfilment_models.StoreOrder.objects.filter(pk=first.store_order_id)
    first_row.update(status="delivered", delivered_at=NOW + timedelta(minutes=5))
    models.BatchStop.objects.filter(pk=first.pk).update(state="done")
    assert selectors.eta(store=taken.store, order_id=first.order_id) is None
    assert etas(taken) == [None, before[1]]
    assert selectors.eta(store=taken.store, order_id=second.order_id) == before[1]


def test_the_load_and_the_hour_of_the_store_count():
    """A cell of the model: noon in Ohio, three orders with shoppers."""
    cell = (Stage.ASSIGNED, 12, 1)
    model = Model({Stage.ASSIGNED: Errors(90, (-0.1, 0.2, 0.5))}, {cell: Errors(30, (0.0, 1.0, 2.0))})
    stored.save(model, orders=90, calibration={}, now=NOW)
    alone = make_accepted()
    assert is_about(etas(alone)[0], expected(alone, Stage.ASSIGNED, NOW, 1, TAUGHT))
    busy = make_accepted(orders=3)
    half = tuple((own + other) / 2 for own, other in zip((0.0, 1.0, 2.0), TAUGHT, strict=True))
    told = etas(busy)
    assert [is_about(eta, expected(busy, Stage.ASSIGNED, NOW, n, half)) for n, eta in enumerate(told, start=1)] == [
        True
    ] * 3


@pytest.mark.parametrize("orders", [1, 3])
def test_the_questions_do_not_grow_with_the_batch(orders):
    taken = make_accepted(orders=orders)
    order_id = models.BatchStop.objects.filter(batch_id=taken.batch_id).values_list("order_id", flat=True)[0]
    for number in (7, 6):  # the model is read once
        with counted() as queries:
            assert selectors.eta(store=taken.store, order_id=order_id) is not None
        assert queries.total == number


def test_the_order_page_and_the_shoppers_app_show_it():
    with clock.shifted_to(MORNING):
        order = make_placed_order()
        store = stores.store(store_id=order.store_id)
        shopper = make_shopper(store.zone_id, point=store.point, now=MORNING)
        browser, page = signed_in(order.customer_id), f"/orders/{order.id}/live/"
        assert "arrival" not in browser.get(page).content.decode()

        services.plan(zone_id=store.zone_id, now=MORNING)
        (offer,) = selectors.offers_of(shopper_id=shopper, now=MORNING)
        services.accept(offer_id=offer.id, shopper_id=shopper, now=MORNING)
        outbox.drain()

        stops = call(app(shopper), "get", "shopper/batch").json()["batch"]["stops"]
        assert [stop["eta"] is None for stop in stops] == [True, False]
        told = {name: datetime.fromisoformat(moment) for name, moment in stops[1]["eta"].items()}
        assert selectors.eta(store=store, order_id=order.id) == Eta(**told)
        likely = told["likely"] - MORNING
        assert (told["earliest"] - MORNING, told["latest"] - MORNING) == (
            pytest.approx(likely * 0.6, abs=SECOND),
            2 * likely,
        )

        said = wording.arrival(Eta(**told), MORNING, ZoneInfo(store.timezone))
        with counted() as queries:
            text = browser.get(page).content.decode()
        assert f'<p class="arrival"><strong>{said.likely}</strong> {said.detail}</p>' in text
        assert queries.by_alias[sharding.alias_for("store", store.id)] == 6

    with clock.shifted_to(told["latest"] + timedelta(minutes=1)):
        assert "Any minute now" in browser.get(page).content.decode()
