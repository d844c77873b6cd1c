"""An operator decides, and the planner keeps to it from its very next turn on."""

from datetime import timedelta

import pytest

import sharding
from apps.common.geo import Point
from apps.common.models import OutboxMessage
from apps.dispatch import models, selectors, services
from apps.dispatch.errors import OfferGone, OverrideInvalid, OverrideNotFound, OverrideRefused
from apps.dispatch.services import planning
from apps.dispatch.steering.models import Override
from apps.dispatch.types import By
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.shoppers import selectors as shoppers
from apps.shoppers import services as shopper_services
from tests.dispatch.factories import NOW, make_accepted, make_offer
from tests.fulfilment.factories import a_line, make_waiting_store_order
from tests.queries import counted
from tests.shoppers.factories import make_shopper
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")


def by(minutes=None, at=NOW, reason="The customer called"):
    until = None if minutes is None else at + timedelta(minutes=minutes)
    return By(operator_id=41, reason=reason, now=at, until=until)


def plan(store, now=NOW):
    return services.plan(zone_id=store.zone_id, now=now)


def later(**passed):
    return NOW + timedelta(**passed)


def near(store, metres=1_000):
    return Point(store.point.lat + metres / 111_195, store.point.lng)


def live(store):
    rows = models.Offer.objects.filter(store_id=store.id, status="sent").order_by("pk")
    return [(row.shopper_id, members(row.batch_id)) for row in rows]


def members(batch_id):
    stops = models.BatchStop.objects.filter(batch_id=batch_id, kind="drop", state="pending")
    return set(stops.values_list("store_order_id", flat=True))


def told(store_order_id, now=NOW):
    return [(one.kind, one.outcome) for one in selectors.steered_order(store_order_id=store_order_id, now=now).history]


@pytest.fixture
def store():
    return make_store(zone=f"Zone of {make_store().id}")


@pytest.fixture
def order(store):
    return make_waiting_store_order(store=store, drop=near(store))


def test_an_assigned_order_is_offered_to_the_one_shopper_and_says_so(store, order):
    make_shopper(store.zone_id, point=store.point)
    chosen = make_shopper(store.zone_id, point=near(store, 4_000))
    assert services.assign(store_id=store.id, store_order_ids=[order], shopper_id=chosen, by=by()) is True
    assert live(store) == [(chosen, {order})]
    (offer,) = selectors.offers_of(shopper_id=chosen, now=NOW)
    assert offer.pay.cents == 500 + 2 * 15 + 3 * 5 + 60  # as the planner pays: two lines, three units, 1 km
    assert offer.distance_m == pytest.approx(5_000, abs=10)
    why = selectors.why(batch_id=offer.batch_id)
    assert (why.by_operator, why.alternatives) == ("The customer called", {})
    assert why.drive_minutes == pytest.approx(5_000 * 76 / 60_000, abs=0.02)
    assert told(order) == [("assign", "offered")]
    assert plan(store).offers_sent == 0
    services.decline(offer_id=offer.id, shopper_id=chosen, now=NOW)  # his to decline; the batch goes on to others
    assert plan(store).offers_sent == 1
    assert live(store)[0][0] != chosen


def test_orders_far_apart_are_assigned_together_as_one_batch(store):
    chosen = make_shopper(store.zone_id, point=store.point)
    make_shopper(store.zone_id, point=store.point)
    orders = [make_waiting_store_order(store=store, drop=near(store, metres)) for metres in (8_000, -8_000)]
    services.assign(store_id=store.id, store_order_ids=orders, shopper_id=chosen, by=by())
    assert live(store) == [(chosen, set(orders))]
    (offer,) = selectors.offers_of(shopper_id=chosen, now=NOW)
    services.accept(offer_id=offer.id, shopper_id=chosen, now=NOW)
    assert {row.shopper_id for row in fulfilment.store_orders(store_order_ids=orders).values()} == {chosen}


