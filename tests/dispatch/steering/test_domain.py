"""Keeping a shopper from an order, without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.dispatch.domain import zone_plan
from apps.dispatch.steering.domain import (
    LASTS,
    LONGEST,
    MOST_FORBIDDEN,
    Assignment,
    OverrideKind,
    Overrides,
    ends_at,
    keep_apart,
)
from cython_ext.dispatch import engine
from cython_ext.dispatch.types import Order, Request, Shopper

NOW = datetime(2026, 5, 4, 16, 0, tzinfo=UTC)
ORDERS, SHOPPERS = 6, 4


def problem(previous=()):
    orders = [
        Order(
            order_id=str(100 + i),
            store_id=str(i % 2),
            store=(39.96 + i % 2 / 50, -83.0),
            door=(39.96 + i / 100, -83.0 + i % 3 / 100),
            placed=0.0,
            ready=0.0,
            due=90.0,
            needs=frozenset({"cold"}) if i == 0 else frozenset(),
        )
        for i in range(ORDERS)
    ]
    shoppers = [
        Shopper(
            shopper_id=str(i), at=(39.96, -83.0 + i / 100), free=0.0, off=480.0, orders=3.0, skills=frozenset({"cold"})
        )
        for i in range(SHOPPERS)
    ]
    return Request(
        now=0.0,
        orders=orders,
        shoppers=shoppers,
        travel=zone_plan.ROADS,
        weights=zone_plan.WEIGHTS,
        radius_minutes=60.0,
        previous=dict(previous),
    )


forbiddances = st.dictionaries(
    st.integers(100, 99 + ORDERS), st.frozensets(st.integers(0, SHOPPERS - 1), max_size=SHOPPERS), max_size=ORDERS
)


@settings(max_examples=40, deadline=None)
@given(forbiddances)
def test_no_plan_gives_an_order_to_whom_it_is_forbidden_not_even_one_that_was_begun_with_him(forbidden):
    last = engine.plan(problem(), iterations=50, seconds=1.0)
    plan = engine.plan(keep_apart(problem(last.routes), forbidden), iterations=50, seconds=1.0)
    given = {int(order_id): int(batch.shopper_id) for batch in plan.batches for order_id in batch.order_ids}
    assert all(shopper not in forbidden.get(order, ()) for order, shopper in given.items())
    left = {int(held.order_id) for held in plan.held}
    assert left == {order for order, those in forbidden.items() if len(those) == SHOPPERS}
    assert given.keys() | left == set(range(100, 100 + ORDERS))


def test_nothing_is_told_where_nothing_is_forbidden_to_anybody_there():
    asked = problem()
    assert keep_apart(asked, {}) is asked
    assert keep_apart(asked, {100: frozenset({77}), 999: frozenset({1})}) is asked


def test_certificates_of_its_own_stay_with_an_order():
    told = keep_apart(problem(), {100: frozenset({2})})
    assert told.orders[0].needs == {"cold", "not shopper 2"}
    assert [sorted(shopper.skills) for shopper in told.shoppers] == [
        ["cold", "not shopper 2"],
        ["cold", "not shopper 2"],
        ["cold"],
        ["cold", "not shopper 2"],
    ]


def test_of_very_many_the_most_often_forbidden_are_told():
    many = [Shopper(shopper_id=str(i), at=(39.96, -83.0), free=0.0, off=480.0) for i in range(40)]
    base = problem()
    asked = Request(now=0.0, orders=base.orders, shoppers=many, travel=base.travel)
    forbidden = {100: frozenset(range(40)), 101: frozenset({38, 39})}
    told = keep_apart(asked, forbidden)
    kinds = {need for order in told.orders for need in order.needs}
    assert len(kinds - {"cold"}) == MOST_FORBIDDEN
    assert {"not shopper 38", "not shopper 39"} <= told.orders[1].needs


def test_what_stands_is_asked_by_order():
    one = Assignment(batch_id=1, store_id=2, shopper_id=3, store_order_ids=frozenset({10, 11}), reason="Because")
    stands = Overrides(assigned=(one,), kept_back=frozenset({12}), forbidden={10: frozenset({3}), 11: frozenset({4})})
    assert [order for order in range(9, 14) if stands.leave_alone(order)] == [10, 11, 12]
    assert stands.forbidden_for([10, 11, 12]) == {3, 4}
    assert stands.forbidden_for([]) == frozenset()
    assert stands.held({10, 11, 12, 13}, []) == {"held_by_operator": 1, "assigned_by_operator": 2}
    assert stands.held({10, 11}, [10, 11]) == {}


@pytest.mark.parametrize("kind", OverrideKind)
def test_an_override_ends_when_it_is_said_or_as_usual(kind):
    assert ends_at(kind, None, NOW) == NOW + LASTS[kind]
    for wanted, is_good in ((NOW, False), (NOW + timedelta(seconds=1), True), (NOW + LONGEST, True)):
        assert ends_at(kind, wanted, NOW) == (wanted if is_good else None)
    assert ends_at(kind, NOW + LONGEST + timedelta(seconds=1), NOW) is None
