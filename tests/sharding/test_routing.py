"""Where queries go, in how many statements, and which are refused. The examples; ``test_oracle`` is the sweep."""

from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum, Window
from django.db.models.functions import Rank

import sharding
from sharding import CrossShardQuery, UnroutableQuery
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.shop.models import Customer, Line, Memo, Order, Product, Receipt, Stock, Store

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def orders() -> dict[int, list[Order]]:
    """Three orders each, of two lines each: totals 0, 1, 2 for ONE, 10, 11, 12 for SAME_SHARD, 20, 21, 22 for OTHER."""
    made = {}
    for tens, customer_id in enumerate((ONE, SAME_SHARD, OTHER)):
        Customer.objects.create(id=customer_id, name=f"customer {customer_id}")
        made[customer_id] = [
            Order.objects.create(customer_id=customer_id, store_id=3, total=10 * tens + n) for n in range(3)
        ]
        for order in made[customer_id]:
            for quantity in (1, 2):
                Line.objects.create(order=order, customer_id=customer_id, quantity=quantity, price=Decimal(quantity))
    return made


def totals(queryset: models.QuerySet[Order]) -> list[int]:
    return [order.total for order in queryset]


def test_each_way_to_name_one_row_or_key_asks_one_shard_once(orders, asked, first, last):
    mine, theirs = orders[ONE][1], orders[OTHER][1]
    for condition, expected, alias in [
        ({"customer_id": ONE}, [0, 1, 2], first),
        ({"customer": ONE}, [0, 1, 2], first),
        ({"customer": mine.customer}, [0, 1, 2], first),
        ({"customer__id": ONE}, [0, 1, 2], first),
        ({"customer__pk__exact": str(ONE)}, [0, 1, 2], first),
        ({"pk": mine.pk}, [1], first),
        ({"pk": str(mine.pk)}, [1], first),
        ({"id__in": [mine.pk]}, [1], first),
        ({"lines": mine.lines.first()}, [1], first),
        ({"lines__order__customer": ONE, "total": 2}, [2, 2], first),
        ({"customer_id": OTHER}, [20, 21, 22], last),
        ({"pk": theirs.pk}, [21], last),
        ({"customer_id": OTHER, "total__gt": 20}, [21, 22], last),
    ]:
        with asked() as aliases:
            assert sorted(totals(Order.objects.filter(**condition))) == expected
        assert aliases == [alias], condition


def test_ids_on_two_shards_are_read_from_those_two_and_merged(orders, asked, first, last):
    ids = [order.pk for of in orders.values() for order in of]
    with asked() as aliases:
        assert totals(Order.objects.filter(pk__in=ids).order_by("-total", "pk")[2:7]) == [20, 12, 11, 10, 2]
    assert aliases == [first, last]
    some = Order.objects.filter(pk__in=ids)
    assert some.count() == 9
    assert some.order_by("total")[1:4].count() == 3
    assert some[8:20].count() == 1
    assert some.exists()
    assert not some.filter(total=99).exists()
    assert some.order_by("total").first() == orders[ONE][0]
    assert some.order_by("total").last() == orders[OTHER][2]
    assert some.order_by("total").reverse().first() == orders[OTHER][2]
    assert sorted(Order.objects.in_bulk(ids)) == sorted(ids)
    assert list(some.order_by("total").values_list("total", flat=True)) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert list(some.order_by("-total").values("total")[:2]) == [{"total": 22}, {"total": 21}]
    assert list(some.order_by("-total").values_list("store_id", "total")[:2]) == [(3, 22), (3, 21)]
    assert [row.total for row in some.order_by("total").iterator(chunk_size=2)] == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert sorted(order.total for order in some.annotate(n=Count("lines")).filter(n=2)) == [
        0,
        1,
        2,
        10,
        11,
        12,
        20,
        21,
        22,
    ]


