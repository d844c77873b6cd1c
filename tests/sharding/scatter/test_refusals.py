"""What cannot be put together is refused, and mostly before anything is asked."""

import pytest
from django.db.models import BooleanField, Count, F, Func, Max, Q, StdDev, Subquery, Sum, Value, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import Rank

import sharding
from sharding import CrossShardQuery, CrossShardTransaction
from tests.sharding.conftest import ONE, OTHER
from tests.sharding.shop.models import Line, Order

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.mark.parametrize(
    "refused",
    [
        lambda rows: rows.update(total=1),
        lambda rows: rows.delete(),
        lambda rows: rows.filter(customer=ONE).update(total=1),
        lambda rows: list(rows.select_for_update()),
        lambda rows: list(rows.union(rows.filter(total=1))),
        lambda rows: list(rows.order_by("code")),
        lambda rows: list(rows.order_by("customer__name")),
        lambda rows: list(rows.order_by("?")),
        lambda rows: list(rows.order_by("wishes")),
        lambda rows: list(rows.order_by(F("code").asc(nulls_last=True))),
        lambda rows: list(rows.annotate(r=Window(Rank(), order_by="total"))),
        lambda rows: list(
            rows.annotate(r=Window(Rank(), partition_by="customer")).filter(r=1).order_by("total").values("pk")
        ),
        lambda rows: rows.aggregate(StdDev("total")),
        lambda rows: rows.aggregate(Count("store_id", distinct=True)),
        lambda rows: rows.aggregate(n=Sum("total") / Count("pk")),
        lambda rows: rows.aggregate(Max("code")),
        lambda rows: rows[:3].aggregate(Sum("total")),
        lambda rows: rows.values("store_id").distinct().aggregate(Sum("store_id")),
        lambda rows: rows.values("store_id").annotate(n=Count("pk")).aggregate(Sum("n")),
        lambda rows: list(rows.values("store_id").annotate(n=StdDev("total"))),
        lambda rows: list(rows.values("wishes").annotate(n=Count("pk"))),
        lambda rows: list(rows.values("wishes").distinct()),
        lambda rows: list(rows.values("store_id").annotate(n=Count("pk")).distinct()),
        lambda rows: list(rows.values("store_id").annotate(m=Max("placed")).filter(m__year=2025)),
        lambda rows: list(rows.values("store_id").annotate(n=Count("pk")).filter(Q(n=1) | Q(store_id=1))),
        lambda rows: list(rows.distinct("store_id")),
        lambda rows: list(rows.annotate(n=RawSQL("count(*) over ()", ()))),
        lambda rows: list(rows.extra(select={"n": "1"})),
        lambda rows: list(rows.filter(total=Subquery(Line.objects.values("quantity")[:1]))),
        lambda rows: rows.explain(),
    ],
)
def test_what_cannot_be_put_together_is_refused_and_asks_nothing(refused, asked):
    with asked() as aliases, pytest.raises(CrossShardQuery):
        refused(Order.objects.scatter())
    assert aliases == []


def test_a_type_that_lies_about_itself_is_noticed_in_the_answer(orders):
    lying = Func(Value(2), F("total"), function="int4range", output_field=BooleanField())
    rows = Order.objects.scatter().filter(total__gt=2).annotate(r=lying)
    with pytest.raises(CrossShardQuery, match="cannot be compared outside of it"):
        list(rows.order_by("r", "pk"))


def test_nothing_is_asked_from_inside_a_transaction(orders, asked, first, last):
    with sharding.atomic(sharding.home("customer", ONE)):
        with asked() as aliases, pytest.raises(CrossShardTransaction, match=f"inside a transaction on {first}"):
            Order.objects.scatter().count()
        assert aliases == []
        assert Order.objects.scatter().filter(customer=ONE).count() == 3  # its own database may be asked
        with pytest.raises(CrossShardTransaction):
            Order.objects.scatter().filter(customer=OTHER).count()
    assert Order.objects.scatter().count() == 9


@pytest.mark.crosses_databases
def test_the_guard_of_the_tests_sees_what_is_sent(orders, first, last):
    ids = [orders[ONE][0].pk, orders[OTHER][0].pk]
    with pytest.raises(CrossShardTransaction), sharding.testing.forbid_cross_database_transactions():
        with sharding.atomic(first):
            with pytest.raises(CrossShardTransaction):
                list(Order.objects.filter(pk__in=ids))
    assert len(Order.objects.filter(pk__in=ids)) == 2  # both connections are as good as before
