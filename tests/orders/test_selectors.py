from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

import sharding
from apps.common.errors import DomainError
from apps.common.money import Money
from apps.orders import selectors
from tests.orders.factories import BEER, MORNING, bring_to, make_customer, make_market, make_placed_order

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def queries():
    """Counts the queries to the customer's shard, and sees to it that no other database is asked."""

    @contextmanager
    def count(number, customer_id):
        home = sharding.alias_for("customer", customer_id)
        with ExitStack() as stack:
            asked = {name: stack.enter_context(CaptureQueriesContext(connections[name])) for name in connections}
            yield
            assert {name: len(queries) for name, queries in asked.items() if len(queries)} == {home: number}

    return count


def test_one_order_is_five_queries_however_long_it_is(queries):
    order = bring_to(make_placed_order(), "delivered")
    with queries(5, order.customer_id):
        assert selectors.order(order_id=order.id, customer_id=order.customer_id) == order
    with queries(5, order.customer_id):
        assert selectors.order_for_staff(order_id=order.id) == order


def test_pages_of_orders_are_three_queries_each_and_miss_none(queries):
    market, customer = make_market(), make_customer()
    made = [
        make_placed_order(market=market, customer=customer, quantities={BEER: "1"}, drain=False).id for _ in range(5)
    ]
    make_placed_order(market=market, drain=False)  # somebody else's

    seen, after = [], None
    for size in (2, 2, 1):
        with queries(3, customer.id):
            page = selectors.orders(customer_id=customer.id, after=after, limit=2)
        assert len(page.orders) == size
        seen += [order.id for order in page.orders]
        after = page.next_cursor
    assert after is None
    assert seen == made[::-1]
    # 10.99 + 0.60 deposit + 3.99 delivery + 3.00 tip
    assert {(order.total, order.line_count, order.status) for order in page.orders} == {(Money(1858), 1, "brand_new")}


def test_a_customer_without_orders_has_an_empty_page(queries):
    customer = make_customer()
    with queries(1, customer.id):
        page = selectors.orders(customer_id=customer.id)
    assert (page.orders, page.next_cursor) == ((), None)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1; DROP TABLE", "9" * 30])
def test_a_cursor_that_is_none_is_not_found(cursor):
    with pytest.raises(DomainError) as refusal:
        selectors.orders(customer_id=make_customer().id, after=cursor)
    assert refusal.value.code == "not_found"


def test_the_list_shows_the_final_total_once_there_is_one():
    order = make_placed_order()
    root_beer = next(line for line in order.lines if line.name.startswith("Root"))
    bring_to(order, "checkout", found={root_beer.id: "0"})
    (summary,) = selectors.orders(customer_id=order.customer_id).orders
    assert summary.total == Money(2704 - 1099 - 60)


def test_the_way_to_the_door_is_one_query(queries):
    order = make_placed_order()
    with queries(1, order.customer_id):
        drop = selectors.drop_off(order_id=order.id)
    assert drop == order.address
    assert (drop.name, drop.postcode, drop.instructions) == ("Ada Byron", "43215", "Blue door")
    with queries(1, order.customer_id):
        assert selectors.owner(order_id=order.id) == order.customer_id


def test_an_order_id_of_another_shard_finds_nothing_of_mine():
    market, mine = make_market(), make_placed_order()
    others = [make_placed_order(market=market, quantities={BEER: "1"}) for _ in range(3)]
    shard = sharding.alias_of_id("customer", mine.id)
    other = next(order for order in others if sharding.alias_of_id("customer", order.id) != shard)
    with pytest.raises(DomainError) as refusal:
        selectors.order(order_id=other.id, customer_id=mine.customer_id)
    assert refusal.value.code == "order_not_found"
    assert mine.placed_at == MORNING
    assert mine.window_ends_at - mine.window_starts_at == timedelta(hours=1)