def test_null_sorts_last_upwards_and_first_downwards_as_in_postgresql(orders):
    both = [orders[ONE][0], orders[OTHER][0]]
    lines = [Line.objects.create(order=order, customer_id=order.customer_id, price=None, quantity=9) for order in both]
    lines += [Line.objects.create(order=order, customer_id=order.customer_id, price=5, quantity=9) for order in both]
    ids = [line.pk for line in lines]
    upwards = Line.objects.filter(pk__in=ids).order_by("price", "pk").values_list("price", flat=True)
    assert list(upwards) == [5, 5, None, None]
    assert [p for p, _ in Line.objects.filter(pk__in=ids).order_by("price", "pk").values_list("price", "id")] == [
        5, 5, None, None,
    ]  # fmt: skip
    assert [line.price for line in Line.objects.filter(pk__in=ids).order_by("-price", "-pk")] == [None, None, 5, 5]


@pytest.mark.parametrize(
    "condition",
    [
        Q(),
        Q(total=5),
        Q(store_id=ONE),
        Q(customer_id__gt=5),
        ~Q(customer_id=ONE),
        ~Q(~Q(total=ONE)),
        ~Q(Q(customer_id=ONE) & ~Q(total=5)),
        Q(customer_id=ONE) | Q(total=5),
        Q(customer_id=ONE) ^ Q(total=5),
        Q(customer__name="x"),
        Q(customer_id=F("store_id")),
        Q(replaces__customer__name="x"),
        Q(customer_id__in=Customer.objects.filter(name="x")),
        Q(pk__in=Line.objects.filter(quantity=1).values("order")),
    ],
    ids=str,
)
def test_what_names_no_shard_is_refused_and_asks_nothing(condition, asked):
    with asked() as aliases, pytest.raises(UnroutableQuery, match=r"filter by customer=…, by pk=…"):
        list(Order.objects.filter(condition))
    assert aliases == []


def test_conditions_narrow_and_widen(orders, asked, first, last):
    either = Order.objects.filter(Q(customer_id=ONE) | Q(pk=orders[OTHER][0].pk))
    assert sorted(totals(either)) == [0, 1, 2, 20]
    with asked() as aliases:
        assert totals(Order.objects.filter(customer_id=ONE, pk=orders[OTHER][0].pk)) == []
        assert totals(Order.objects.filter(customer_id__in=[ONE, OTHER]).filter(pk=orders[OTHER][2].pk)) == [22]
        assert totals(Order.objects.filter(customer_id=ONE).exclude(pk=orders[ONE][0].pk)) == [1, 2]
    assert aliases == [first, last, first]


def test_nothing_is_asked_where_nothing_can_match(asked):
    with asked() as aliases:
        assert list(Order.objects.none()) == []
        assert list(Order.objects.filter(pk__in=[])) == []
        assert Order.objects.filter(pk__in=[]).count() == 0
        assert Order.objects.in_bulk([]) == {}
        assert Order.objects.none().update(total=1) == 0
    assert aliases == []


@pytest.mark.parametrize("id", [0, -5, 12345, 2**63 - 1, 2**62, (12_000 << 8)])
def test_an_id_that_was_never_given_out_is_not_found(id):
    with pytest.raises(Order.DoesNotExist):
        Order.objects.get(pk=id)
    with pytest.raises(Customer.DoesNotExist):
        Customer.objects.get(pk=id)


def test_related_rows_are_found_on_their_shard_in_as_many_statements_as_ever(orders, asked, first, last):
    order = orders[OTHER][0]
    with asked() as aliases:
        assert [line.quantity for line in order.lines.order_by("id")] == [1, 2]
        assert order.lines.filter(quantity=2).count() == 1
        assert Line.objects.select_related("order__customer").get(order=order, quantity=1).order.customer.id == OTHER
        assert order.lines.aggregate(Sum("quantity")) == {"quantity__sum": 3}
    assert aliases == [last] * 4
    ids = [orders[ONE][0].pk, orders[OTHER][0].pk, orders[OTHER][1].pk]
    with asked() as aliases:
        found = Order.objects.filter(pk__in=ids).order_by("total").prefetch_related("lines", "customer", "replaced_by")
        assert [(o.total, len(o.lines.all()), o.customer_id, len(o.replaced_by.all())) for o in found] == [
            (0, 2, ONE, 0),
            (20, 2, OTHER, 0),
            (21, 2, OTHER, 0),
        ]
    assert aliases == [first, last] * 4
    line = Line.objects.filter(order=order).first()
    with asked() as aliases:
        assert line.order.customer.name == f"customer {OTHER}"
        line.refresh_from_db()
        assert Order.objects.defer("customer").get(pk=order.pk).customer_id == OTHER
    assert aliases == [last] * 5
    receipt = Receipt.objects.create(order=order, customer_id=OTHER, text="paid")
    with asked() as aliases:
        assert Receipt.objects.get(pk=order.pk) == receipt
        assert Order.objects.get(pk=order.pk).receipt.text == "paid"
    assert aliases == [last] * 3


