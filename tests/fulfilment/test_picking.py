from datetime import timedelta
from decimal import Decimal

import pytest

import sharding
from apps.common.models import OutboxMessage
from apps.fulfilment import errors, models, selectors, services
from apps.fulfilment.types import ProofInput
from tests.fulfilment.factories import (
    NOW,
    a_line,
    make_assigned_store_order,
    make_waiting_store_order,
)
from tests.queries import counted
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

ME, OTHER = 31, 32
BEANS, BANANAS = 700_001, 700_002
PHOTO = ProofInput(kind="photo", photo=b"never looked at")


def row(store_order_id):
    return models.StoreOrder.objects.get(pk=store_order_id)


def told(store_order_id):
    """Names of the events of this order that its shard still has to tell."""
    alias = sharding.alias_of_id("store", store_order_id)
    messages = OutboxMessage.objects.using(alias).filter(payload__store_order_id=store_order_id).order_by("id")
    return list(messages.values_list("name", flat=True))


def picking(**fields):
    store_order_id = make_assigned_store_order(shopper_id=ME, **fields)
    services.start_picking(store_order_id=store_order_id, shopper_id=ME, now=NOW)
    return store_order_id


def found(store_order_id, line_id, quantity, shopper_id=ME):
    return services.mark_found(
        store_order_id=store_order_id, line_id=line_id, shopper_id=shopper_id, quantity=Decimal(quantity), now=NOW
    )


def check_out(store_order_id, shopper_id=ME):
    return services.check_out(store_order_id=store_order_id, shopper_id=shopper_id, now=NOW)


def test_a_confirmed_order_waits_with_its_lines():
    store_order_id = make_waiting_store_order()
    (waiting,) = selectors.waiting(store_ids=[row(store_order_id).store_id], now=NOW)
    assert (waiting.id, waiting.line_count, waiting.unit_count) == (store_order_id, 2, 3)
    assert [line.name for line in row(store_order_id).lines.order_by("line_id")] == ["Beans 1", "Bananas"]


def test_projecting_twice_makes_one_order_of_its_first_form():
    store = make_store()
    first = make_waiting_store_order(store=store, order_id=77)
    fields = {"store_id": store.id, "order_id": 77, "customer_id": 12, "tip_cents": 0, "now": NOW}
    again = services.project(**fields, window_starts_at=NOW, window_ends_at=NOW, drop=store.point, lines=[a_line(9)])
    assert again is None
    assert row(first).lines.count() == 2


def test_a_cancelation_that_overtakes_its_order_keeps_it_from_ever_starting():
    store = make_store()
    assert services.cancel(store_id=store.id, order_id=77, customer_id=12, now=NOW) is True
    fields = {"store_id": store.id, "order_id": 77, "customer_id": 12, "tip_cents": 0, "now": NOW}
    projected = services.project(
        **fields, window_starts_at=NOW, window_ends_at=NOW, drop=store.point, lines=[a_line(9)]
    )
    assert projected is None
    assert selectors.waiting(store_ids=[store.id], now=NOW) == ()
    assert selectors.of_order(store_id=store.id, order_id=77).status == "canceled"


def test_waiting_orders_of_many_stores_take_one_query_a_shard():
    stores = [make_store() for _ in range(4)]
    for number, store in enumerate(stores):
        for _ in range(3):
            make_waiting_store_order(store=store, window_ends_at=NOW + timedelta(hours=9 - number))
    with counted() as queries:
        waiting = selectors.waiting(store_ids=[store.id for store in stores], now=NOW)
    assert len(waiting) == 12
    assert [order.window_ends_at for order in waiting] == sorted(order.window_ends_at for order in waiting)
    assert queries.by_alias == dict.fromkeys({sharding.alias_for("store", store.id) for store in stores}, 1)


def test_a_pick_list_is_read_in_aisle_order_with_three_queries_however_long():
    lines = [a_line(number) for number in (10, 2, 33, 1)]
    store_order_id = picking(lines=lines)
    with counted() as queries:
        order = selectors.store_order(store_order_id=store_order_id, shopper_id=ME)
    assert [line.aisle for line in order.lines] == ["1", "2", "10", "33"]
    assert queries.total == 3