def test_what_a_crash_left_undone_the_next_turn_does_before_its_plan(store, order, monkeypatch):
    nearer, chosen = (make_shopper(store.zone_id, point=near(store, metres)) for metres in (0, 3_000))
    offer = planning.offer
    monkeypatch.setattr(planning, "offer", lambda *details: (_ for _ in ()).throw(RuntimeError("killed")))
    with pytest.raises(RuntimeError):
        services.assign(store_id=store.id, store_order_ids=[order], shopper_id=chosen, by=by())
    assert (live(store), told(order)) == ([], [("assign", "")])
    monkeypatch.setattr(planning, "offer", offer)
    report = plan(store, later(seconds=3))
    assert (report.offers_sent, report.held) == (1, {})
    assert live(store) == [(chosen, {order})]
    assert shoppers.live_assignment(shopper_id=nearer) is None


def test_what_is_assigned_to_somebody_busy_meanwhile_is_held_for_him_and_ends(store, order, monkeypatch):
    chosen = make_shopper(store.zone_id, point=store.point)
    monkeypatch.setattr(planning, "offer", lambda *details: False)
    assert services.assign(store_id=store.id, store_order_ids=[order], shopper_id=chosen, by=by()) is False
    monkeypatch.undo()
    shopper_services.go_offline(shopper_id=chosen)
    make_shopper(store.zone_id, point=store.point)
    assert plan(store).held == {"assigned_by_operator": 1}
    assert live(store) == []
    late = later(minutes=2)  # the usual 15 minutes are not over
    assert plan(store, late).held == {"assigned_by_operator": 1}
    other = make_shopper(store.zone_id, point=store.point, now=later(minutes=15))
    assert plan(store, later(minutes=15)).offers_sent == 1
    assert live(store) == [(other, {order})]


@pytest.mark.parametrize(
    ("orders", "lines", "vehicle", "refusal"),
    [
        (4, 1, "car", "4 orders are more than one shopper takes; 3 at most."),
        (2, 8, "foot", r"32 units do not fit: shopper \d+ takes 12 \(foot\). Choose fewer orders, or another shopper."),
        (1, 8, "foot", "16 units do not fit"),
        (2, 20, "car", "80 units do not fit"),
    ],
)
def test_a_load_that_does_not_fit_is_refused(store, orders, lines, vehicle, refusal):
    shopper = make_shopper(store.zone_id, point=store.point)
    shopper_services.register(user_id=shopper, name="Ada", zone_id=store.zone_id, vehicle=vehicle, now=NOW)
    lines = [a_line(number) for number in range(lines)]
    ids = [make_waiting_store_order(store=store, drop=near(store), lines=lines) for _ in range(orders)]
    with pytest.raises(OverrideRefused, match=refusal):
        services.assign(store_id=store.id, store_order_ids=ids, shopper_id=shopper, by=by())
    assert (live(store), [told(one) for one in ids]) == ([], [[]] * orders)
    assert shoppers.live_assignment(shopper_id=shopper) is None


def test_an_order_of_more_than_a_car_holds_goes_alone(store):
    shopper = make_shopper(store.zone_id, point=store.point)
    big = make_waiting_store_order(store=store, drop=near(store), lines=[a_line(number) for number in range(31)])
    assert services.assign(store_id=store.id, store_order_ids=[big], shopper_id=shopper, by=by()) is True


def test_who_cannot_be_asked_is_told_apart(store, order):
    offline = make_shopper(store.zone_id, online=False)
    elsewhere = make_shopper(make_store(zone="Elsewhere").zone_id)
    asked = make_offer(store=store).shopper_id
    at_work = make_offer(store=store)
    services.accept(offer_id=at_work.offer_id, shopper_id=at_work.shopper_id, now=NOW)
    shopper_services.mark_accepted(shopper_id=at_work.shopper_id, batch_id=at_work.batch_id, offer_id=at_work.offer_id)
    late = make_waiting_store_order(store=store, drop=near(store))
    for shopper, refusal in (
        (offline, "is offline, paused, or was not heard of lately"),
        (elsewhere, "works in another zone"),
        (asked, "is being asked for batch"),
        (at_work.shopper_id, "is at work on batch"),
        (999, "There is no shopper 999"),
    ):
        with pytest.raises(OverrideRefused, match=refusal):
            services.assign(store_id=store.id, store_order_ids=[late], shopper_id=shopper, by=by())
    assert told(late) == []