def test_subqueries_tied_to_the_row_are_allowed(orders):
    mine = Order.objects.filter(customer_id=ONE)
    lines = Line.objects.filter(order=OuterRef("pk"))
    assert totals(mine.filter(Exists(lines.filter(quantity=2)))) == [0, 1, 2]
    assert totals(mine.exclude(lines__quantity=2)) == []
    assert totals(mine.filter(lines__in=Line.objects.filter(quantity=2))) == [0, 1, 2]
    assert totals(mine.filter(pk__in=Line.objects.filter(quantity=2).values("order"))) == [0, 1, 2]
    assert totals(mine.exclude(pk__in=Line.objects.filter(quantity=2).values("order"))) == []
    counted = mine.annotate(most=Subquery(lines.order_by("-quantity").values("quantity")[:1]))
    assert [order.most for order in counted] == [2, 2, 2]
    with_own_key = Line.objects.filter(customer_id=ONE, order__total=2).values("order__total")[:1]
    assert totals(mine.filter(total=Subquery(with_own_key))) == [2]
    assert mine.update(total=Subquery(lines.values("quantity").order_by("quantity")[:1])) == 3
    assert totals(mine) == [1, 1, 1]


@pytest.mark.parametrize(
    "refused",
    [
        lambda mine: mine.filter(Exists(Line.objects.filter(quantity=OuterRef("total")))),
        lambda mine: mine.filter(Exists(Line.objects.filter(order__store_id=OuterRef("pk")))),
        lambda mine: mine.filter(Exists(Line.objects.filter(Q(order=OuterRef("pk")) | Q(quantity=1)))),
        lambda mine: mine.filter(Exists(Line.objects.exclude(order=OuterRef("pk")))),
        lambda mine: mine.annotate(n=Subquery(Line.objects.values("quantity")[:1])),
        lambda mine: mine.filter(total=Line.objects.values("quantity")[:1]),
        lambda mine: mine.filter(total__in=Line.objects.values("quantity")),
        lambda mine: mine.filter(pk__in=Line.objects.filter(quantity=2).order_by("id").values("order")[:1]),
        lambda mine: mine.exclude(pk__in=Order.objects.values("replaces")),
        lambda mine: mine.filter(total__in=Line.objects.filter(customer_id=OTHER).values("quantity")),
        lambda mine: mine.filter(store_id__in=Store.objects.filter(name="x")),
        lambda mine: mine.filter(store_id__in=Product.objects.all()),
        lambda mine: mine.order_by(Subquery(Line.objects.values("quantity")[:1])),
        lambda mine: mine.filter(total__range=(0, Subquery(Line.objects.values("quantity")[:1]))),
        lambda mine: mine.filter(total__in=[Subquery(Line.objects.values("quantity")[:1])]),
        lambda mine: mine.union(Order.objects.filter(customer_id=OTHER)),
    ],
)
def test_subqueries_that_could_look_elsewhere_are_refused(orders, refused, asked):
    with asked() as aliases, pytest.raises(CrossShardQuery):
        list(refused(Order.objects.filter(customer_id=ONE)))
    assert aliases == []


@pytest.mark.parametrize(
    "refused",
    [
        lambda some: some.update(total=1),
        lambda some: some.delete(),
        lambda some: list(some.select_for_update()),
        lambda some: list(some.order_by("code")),
        lambda some: list(some.order_by("customer__name")),
        lambda some: list(some.order_by("?")),
        lambda some: list(some.annotate(r=Window(Rank(), order_by="total"))),
        lambda some: some.explain(),
    ],
)
def test_what_cannot_be_merged_is_refused_and_changes_nothing(orders, refused):
    ids = [orders[ONE][0].pk, orders[OTHER][0].pk]
    with pytest.raises(CrossShardQuery):
        refused(Order.objects.filter(pk__in=ids))
    assert [Order.objects.get(pk=id).total for id in ids] == [0, 20]