def test_the_whole_way_to_the_road():
    store_order_id = make_assigned_store_order(shopper_id=ME)
    assert services.start_picking(store_order_id=store_order_id, shopper_id=ME, now=NOW) is True
    assert found(store_order_id, BEANS, "2") is True
    assert (
        services.mark_refund(
            store_order_id=store_order_id, line_id=BANANAS, shopper_id=ME, reason="out_of_stock", now=NOW
        )
        is True
    )
    assert check_out(store_order_id) is True
    assert services.start_delivery(store_order_id=store_order_id, shopper_id=ME, now=NOW) is True
    order = selectors.store_order(store_order_id=store_order_id, shopper_id=ME)
    assert order.status == "delivering"
    assert [(line.status, line.found_quantity) for line in order.lines] == [("found", 2), ("to_refund", 0)]
    assert told(store_order_id) == [
        "fulfilment.order_assigned",
        "fulfilment.picking_started",
        "fulfilment.line_picked",
        "fulfilment.line_picked",
        "fulfilment.checked_out",
        "fulfilment.delivery_started",
    ]


def test_every_step_repeated_is_nothing_and_tells_nothing():
    store_order_id = picking()
    assert services.start_picking(store_order_id=store_order_id, shopper_id=ME, now=NOW) is False
    assert [found(store_order_id, BEANS, "2"), found(store_order_id, BEANS, "2.000")] == [True, False]
    found(store_order_id, BANANAS, "2.5")
    assert [check_out(store_order_id), check_out(store_order_id)] == [True, False]
    services.start_delivery(store_order_id=store_order_id, shopper_id=ME, now=NOW)
    before = told(store_order_id)
    assert services.start_delivery(store_order_id=store_order_id, shopper_id=ME, now=NOW) is False
    assert check_out(store_order_id) is False
    assert services.start_picking(store_order_id=store_order_id, shopper_id=ME, now=NOW) is False
    assert told(store_order_id) == before


def test_a_line_may_be_corrected_until_check_out():
    store_order_id = picking()
    found(store_order_id, BEANS, "2")
    found(store_order_id, BEANS, "1")
    services.mark_refund(store_order_id=store_order_id, line_id=BANANAS, shopper_id=ME, reason="other", now=NOW)
    found(store_order_id, BANANAS, "2.875")
    check_out(store_order_id)
    with pytest.raises(errors.WrongStage):
        found(store_order_id, BEANS, "2")
    lines = selectors.store_order(store_order_id=store_order_id, shopper_id=ME).lines
    assert [(line.status, line.found_quantity) for line in lines] == [("found", 1), ("found", Decimal("2.875"))]


@pytest.mark.parametrize(
    ("line_id", "quantity"), [(BEANS, "3"), (BEANS, "0"), (BEANS, "1.5"), (BANANAS, "2.876"), (BANANAS, "-1")]
)
def test_a_quantity_that_cannot_be_is_refused_and_not_written(line_id, quantity):
    store_order_id = picking()
    before = told(store_order_id)
    with pytest.raises(errors.FoundQuantityInvalid):
        found(store_order_id, line_id, quantity)
    assert row(store_order_id).lines.get(line_id=line_id).status == "not_picked"
    assert told(store_order_id) == before


def test_nobody_checks_out_with_a_line_open():
    store_order_id = picking()
    found(store_order_id, BEANS, "2")
    with pytest.raises(errors.LinesOpen, match="Bananas"):
        check_out(store_order_id)
    assert row(store_order_id).status == "picking"
    assert "fulfilment.checked_out" not in told(store_order_id)


