"""An operator and the planner, a shopper or another operator at once: one outcome, and the other is told."""

import time
from threading import Event

import pytest

import sharding
from apps.dispatch import models, selectors, services
from apps.dispatch.errors import OfferGone, OverrideRefused
from apps.dispatch.services import overriding, planning
from apps.dispatch.steering.models import Override
from apps.dispatch.types import Accepted, By
from apps.fulfilment import services as fulfilment_services
from apps.shoppers import models as shopper_models
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.fulfilment.factories import make_waiting_store_order
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

BY = By(operator_id=41, reason="The customer called", now=NOW)


@pytest.fixture
def store():
    return make_store(zone=f"Zone of {make_store().id}")


@pytest.fixture
def order(store):
    return make_waiting_store_order(store=store, drop=store.point)


def plan(store):
    return services.plan(zone_id=store.zone_id, now=NOW)


def live(store):
    rows = models.Offer.objects.filter(store_id=store.id, status="sent")
    return [row.shopper_id for row in rows]


def claimed(store):
    found = []
    for alias in sharding.aliases("shopper"):
        rows = shopper_models.Assignment.objects.using(alias).filter(store_id=store.id)
        found += rows.filter(state__in=["claimed", "offered"]).values_list("shopper_id", flat=True)
    return found


def slowly(monkeypatch, module, name):
    """Let the other one go on when this one is inside its transaction, and wait for it there."""
    inner, is_inside = getattr(module, name), Event()

    def slow(*details, **named):
        answer = inner(*details, **named)
        is_inside.set()
        time.sleep(0.2)
        return answer

    monkeypatch.setattr(module, name, slow)
    return is_inside


def after(event, work):
    assert event.wait(5)
    return work()


def keep_back(store, order):
    return services.keep_back(store_id=store.id, store_order_id=order, by=BY)


def test_an_operator_who_comes_while_an_offer_is_made_is_told(store, order, monkeypatch):
    make_shopper(store.zone_id, point=store.point)
    is_inside = slowly(monkeypatch, planning, "_make_batch")
    report, answer = answers_at_once(
        lambda i: plan(store) if i == 0 else after(is_inside, lambda: keep_back(store, order)), 2
    )
    assert report.offers_sent == 1
    assert isinstance(answer, OverrideRefused)
    assert str(answer) == "The planner has just put the order into a batch; look at the zone again."
    assert len(live(store)) == 1
    assert selectors.zone_overrides(store_ids=[store.id], now=NOW) == ()


def test_a_planner_who_comes_while_an_operator_decides_gives_way(store, order, monkeypatch):
    make_shopper(store.zone_id, point=store.point)
    is_inside = slowly(monkeypatch, overriding, "_write")
    answer, report = answers_at_once(
        lambda i: keep_back(store, order) if i == 0 else after(is_inside, lambda: plan(store)), 2
    )
    assert answer is None
    assert (report.offers_sent, report.offers_lost) == (0, 1)
    assert (live(store), claimed(store)) == ([], [])
    assert not models.Batch.objects.filter(store_id=store.id).exists()
    assert plan(store).held == {"held_by_operator": 1}


@pytest.mark.parametrize("_", range(5))
def test_assigning_and_planning_at_once_is_one_offer(store, order, _):
    nearest, chosen = (make_shopper(store.zone_id, point=store.point) for _ in range(2))

    def assign():
        return services.assign(store_id=store.id, store_order_ids=[order], shopper_id=chosen, by=BY)

    report, answer = answers_at_once(lambda i: assign() if i else plan(store), 2)
    plan(store)  # where the planner had just claimed whom the operator chose
    if isinstance(answer, OverrideRefused):
        assert (report.offers_sent, live(store)) in [(1, [nearest]), (1, [chosen])]
    else:
        assert (answer in (True, False), live(store)) == (True, [chosen])
    assert claimed(store) == live(store)


@pytest.mark.parametrize("_", range(5))
def test_of_two_operators_who_assign_an_order_one_is_heard(store, order, _):
    people = [make_shopper(store.zone_id, point=store.point) for _ in range(2)]

    def assign(i):
        return services.assign(store_id=store.id, store_order_ids=[order], shopper_id=people[i], by=BY)

    answers = answers_at_once(assign, 2)
    assert [answer is True for answer in answers].count(True) == 1
    assert live(store) == [people[answers.index(True)]] == claimed(store)
    other = answers[1 - answers.index(True)]
    assert other is False or isinstance(other, OverrideRefused)
    assert not Override.objects.filter(store_id=store.id, ended_at__isnull=True).exists()


@pytest.mark.parametrize("_", range(5))
def test_withdrawing_and_accepting_at_once_has_one_outcome(_):
    offered = make_offer()
    accepted, withdrawn = answers_at_once(
        lambda i: (
            services.withdraw(batch_id=offered.batch_id, by=BY)
            if i
            else services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW)
        ),
        2,
    )
    outcome = models.Offer.objects.get(pk=offered.offer_id).status
    batch = models.Batch.objects.get(pk=offered.batch_id).status
    if isinstance(accepted, Accepted):
        assert isinstance(withdrawn, OverrideRefused)
        assert (outcome, batch) == ("accepted", "acknowledged")
    else:
        assert isinstance(accepted, OfferGone)
        assert (withdrawn, outcome, batch) == (None, "withdrawn", "canceled")


@pytest.mark.parametrize("_", range(5))
def test_taking_back_and_beginning_at_once_has_one_outcome(_):
    taken = make_accepted()
    (order,) = taken.store_order_ids
    begun, taken_back = answers_at_once(
        lambda i: (
            services.take_back(batch_id=taken.batch_id, by=BY)
            if i
            else fulfilment_services.start_picking(store_order_id=order, shopper_id=taken.shopper_id, now=NOW)
        ),
        2,
    )
    assert isinstance(begun, Exception) != isinstance(taken_back, OverrideRefused)
    stays = isinstance(taken_back, OverrideRefused)
    batch = models.Batch.objects.get(pk=taken.batch_id)
    assert (batch.status, batch.shopper_id) == (("acknowledged", taken.shopper_id) if stays else ("canceled", None))
    assert Override.objects.filter(store_id=taken.store.id).count() == (0 if stays else 1)


def test_ten_operators_at_once_keep_an_order_back_once(store, order):
    assert answers_at_once(lambda i: keep_back(store, order), 10) == [None] * 10
    assert len(selectors.zone_overrides(store_ids=[store.id], now=NOW)) == 1
    assert Override.objects.filter(store_id=store.id, outcome="replaced").count() == 9