def test_one_shard_does_what_django_does(orders, first):
    mine = Order.objects.filter(customer_id__in=[ONE, SAME_SHARD])
    assert mine.aggregate(n=Count("id"), s=Sum("total")) == {"n": 6, "s": 36}
    assert list(mine.values("store_id").annotate(n=Count("id"))) == [{"store_id": 3, "n": 6}]
    assert mine.update(total=F("total") + 1) == 6
    assert totals(mine.order_by("code", "-total")[:2]) == [13, 12]
    assert [o.total for o in mine.select_for_update().order_by("total")[:1]] == [1]
    assert sorted(totals(mine.filter(total=1).union(mine.filter(total=2)))) == [1, 2]
    assert mine.filter(total=1).delete() == (3, {"shop.Line": 2, "shop.Order": 1})
    assert mine.count() == 5


def test_using_is_the_way_out(orders, last):
    assert Order.objects.using(last).filter(total__gt=20).count() == 2
    assert Order.objects.using(last).update(total=5) == 3


def test_the_same_calls_work_asynchronously(orders):
    ids = [orders[ONE][0].pk, orders[OTHER][0].pk]

    async def all_of_it() -> tuple[object, ...]:
        return (
            sorted([order.total async for order in Order.objects.filter(pk__in=ids)]),
            sorted([order.total async for order in Order.objects.filter(pk__in=ids).aiterator()]),
            [order.total async for order in Order.objects.filter(customer_id=OTHER).order_by("id").aiterator()],
            (await Order.objects.aget(pk=ids[1])).total,
            await Order.objects.filter(customer_id=ONE).acount(),
        )

    assert async_to_sync(all_of_it)() == ([0, 20], [0, 20], [20, 21, 22], 20, 3)


def test_composite_keys_route_by_the_key_in_them(asked):
    for store_id in (5, 9005):
        Store.objects.create(id=store_id, name="s")
        Stock.objects.bulk_create([Stock(store_id=store_id, product_id=n, on_hand=n) for n in (1, 2)])
    here, there = sharding.alias_for("store", 5), sharding.alias_for("store", 9005)
    with asked() as aliases:
        assert Stock.objects.get(pk=(9005, 2)).on_hand == 2
        assert Stock.objects.filter(pk__in=[(5, 1), (9005, 2)]).count() == 2
        assert Stock.objects.filter(store_id=5).update(on_hand=0) == 2
        stock = Stock.objects.get(store=9005, product_id=1)
        stock.on_hand = 7
        stock.save()
    assert aliases == [there, here, there, here, there, there]
    with pytest.raises(UnroutableQuery):
        list(Stock.objects.filter(product_id=1))


def test_a_table_of_every_database_is_used_with_using_only(last):
    with pytest.raises(UnroutableQuery, match="say which with"):
        Memo.objects.count()
    with pytest.raises(UnroutableQuery):
        Memo.objects.create(text="x")
    memo = Memo.objects.using(last).create(text="x")
    memo.text = "y"
    memo.save()
    memo.refresh_from_db()
    assert [Memo.objects.using(alias).filter(text="y").count() for alias in ("default", last)] == [0, 1]
    memo.delete()
    assert Memo.objects.using(last).count() == 0


def test_what_is_not_sharded_stays_in_default(asked):
    with asked() as aliases:
        Product.objects.create(name="milk")
        assert Product.objects.count() == 1
    assert aliases == ["default", "default"]


def test_sql_text_names_no_shard(last):
    with pytest.raises(UnroutableQuery, match="using=alias"):
        Order.objects.raw("SELECT * FROM shop_order")
    assert list(Order.objects.raw("SELECT * FROM shop_order", using=last)) == []


def test_looking_at_an_unroutable_queryset_does_not_fail():
    assert repr(Order.objects.all()) == "<ShardedQuerySet of shop.Order: UnroutableQuery>"