STEPS = {
    "start_picking": lambda order, who: services.start_picking(store_order_id=order, shopper_id=who, now=NOW),
    "mark_found": lambda order, who: found(order, BEANS, "2", who),
    "mark_refund": lambda order, who: services.mark_refund(
        store_order_id=order, line_id=BEANS, shopper_id=who, reason="other", now=NOW
    ),
    "check_out": check_out,
    "start_delivery": lambda order, who: services.start_delivery(store_order_id=order, shopper_id=who, now=NOW),
    "deliver": lambda order, who: services.deliver(store_order_id=order, shopper_id=who, proof=PHOTO, now=NOW),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("stage", ["assigned", "picking", "delivering"])
def test_a_stranger_and_an_absent_order_are_refused_alike_at_every_step(step, stage):
    store_order_id = make_assigned_store_order(shopper_id=ME)
    models.StoreOrder.objects.filter(pk=store_order_id).update(status=stage)
    before = told(store_order_id)
    refusals = []
    for order, who in [(store_order_id, OTHER), (store_order_id + 1, ME), (12345, ME), (2**63 - 1, ME)]:
        with pytest.raises(errors.StoreOrderNotFound) as refused:
            STEPS[step](order, who)
        refusals.append((refused.value.code, str(refused.value)))
    assert len(set(refusals)) == 1
    assert row(store_order_id).status == stage
    assert told(store_order_id) == before


@pytest.mark.parametrize(
    ("step", "stage"),
    [
        ("mark_found", "assigned"),
        ("mark_found", "checkout"),
        ("mark_refund", "delivering"),
        ("check_out", "assigned"),
        ("start_delivery", "picking"),
        ("deliver", "checkout"),
    ],
)
def test_no_step_before_its_time_or_after(step, stage):
    store_order_id = make_assigned_store_order(shopper_id=ME, lines=[a_line()])
    models.StoreOrder.objects.filter(pk=store_order_id).update(status=stage)
    if step == "check_out":
        models.PickLine.objects.filter(store_order_id=store_order_id).update(status="found", found_quantity=2)
    before = told(store_order_id)
    with pytest.raises(errors.WrongStage):
        STEPS[step](store_order_id, ME)
    assert row(store_order_id).status == stage
    assert told(store_order_id) == before


@pytest.mark.parametrize("step", STEPS)
def test_a_canceled_order_goes_nowhere_and_says_why(step):
    store_order_id = picking()
    order = row(store_order_id)
    assert services.cancel(store_id=order.store_id, order_id=order.order_id, customer_id=12, now=NOW) is True
    assert services.cancel(store_id=order.store_id, order_id=order.order_id, customer_id=12, now=NOW) is False
    with pytest.raises(errors.OrderWasCanceled):
        STEPS[step](store_order_id, ME)
    assert row(store_order_id).status == "canceled"
    assert told(store_order_id).count("fulfilment.store_order_canceled") == 1


def test_an_order_on_the_road_is_not_canceled():
    store_order_id = make_assigned_store_order(shopper_id=ME)
    models.StoreOrder.objects.filter(pk=store_order_id).update(status="delivering")
    order = row(store_order_id)
    assert services.cancel(store_id=order.store_id, order_id=order.order_id, customer_id=12, now=NOW) is False
    assert row(store_order_id).status == "delivering"


def test_assigning_takes_what_waits_and_leaves_the_rest():
    store = make_store()
    first, second, third = (make_waiting_store_order(store=store) for _ in range(3))
    services.assign(store_id=store.id, store_order_ids=[second], shopper_id=OTHER, now=NOW)
    services.cancel(store_id=store.id, order_id=row(third).order_id, customer_id=12, now=NOW)
    mine = services.assign(store_id=store.id, store_order_ids=[first, second, third], shopper_id=ME, now=NOW)
    assert mine == {first}
    assert [row(order).shopper_id for order in (first, second, third)] == [ME, OTHER, None]


def test_unassigning_only_takes_back_what_was_not_begun():
    store = make_store()
    begun, idle = (make_assigned_store_order(store=store, shopper_id=ME) for _ in range(2))
    services.start_picking(store_order_id=begun, shopper_id=ME, now=NOW)
    both = {"store_id": store.id, "store_order_ids": [begun, idle]}
    assert services.unassign(**both, shopper_id=OTHER) == set()
    assert services.unassign(**both, shopper_id=ME) == {idle}
    assert (row(begun).status, row(idle).status, row(idle).shopper_id) == ("picking", "waiting", None)
