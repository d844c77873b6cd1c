"""Values that are written: nothing comes from, or goes to, another shard unnoticed."""

import pytest
from django.db import models
from django.db.models import Case, Count, Exists, F, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

import sharding
from sharding import CrossShardQuery
from sharding.errors import ShardingError
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.hidden.conftest import LOOSE, TOTALS, everywhere, totals
from tests.sharding.shop.models import Line, Order

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.mark.parametrize(
    "value",
    [
        LOOSE.values("quantity")[:1],
        Subquery(LOOSE.values("quantity")[:1]),
        Case(When(Q(total__in=LOOSE.values("quantity")), then=1), default=5),
        Coalesce(Subquery(LOOSE.values("quantity")[:1]), 5),
        RawSQL("(SELECT count(*) FROM shop_line)", []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_looks_elsewhere_is_not_written(orders, asked, value, first):
    order = orders[ONE][0]
    theirs = orders[ONE][1]
    theirs.total = value
    made = Order(customer_id=ONE, store_id=1, total=value)
    with asked() as aliases:
        for write in (
            lambda: Order.objects.filter(customer_id=ONE).update(total=value),
            lambda: Order.objects.bulk_update([theirs], ["total"]),
            lambda: theirs.save(),
            lambda: theirs.save(update_fields=["total"]),
            lambda: made.save(),
            lambda: Order.objects.create(customer_id=ONE, store_id=1, total=value),
            lambda: Order.objects.bulk_create([made]),
            lambda: order.customer.orders.create(store_id=1, total=value),
            lambda: Order.objects.filter(customer_id=ONE).aggregate(n=Sum(value, output_field=models.IntegerField())),
        ):
            with pytest.raises(CrossShardQuery):
                write()
        with pytest.raises(CrossShardQuery):
            Order.objects.update_or_create(pk=order.pk, customer_id=ONE, defaults={"total": value})
    assert not any("UPDATE" in alias for alias in aliases)
    assert everywhere(Order, "total") == TOTALS


def test_conditions_beside_the_rows_of_a_bulk_update_are_looked_into(orders):
    order = orders[ONE][1]
    order.total = 50
    for loose in (Order.objects.filter(Exists(LOOSE)), Order.objects.filter(total__in=LOOSE.values("quantity"))):
        with pytest.raises(CrossShardQuery):
            loose.bulk_update([order], ["total"])
    assert everywhere(Order, "total") == TOTALS
    assert Order.objects.filter(pk__in=LOOSE.values("order")).bulk_update([order], ["total"]) == 1
    assert Order.objects.filter(total__gt=50).bulk_update([orders[ONE][0]], ["total"]) == 0
    assert Order.objects.filter(customer_id=OTHER).bulk_update([orders[ONE][0]], ["total"]) == 0


def test_whether_there_are_rows_does_not_depend_on_what_is_selected(orders):
    some = Order.objects.filter(customer_id__in=[ONE, OTHER])
    mixed = some.annotate(n=Coalesce(Subquery(Line.objects.filter(order=OuterRef("pk")).values("price")[:1]), 0))
    assert mixed.distinct().exists()
    assert some.distinct()[2:].exists()
    assert not some.distinct()[6:].exists()
    assert not some.filter(total=99).distinct().exists()


def test_what_can_be_gone_through_once_is_not_used_up_by_looking(orders):
    mine = Order.objects.filter(customer_id=ONE)

    def first(*totals: int) -> Case:
        return Case(When(Q(total__in=iter(totals)), then=Value(1)), default=Value(2))

    assert [order.total for order in mine.order_by(first(1, 2), "-total")] == [2, 1, 0]
    assert mine.aggregate(n=Count("pk", filter=Q(total__in=iter([1, 2])))) == {"n": 2}
    assert mine.update(total=first(1, 2)) == 3
    assert totals(mine) == [1, 1, 2]


def test_a_value_that_stays_with_the_row_is_written(orders):
    order = orders[ONE][1]
    own = Line.objects.filter(order=OuterRef("pk")).order_by("-quantity").values("quantity")[:1]
    order.total = Subquery(own)
    order.save(update_fields=["total"])
    order.refresh_from_db()
    assert order.total == 2
    order.total = Subquery(own) * 10
    assert Order.objects.bulk_update([order], ["total"]) == 1
    assert Order.objects.get(pk=order.pk).total == 20
    assert Order.objects.filter(customer_id=ONE).update(total=F("total") + Subquery(own)) == 3
    assert totals(Order.objects.filter(customer_id=ONE)) == [2, 4, 22]


def test_aggregates_with_filters_and_references(orders):
    mine = Order.objects.filter(customer_id=ONE)
    assert mine.aggregate(n=Count("pk", filter=Q(pk__in=LOOSE.values("order"))), m=F("n") + 1) == {"n": 3, "m": 4}
    assert mine.aggregate(Sum("lines__quantity")) == {"lines__quantity__sum": 9}
    assert mine.annotate(n=Count("lines")).aggregate(Sum("n"), total=Sum("total")) == {"n__sum": 6, "total": 3}
    for refused in (Count("pk", filter=Exists(LOOSE)), Sum("total", default=Subquery(LOOSE.values("quantity")[:1]))):
        with pytest.raises(CrossShardQuery):
            mine.aggregate(n=refused)


@pytest.mark.parametrize("create", ["get_or_create", "update_or_create"])
def test_what_is_created_lives_where_it_was_looked_for(orders, create, asked):
    for lookup, defaults in (
        ({"customer_id": ONE, "total": 99}, {"customer_id": OTHER, "store_id": 1}),
        ({"pk__in": []}, {"customer_id": OTHER, "store_id": 1}),
        ({"customer_id": ONE, "pk__in": []}, {"customer_id": OTHER, "store_id": 1}),
    ):
        with pytest.raises(ShardingError):
            getattr(Order.objects, create)(defaults=defaults, **lookup)
    assert everywhere(Order, "customer_id") == [ONE] * 3 + [SAME_SHARD] * 3 + [OTHER] * 3
    made, is_new = getattr(Order.objects, create)(customer_id=OTHER, total=99, defaults={"store_id": 1})
    assert (made.customer_id, is_new, sharding.home("customer", OTHER).alias) == (OTHER, True, made._state.db)


def test_a_row_is_found_again_whatever_its_key_was_set_to(orders):
    order = orders[ONE][0]
    order.customer_id = OTHER
    order.refresh_from_db(fields=["total"])
    assert (order.total, order.customer_id) == (0, OTHER)
    assert order.delete() == (3, {"shop.Line": 2, "shop.Order": 1})
    assert totals(Order.objects.filter(customer_id=ONE)) == [1, 2]


def test_a_row_is_refreshed_from_where_it_lives_now(orders, last):
    order = orders[OTHER][0]
    order._state.db = "customer_0"  # where it was before its bucket moved
    order.refresh_from_db()
    assert (order.total, order._state.db) == (20, last)
    partly = Order.objects.only("id").get(pk=order.pk)
    partly._state.db = "customer_0"
    assert partly.total == 20
