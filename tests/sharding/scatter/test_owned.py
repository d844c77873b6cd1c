"""Rows that a database holds and does not own are in no answer."""

import pytest
from django.db import connections
from django.db.models import Count, Sum

import sharding
from sharding import topology
from sharding.topology import Keyspace
from tests.sharding.conftest import ONE, OTHER
from tests.sharding.scatter.conftest import totals
from tests.sharding.shop.models import Customer, Line, Order

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def moving(orders, first, last):
    """ONE's rows are on the last shard as well, as a move leaves them until it has cleaned up."""
    for model in (Customer, Order, Line):
        rows = list(model.objects.using(first).filter(**{"id" if model is Customer else "customer_id": ONE}))
        with connections[last].cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")  # as the worker that applies a move
            model.objects.using(last).bulk_create(rows)
            cursor.execute("SET LOCAL session_replication_role = origin")
    before = topology.current()
    place = before.keyspaces["customer"]
    copies = Keyspace.of(place.name, place.ranges, (), ((0, 99, last),))
    topology.use(topology.ShardMap(before.epoch, {**before.keyspaces, "customer": copies}))
    yield
    topology.use(before)


def test_rows_that_a_database_does_not_own_are_in_no_answer(moving, orders, last):
    assert Order.objects.using(last).count() == 6
    everything = Order.objects.scatter()
    assert totals(everything.order_by("total")) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert (everything.count(), everything.aggregate(s=Sum("total"))) == (9, {"s": 99})
    assert list(everything.values("store_id").annotate(n=Count("lines")).order_by("store_id").values_list("n")) == [
        (6,), (6,), (6,),
    ]  # fmt: skip
    assert Customer.objects.scatter().filter(orders__total__gte=0).distinct().count() == 3
    assert Line.objects.scatter().filter(order__total__lt=3).count() == 6
    # The same for the shards that ids name.
    ids = [orders[ONE][0].pk, orders[OTHER][0].pk]
    assert totals(Order.objects.filter(pk__in=ids).order_by("total")) == [0, 20]
    assert Order.objects.filter(customer__in=[ONE, OTHER]).aggregate(Count("pk"), Sum("total")) == {
        "pk__count": 6,
        "total__sum": 66,
    }
    found = Customer.objects.filter(pk__in=[ONE, OTHER]).prefetch_related("orders").order_by("pk")
    assert [len(customer.orders.all()) for customer in found] == [3, 3]


def test_going_through_a_database_meets_what_it_owns(moving, first, last):
    assert sorted(totals(sharding.owned(Order.objects, last))) == [20, 21, 22]
    assert sorted(totals(sharding.owned(Order.objects.filter(total__gt=1), last))) == [20, 21, 22]
    assert totals(sharding.owned(Order.objects.order_by("total")[:1], last)) == [20]
    assert sharding.owned(Order.objects, first).count() == 6
    assert sharding.owned(Customer.objects, last).count() == 1
    both = Order.objects.filter(total=0).union(Order.objects.filter(total=20))
    assert totals(sharding.owned(both, last)) == [20]
    assert sharding.owned(Order.objects, last).filter(total__lt=99).update(total=5) == 3
    assert sorted(Order.objects.using(last).values_list("total", flat=True)) == [0, 1, 2, 5, 5, 5]


def test_a_database_that_owns_nothing_is_not_asked_and_owns_nothing(moving, asked, first):
    place = topology.keyspace("customer")
    alone = Keyspace.of("customer", ((0, 9999, first),), ("customer_1",), ((5000, 9999, "customer_1"),))
    topology.use(topology.ShardMap(0, {**topology.keyspaces(), "customer": alone}))
    with asked() as aliases:
        assert Order.objects.scatter().count() == 6
        assert list(sharding.owned(Order.objects, "customer_1")) == []
    assert aliases == [first]
    assert place.databases == (first, "customer_1")