def test_only_orders_of_the_store_that_wait_are_assigned(store, order):
    shopper = make_shopper(store.zone_id, point=store.point)
    foreign = make_waiting_store_order(store=make_store())
    offered = make_offer(store=store, shopper_id=shopper)
    free = make_shopper(store.zone_id, point=store.point)
    for orders in ([], [foreign], [order, foreign], [999]):
        with pytest.raises(OverrideRefused, match="A shopper has one of these orders already"):
            services.assign(store_id=store.id, store_order_ids=orders, shopper_id=free, by=by())
    with pytest.raises(OverrideRefused, match="withdraw the offer first"):
        services.assign(store_id=store.id, store_order_ids=members(offered.batch_id), shopper_id=free, by=by())
    assert live(store) == [(shopper, members(offered.batch_id))]


def test_an_order_is_kept_back_until_its_time(store, order):
    shopper = make_shopper(store.zone_id, point=store.point)
    services.keep_back(store_id=store.id, store_order_id=order, by=by(minutes=2))
    assert plan(store).held == {"held_by_operator": 1}
    assert (live(store), told(order)) == ([], [("keep_back", "")])
    assert plan(store, later(minutes=1, seconds=59)).offers_sent == 0
    assert plan(store, later(minutes=2)).offers_sent == 1
    assert live(store) == [(shopper, {order})]
    assert services.end_overrides(using=sharding.alias_for("store", store.id), now=later(minutes=2)) == 1
    assert told(order) == [("keep_back", "expired")]
    row = Override.objects.get(store_id=store.id, store_order_id=order)
    assert (row.ended_at, row.ended_by, row.operator_id) == (later(minutes=2), None, 41)


def test_an_order_that_was_kept_back_is_freed_again(store, order):
    make_shopper(store.zone_id, point=store.point)
    services.keep_back(store_id=store.id, store_order_id=order, by=by())
    (standing,) = selectors.zone_overrides(store_ids=[store.id], now=NOW)
    services.undo(override_id=standing.id, operator_id=42, now=NOW)
    assert selectors.zone_overrides(store_ids=[store.id], now=NOW) == ()
    assert plan(store).offers_sent == 1
    row = Override.objects.get(store_id=store.id)
    assert (row.outcome, row.ended_by) == ("undone", 42)
    with pytest.raises(OverrideRefused, match="It is over already"):
        services.undo(override_id=standing.id, operator_id=42, now=NOW)
    with pytest.raises(OverrideNotFound):
        services.undo(override_id=standing.id + 1, operator_id=42, now=NOW)


def test_keeping_back_again_and_assigning_replace_what_stood(store, order):
    shopper = make_shopper(store.zone_id, point=store.point)
    services.keep_back(store_id=store.id, store_order_id=order, by=by(minutes=2))
    services.keep_back(store_id=store.id, store_order_id=order, by=by(minutes=5))
    assert plan(store, later(minutes=4)).held == {"held_by_operator": 1}
    services.assign(store_id=store.id, store_order_ids=[order], shopper_id=shopper, by=by())
    assert live(store) == [(shopper, {order})]
    assert sorted(told(order)) == [("assign", "offered"), ("keep_back", "replaced"), ("keep_back", "replaced")]


def test_what_was_assigned_together_is_undone_and_replaced_together(store, monkeypatch):
    monkeypatch.setattr(planning, "offer", lambda *details: False)
    shopper = make_shopper(store.zone_id, point=store.point)
    orders = [make_waiting_store_order(store=store, drop=near(store)) for _ in range(2)]
    services.assign(store_id=store.id, store_order_ids=orders, shopper_id=shopper, by=by())
    services.undo(override_id=Override.objects.filter(store_id=store.id)[0].pk, operator_id=41, now=NOW)
    assert [told(order) for order in orders] == [[("assign", "undone")]] * 2
    services.assign(store_id=store.id, store_order_ids=orders, shopper_id=shopper, by=by(at=later(seconds=1)))
    services.keep_back(store_id=store.id, store_order_id=orders[0], by=by(at=later(seconds=2)))
    assert told(orders[1])[0] == ("assign", "replaced")
    monkeypatch.undo()
    assert plan(store, later(seconds=3)).held == {"held_by_operator": 1}
    assert live(store) == [(shopper, {orders[1]})]


