"""Subqueries that stay with the row are answered; those that look elsewhere are refused wherever they hide."""

import pytest
from django.db.models import Case, Count, Exists, OuterRef, Prefetch, Q, Subquery, Sum, When, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import Rank, RowNumber
from django.db.models.lookups import LessThanOrEqual

from sharding import CrossShardQuery
from sharding.errors import ShardingError
from tests.sharding.conftest import ONE, OTHER
from tests.sharding.hidden.conftest import LOOSE, totals
from tests.sharding.shop.models import Line, Order

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.mark.parametrize(
    "allowed",
    [
        lambda mine, tied: mine.order_by(Subquery(tied.values("quantity")[:1]), "total"),
        lambda mine, tied: mine.order_by(Exists(tied)),
        lambda mine, tied: mine.annotate(n=Case(When(Exists(tied), then=1), default=0)).filter(n=1),
        lambda mine, tied: mine.annotate(n=Count("pk", filter=Q(pk__in=LOOSE.values("order")))),
        lambda mine, tied: mine.filter(pk__in=Subquery(LOOSE.values("order"))),
        lambda mine, tied: mine.filter(Exists(LOOSE.filter(order__customer=OuterRef("customer")))),
        lambda mine, tied: mine.filter(Exists(LOOSE.filter(order__pk=OuterRef("lines__order")))).distinct(),
        lambda mine, tied: mine.filter(Exists(tied.values("order").union(tied.values("order")))),
        lambda mine, tied: mine.annotate(n=Window(Rank(), partition_by=Exists(tied))),
        lambda mine, tied: mine.exclude(lines__in=Line.objects.exclude(order__lines__quantity=2)),
        lambda mine, tied: mine | mine.filter(Exists(tied)),
        lambda mine, tied: mine.filter(pk__in=mine.order_by("-total")[:3]),
        lambda mine, tied: mine.exclude(total=99, pk__in=Order.objects.filter(lines=None).values("pk")),
        lambda mine, tied: mine.filter(~Q(pk__in=Order.objects.filter(total=99))),
    ],
)
def test_subqueries_that_stay_with_the_row(orders, first, asked, allowed):
    tied = Line.objects.filter(order=OuterRef("pk"), quantity=2)
    with asked() as aliases:
        assert totals(allowed(Order.objects.filter(customer_id=ONE), tied)) == [0, 1, 2]
    assert aliases == [first]


@pytest.mark.parametrize(
    "refused",
    [
        lambda mine: mine.order_by(Exists(LOOSE)),
        lambda mine: mine.order_by(Case(When(total__in=LOOSE.values("quantity"), then=1), default=2)),
        lambda mine: mine.annotate(n=Case(When(total__in=LOOSE.values("quantity"), then=1), default=0)),
        lambda mine: mine.annotate(n=Count("pk", filter=Q(total__in=LOOSE.values("quantity")))),
        lambda mine: mine.annotate(n=Window(Sum("total"), partition_by=Exists(LOOSE))),
        lambda mine: mine.alias(n=Exists(LOOSE)).filter(n=True),
        lambda mine: mine.values(n=Exists(LOOSE)),
        lambda mine: mine.filter(
            Exists(LOOSE.values("order").union(LOOSE.filter(order=OuterRef("pk")).values("order")))
        ),
        lambda mine: mine.filter(pk__in=LOOSE.order_by("order", "pk").distinct("order").values("order")),
        lambda mine: mine.filter(
            pk__in=Line.objects.annotate(r=Window(RowNumber(), order_by="pk")).filter(r=1).values("order")
        ),
        lambda mine: mine.filter(pk__in=LOOSE.values("order").union(LOOSE.values("order"))),
        lambda mine: mine.exclude(pk__in=Order.objects.values("replaces")),
        lambda mine: mine.filter(Q(pk__in=Order.objects.values("replaces")) ^ Q(total=1)),
        lambda mine: mine.annotate(n=Q(pk__in=Order.objects.values("replaces"))),
        lambda mine: mine.exclude(pk__in=Order.objects.values("replaced_by")),
        lambda mine: mine.union(Order.objects.filter(total=20)),
        lambda mine: mine.annotate(n=RawSQL("(SELECT count(*) FROM shop_line)", [])),
        lambda mine: mine.order_by(RawSQL("(SELECT count(*) FROM shop_line)", [])),
        lambda mine: mine.filter(total__lt=RawSQL("(SELECT count(*) FROM shop_line)", [])),
        lambda mine: mine.extra(select={"n": "(SELECT count(*) FROM shop_line)"}),
        lambda mine: mine.extra(select={"n": "%s"}, select_params=[1]),
        lambda mine: mine.extra(where=["EXISTS (SELECT FROM shop_line WHERE quantity = total)"]),
        lambda mine: mine.extra(tables=["shop_line"]),
        lambda mine: mine.extra(order_by=["shop_order.total"]),
        lambda mine: mine.filter(pk__in=Line.objects.using("default").values("order")),
    ],
)
def test_subqueries_that_look_elsewhere_are_refused_wherever_they_hide(orders, refused, asked):
    with asked() as aliases, pytest.raises((ShardingError, ValueError)):
        list(refused(Order.objects.filter(customer_id=ONE)))
    assert aliases == []


def test_a_nullable_reference_may_be_looked_up_where_nothing_negates_it(orders, first):
    Order.objects.filter(pk=orders[ONE][1].pk).update(replaces=orders[ONE][0])
    replaced = Order.objects.values("replaces")
    mine = Order.objects.filter(customer_id=ONE)
    assert totals(mine.filter(pk__in=replaced)) == [0]
    assert totals(mine.filter(Q(pk__in=replaced, total=0) | Q(total=2, pk__in=replaced))) == [0]


def test_windows_over_two_shards_must_stay_within_a_key(orders):
    both = Order.objects.filter(customer_id__in=[ONE, OTHER])
    for window in (
        Window(RowNumber(), order_by="total"),
        Window(RowNumber(), partition_by="store_id", order_by="total"),
        Window(RowNumber(), partition_by="replaces", order_by="total"),
    ):
        with pytest.raises(CrossShardQuery):
            list(both.filter(LessThanOrEqual(window, 1)))
    assert totals(both.filter(LessThanOrEqual(Window(RowNumber(), partition_by="customer", order_by="total"), 1))) == [
        0,
        20,
    ]


def test_a_few_related_rows_each_are_prefetched_over_shards(orders):
    ids = [orders[ONE][0].pk, orders[OTHER][0].pk]
    largest = Prefetch("lines", Line.objects.order_by("-quantity")[:1], to_attr="largest")
    found = Order.objects.filter(pk__in=ids).prefetch_related(largest).order_by("total")
    assert [(order.total, [line.quantity for line in order.largest]) for order in found] == [(0, [2]), (20, [2])]