def test_keeping_back_an_order_breaks_up_the_batch_that_nobody_took(store):
    offered = make_offer(store=store, orders=2)
    with pytest.raises(OverrideRefused, match="withdraw the offer first"):
        services.keep_back(store_id=store.id, store_order_id=offered.store_order_ids[0], by=by())
    services.decline(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW)
    services.keep_back(store_id=store.id, store_order_id=offered.store_order_ids[0], by=by())
    assert models.Batch.objects.get(pk=offered.batch_id).status == "canceled"
    other = make_shopper(store.zone_id, point=store.point)
    shopper_services.go_offline(shopper_id=offered.shopper_id)
    assert plan(store).offers_sent == 1
    assert live(store) == [(other, {offered.store_order_ids[1]})]


def test_a_pinned_batch_stays_together(store):
    offered = make_offer(store=store, orders=2)
    services.pin(batch_id=offered.batch_id, by=by())
    services.withdraw(batch_id=offered.batch_id, by=by())
    assert models.Batch.objects.get(pk=offered.batch_id).status == "open"
    with pytest.raises(OverrideRefused, match=f"The orders of batch {offered.batch_id} are kept together; undo that"):
        services.keep_back(store_id=store.id, store_order_id=offered.store_order_ids[0], by=by())
    other = make_shopper(store.zone_id, point=near(store, 3_000))
    assert plan(store).offers_sent == 1
    assert live(store) == [(other, set(offered.store_order_ids))]
    pin = next(one for one in selectors.zone_overrides(store_ids=[store.id], now=NOW) if one.kind == "pin")
    services.undo(override_id=pin.id, operator_id=41, now=NOW)
    services.withdraw(batch_id=offered.batch_id, by=by(at=later(seconds=1)))
    assert models.Batch.objects.get(pk=offered.batch_id).status == "canceled"
    with pytest.raises(OverrideRefused, match="has got on meanwhile"):
        services.pin(batch_id=offered.batch_id, by=by())


def test_an_offer_is_withdrawn_and_its_shopper_not_asked_again_for_a_while(store):
    offered = make_offer(store=store, orders=2)
    services.withdraw(batch_id=offered.batch_id, by=by(minutes=10))
    with pytest.raises(OfferGone):
        services.accept(offer_id=offered.offer_id, shopper_id=offered.shopper_id, now=NOW)
    alias = sharding.alias_for("store", store.id)
    assert OutboxMessage.objects.using(alias).filter(name="dispatch.offer_closed").count() == 1
    shopper_services.release(shopper_id=offered.shopper_id, batch_id=offered.batch_id)  # what the event does
    assert plan(store).offers_sent == 0
    other = make_shopper(store.zone_id, point=near(store, 5_000))
    assert plan(store, later(seconds=3)).offers_sent == 1
    assert live(store) == [(other, set(offered.store_order_ids))]
    with pytest.raises(OverrideRefused, match="has got on meanwhile"):
        services.withdraw(batch_id=offered.batch_id, by=by())


def test_undoing_a_withdrawal_lets_the_shopper_be_asked_again(store):
    offered = make_offer(store=store, orders=2)
    services.withdraw(batch_id=offered.batch_id, by=by())
    shopper_services.release(shopper_id=offered.shopper_id, batch_id=offered.batch_id)
    one, two = selectors.zone_overrides(store_ids=[store.id], now=NOW)
    assert {one.kind, two.kind} == {"withdraw"}
    services.undo(override_id=one.id, operator_id=41, now=NOW)
    assert plan(store).offers_sent == 1
    assert live(store) == [(offered.shopper_id, set(offered.store_order_ids))]


def test_a_forbidden_shopper_is_never_asked_and_others_are(store, order):
    nearest = make_shopper(store.zone_id, point=store.point)
    services.forbid(store_id=store.id, store_order_id=order, shopper_id=nearest, by=by())
    assert plan(store).held == {"no_skill": 1}
    other = make_shopper(store.zone_id, point=near(store, 6_000))
    second = make_waiting_store_order(store=store, drop=near(store, -3_000))
    assert plan(store).offers_sent == 2
    assert dict(live(store)) == {other: {order}, nearest: {second}}
    services.decline(offer_id=selectors.offers_of(shopper_id=other, now=NOW)[0].id, shopper_id=other, now=NOW)
    services.decline(offer_id=selectors.offers_of(shopper_id=nearest, now=NOW)[0].id, shopper_id=nearest, now=NOW)
    for shopper in (nearest, other):
        assignment = shoppers.live_assignment(shopper_id=shopper)
        shopper_services.release(shopper_id=shopper, batch_id=assignment.batch_id)
    plan(store, later(seconds=3))
    assert dict(live(store)) == {other: {second}}  # the open batch of the order is not for the nearest
    with pytest.raises(OverrideRefused, match="is not for shopper"):
        services.assign(store_id=store.id, store_order_ids=[order], shopper_id=nearest, by=by())


def test_who_is_asked_just_now_cannot_be_forbidden(store):
    offered = make_offer(store=store)
    (order,) = offered.store_order_ids
    with pytest.raises(OverrideRefused, match="is being asked for it just now"):
        services.forbid(store_id=store.id, store_order_id=order, shopper_id=offered.shopper_id, by=by())
    services.forbid(store_id=store.id, store_order_id=order, shopper_id=7, by=by())
    services.forbid(store_id=store.id, store_order_id=order, shopper_id=8, by=by())
    assert told(order) == [("forbid", "")] * 2


def test_an_accepted_batch_is_taken_back_until_picking_begins():
    taken = make_accepted(orders=2)
    services.take_back(batch_id=taken.batch_id, by=by())
    orders = fulfilment.store_orders(store_order_ids=taken.store_order_ids).values()
    assert {(order.status, order.shopper_id) for order in orders} == {("waiting", None)}
    shopper_services.release(shopper_id=taken.shopper_id, batch_id=taken.batch_id)
    assert plan(taken.store).offers_sent == 0  # he is the only one
    begun = make_accepted()
    fulfilment_services.start_picking(store_order_id=begun.store_order_ids[0], shopper_id=begun.shopper_id, now=NOW)
    with pytest.raises(OverrideRefused, match="Picking has begun"):
        services.take_back(batch_id=begun.batch_id, by=by())
    assert told(begun.store_order_ids[0]) == []
    assert models.Batch.objects.get(pk=begun.batch_id).shopper_id == begun.shopper_id


@pytest.mark.parametrize("until", [0, -1, 3 * 24 * 60])
def test_a_reason_and_a_sensible_time_are_asked_for(store, order, until):
    with pytest.raises(OverrideInvalid, match="Choose a time to come"):
        services.keep_back(store_id=store.id, store_order_id=order, by=by(minutes=until))
    for reason, refusal in ((" ", "Say why"), ("x" * 301, "Say it in 300 characters.")):
        with pytest.raises(OverrideInvalid, match=refusal):
            services.keep_back(store_id=store.id, store_order_id=order, by=by(reason=reason))
    assert told(order) == []


def test_what_an_operator_looks_at_costs_the_same_however_much_there_is(store):
    offered = make_offer(store=store)
    queries = []
    for _ in range(2):
        for order in offered.store_order_ids:
            services.forbid(store_id=store.id, store_order_id=order, shopper_id=len(queries) + 7, by=by())
        make_waiting_store_order(store=store, drop=near(store))
        with counted() as looked:
            seen = selectors.steered_order(store_order_id=offered.store_order_ids[0], now=NOW)
        queries.append(looked.total)
    assert (len(seen.history), len(seen.together), seen.batch.shopper_id) == (2, 2, offered.shopper_id)
    assert queries == [15, 15]
    assert selectors.steered_order(store_order_id=999, now=NOW) is None


def test_a_turn_asks_once_a_shard_however_many_overrides_stand(store):
    make_shopper(store.zone_id, point=store.point)
    for _ in range(2):
        make_waiting_store_order(store=store, drop=near(store))
    first, second = fulfilment.waiting(store_ids=[store.id], now=NOW)
    services.keep_back(store_id=store.id, store_order_id=first.id, by=by())
    services.forbid(store_id=store.id, store_order_id=second.id, shopper_id=7, by=by())
    with counted() as one:
        plan(store)
    offer = models.Offer.objects.get(store_id=store.id, status="sent")
    services.withdraw(batch_id=offer.batch_id, by=by())
    for shopper_id in range(8, 12):
        services.forbid(store_id=store.id, store_order_id=second.id, shopper_id=shopper_id, by=by())
    shopper_services.release(shopper_id=offer.shopper_id, batch_id=offer.batch_id)
    make_shopper(store.zone_id, point=store.point)
    with counted() as many:
        assert plan(store).offers_sent == 1
    assert many.total <= one.total + 1  # one more shopper may live on one more shard
