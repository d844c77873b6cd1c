"""Features of Django that hide a table or a condition: routed by what they really do, or refused.

Each was, or could have been, answered from too few rows without anybody noticing.
"""

import pickle
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import models
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Rank, RowNumber
from django.db.models.lookups import Exact, GreaterThan, In, LessThanOrEqual

import sharding
from sharding import CrossShardQuery, MisplacedRow, UnroutableQuery
from sharding.errors import ShardingError
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.shop.models import Customer, Favourite, Label, Line, Note, Order, Receipt, Tag, UrgentOrder

pytestmark = pytest.mark.django_db(databases="__all__")

LOOSE = Line.objects.filter(quantity=2)
"""Lines of every shard."""
TOTALS = [0, 1, 2, 10, 11, 12, 20, 21, 22]


@pytest.fixture
def orders() -> dict[int, list[Order]]:
    """Three orders each, of two lines each: totals 0, 1, 2 for ONE, 10, 11, 12 for SAME_SHARD, 20, 21, 22 for OTHER."""
    made = {}
    for tens, customer_id in enumerate((ONE, SAME_SHARD, OTHER)):
        Customer.objects.create(id=customer_id, name=f"customer {customer_id}")
        made[customer_id] = [
            Order.objects.create(customer_id=customer_id, store_id=3, total=10 * tens + n, placed=date(2026, 1, 1 + n))
            for n in range(3)
        ]
        for order in made[customer_id]:
            for quantity in (1, 2):
                Line.objects.create(order=order, customer_id=customer_id, quantity=quantity, price=Decimal(quantity))
    return made


def totals(queryset: models.QuerySet[Order]) -> list[int]:
    return sorted(order.total for order in queryset)


def everywhere(model: type[models.Model], column: str) -> list[object]:
    parts = [model.objects.using(alias) for alias in sharding.aliases("customer")]
    found = [value for part in parts for value in part.values_list(column, flat=True)]
    return sorted(found, key=lambda value: (value is None, value))


# Conditions.


def test_contradicting_conditions_match_nothing_and_change_nothing(orders, asked):
    contradiction = Order.objects.filter(customer_id=ONE, pk=orders[OTHER][0].pk)
    with asked() as aliases:
        assert list(contradiction) == []
        assert contradiction.count() == 0
        assert contradiction.aggregate(n=Count("pk"), s=Sum("total")) == {"n": 0, "s": None}
        assert contradiction.update(total=5) == 0
        assert contradiction.delete() == (0, {})
    assert len(set(aliases)) == 1
    assert everywhere(Order, "total") == TOTALS


@pytest.mark.parametrize(
    "condition",
    [
        ~Q(~Q(customer_id=ONE)),
        ~Q(~Q(customer_id=ONE) | Q(total=99)),
        ~(~Q(customer_id=ONE) | ~Q(store_id=3)),
        ~Q(total=99) & ~~Q(customer_id=ONE),
        Q(customer_id=ONE, total=99) ^ Q(customer_id=ONE),
        Q(pk__in=Order.objects.filter(customer_id=ONE)) | Q(customer_id=ONE, total=7),
        Q(customer=Value(ONE)),
        Q(customer=True) | Q(customer_id=str(ONE)) | Q(customer_id=Decimal(ONE)),
        Q(customer__in=(id for id in [ONE])),
        Q(customer__in={ONE, None}),
        Q(Exact(F("customer_id"), ONE)),
        Q(In(F("customer_id"), [ONE])),
        Q(customer__in=Customer.objects.filter(pk=ONE)[:5]),
        Q(customer_id=Customer.objects.filter(pk=ONE).values("pk")[:1]),
        Q(customer_id=Subquery(Customer.objects.filter(pk=ONE).values("pk"))),
        Q(customer_id__in=Subquery(Customer.objects.filter(pk=ONE).values("pk"))),
        Q(lines__customer_id=ONE),
    ],
)
def test_conditions_that_name_the_key_in_a_roundabout_way(orders, asked, first, condition):
    with asked() as aliases:
        assert totals(Order.objects.filter(condition).distinct()) == [0, 1, 2]
    assert aliases == [first]


@pytest.mark.parametrize(
    "condition",
    [
        ~Q(~Q(customer_id=ONE) & Q(total=1)),
        ~Q(Q(customer_id=ONE) ^ Q(total=1)),
        Q(customer_id=ONE) | Q(pk__in=LOOSE.values("order")),
        Exact(Coalesce("customer_id", 0), ONE),
        Q(customer_id__isnull=True),
        Q(wishes__customer_id=ONE),
        Q(customer__id__range=(ONE, ONE)),
        Q(customer_id=F("total")),
        Q(pk__in=[ONE, F("total")]),
        Q(pk=Coalesce("replaces", ONE)),
    ],
)
def test_conditions_that_only_seem_to_name_the_key_are_refused(orders, asked, condition):
    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(Order.objects.filter(condition))
    assert aliases == []


def test_a_lookup_of_the_projects_own_names_nothing(orders, asked):
    class NotEqual(Exact):
        lookup_name = "ne"

        def get_rhs_op(self, connection, rhs):
            return f"<> {rhs}"

    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(Order.objects.filter(NotEqual(F("customer_id"), ONE)))
    assert aliases == []


def test_a_condition_beside_a_window_in_an_or_does_not_narrow(orders, asked):
    """The rank is taken over all orders before such a condition is looked at."""
    ranked = Order.objects.annotate(rank=Window(Rank(), order_by="-total"))
    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(ranked.filter(Q(customer_id=ONE, rank=1) | Q(customer_id=ONE, rank=2)))
    assert aliases == []
    assert totals(ranked.filter(customer_id=ONE, rank=1)) == [2]  # this one is looked at first


def test_filtered_relations(orders, first):
    def few(**condition: object) -> FilteredRelation:
        return FilteredRelation("lines", condition=Q(**condition))

    mine = Order.objects.filter(customer_id=ONE)
    assert totals(mine.annotate(few=few(lines__quantity=2)).filter(few__isnull=False)) == [0, 1, 2]
    assert totals(Order.objects.annotate(few=few(lines__quantity=2)).filter(few__customer_id=ONE)) == [0, 1, 2]
    paid = FilteredRelation("receipt", condition=Q(receipt__text__in=Subquery(Receipt.objects.values("text"))))
    for refused in (
        mine.annotate(few=few(lines__quantity__in=Subquery(LOOSE.values("quantity")))).filter(few__isnull=False),
        mine.annotate(few=few(lines__quantity__in=Subquery(LOOSE.values("quantity")))).annotate(n=F("few__quantity")),
        mine.annotate(paid=paid).select_related("paid"),
    ):
        with pytest.raises(CrossShardQuery):
            list(refused)


# Subqueries.


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


# Values that are written.


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


# Other ways to ask.


def test_the_next_row_by_date_is_looked_for_within_a_key_only(orders, asked):
    mine, same, theirs = (
        Note.objects.create(order=orders[id][0], customer_id=id, written=datetime(2026, 1, day, tzinfo=UTC))
        for day, id in enumerate((ONE, SAME_SHARD, OTHER), start=1)
    )
    assert mine.get_next_by_written(customer_id__in=[ONE, SAME_SHARD]) == same
    assert mine.get_next_by_written(customer_id=OTHER) == theirs
    assert theirs.get_previous_by_written(customer_id=ONE) == mine
    with pytest.raises(Note.DoesNotExist):
        mine.get_next_by_written(customer_id=ONE)
    with asked() as aliases, pytest.raises(UnroutableQuery):
        mine.get_next_by_written()
    assert aliases == []


def test_in_bulk_by_another_unique_column(orders, asked, first, last):
    written = datetime(2026, 1, 1, tzinfo=UTC)
    notes = {
        id: Note.objects.create(order=orders[id][0], customer_id=id, text=str(id), written=written)
        for id in (ONE, OTHER)
    }
    with asked() as aliases:
        found = Note.objects.in_bulk([orders[ONE][0].pk, orders[OTHER][0].pk], field_name="order_id")
        assert found == {orders[id][0].pk: notes[id] for id in (ONE, OTHER)}
        assert Note.objects.in_bulk([], field_name="order_id") == {}
        assert Customer.objects.in_bulk([ONE, 5]).keys() == {ONE}
    assert aliases == [first, last, first]
    with pytest.raises(ValueError, match="must be a unique field"):
        Note.objects.in_bulk([1], field_name="text")


def test_dates_extremes_and_membership(orders):
    mine = Order.objects.filter(customer_id=ONE)
    assert list(mine.dates("placed", "day", order="DESC")) == [date(2026, 1, n) for n in (3, 2, 1)]
    assert mine.earliest("placed") == orders[ONE][0]
    assert mine.latest("placed") == orders[ONE][2]
    assert mine.contains(orders[ONE][1])
    assert not mine.contains(orders[OTHER][1])
    assert "Seq Scan" in mine.explain() or "Index" in mine.explain()
    for refused in (
        lambda: list(Order.objects.dates("placed", "day")),
        lambda: Order.objects.earliest("placed"),
        lambda: Order.objects.filter(total=1).contains(orders[ONE][1]) and Order.objects.explain(),
    ):
        with pytest.raises(UnroutableQuery):
            refused()


def test_a_pickled_queryset_routes_as_before(orders, asked, last):
    query = pickle.loads(pickle.dumps(Order.objects.filter(customer_id=OTHER).query))  # noqa: S301
    again = Order.objects.all()
    again.query = query
    with asked() as aliases:
        assert totals(again) == [20, 21, 22]
    assert aliases == [last]
    assert totals(pickle.loads(pickle.dumps(Order.objects.filter(customer_id=OTHER)))) == [20, 21, 22]  # noqa: S301


def test_a_clone_decides_for_itself(orders, asked, first, last):
    everything = Order.objects.filter(customer_id__in=[ONE, OTHER])
    with asked() as aliases:
        assert totals(everything.filter(customer_id=ONE)) == [0, 1, 2]
        assert totals(everything.filter(customer_id=OTHER)) == [20, 21, 22]
        assert totals(everything) == [0, 1, 2, 20, 21, 22]
    assert aliases == [first, last, first, last]


def test_proxies_are_routed_like_their_model(orders, asked, last):
    with asked() as aliases:
        assert totals(UrgentOrder.objects.filter(customer_id=OTHER)) == [20, 21, 22]
        assert UrgentOrder.objects.get(pk=orders[OTHER][1].pk).total == 21
        assert UrgentOrder.objects.filter(lines__in=LOOSE, customer=OTHER).count() == 3
        made = UrgentOrder.objects.create(customer_id=OTHER, store_id=1, total=5)
        assert made.customer.orders.filter(total=5).update(total=6) == 1
    assert set(aliases) == {last}
    with pytest.raises(UnroutableQuery):
        UrgentOrder.objects.count()


def test_many_to_many_goes_through_rows_of_the_same_key(orders, asked, last, first):
    order, other = orders[OTHER][:2]
    with asked() as aliases:
        tag = Tag.objects.create(customer_id=OTHER, name="gift")
        order.tags.add(tag, through_defaults={"customer_id": OTHER})
        tag.orders.add(other, through_defaults={"customer_id": OTHER})
        assert [t.name for t in order.tags.all()] == ["gift"]
        assert sorted(o.total for o in tag.orders.all()) == [20, 21]
        assert totals(Order.objects.filter(customer=OTHER, tags__name="gift")) == [20, 21]
        assert totals(Order.objects.filter(tags=tag)) == [20, 21]
        found = Order.objects.filter(customer=OTHER).order_by("total").prefetch_related("tags")
        assert [[t.name for t in o.tags.all()] for o in found] == [["gift"], ["gift"], []]
        order.tags.remove(tag)
        tag.orders.set([orders[OTHER][2]], through_defaults={"customer_id": OTHER})
        assert [label.order_id for label in Label.objects.filter(tag=tag)] == [orders[OTHER][2].pk]
        tag.orders.clear()
        assert Label.objects.filter(tag=tag).count() == 0
    assert set(aliases) == {last}
    tag.orders.add(order, through_defaults={"customer_id": OTHER})
    with pytest.raises(CrossShardQuery):
        list(Order.objects.filter(pk__in=[orders[ONE][0].pk, order.pk]).prefetch_related("tags"))
    with pytest.raises(MisplacedRow), sharding.atomic(tag):
        tag.orders.add(orders[ONE][0], through_defaults={"customer_id": OTHER})
    assert Label.objects.filter(tag=tag).count() == 1


def test_unions_over_shards_are_not_counted_part_by_part(orders):
    """Their parts may share rows."""
    some = Order.objects.filter(customer_id=ONE).values_list("store_id")
    others = Order.objects.filter(customer_id=OTHER).values_list("store_id")
    with pytest.raises(CrossShardQuery):
        some.union(others).count()
    assert some.union(Order.objects.filter(customer_id=SAME_SHARD).values_list("store_id")).count() == 1


def test_an_aggregate_of_nothing_over_shards(orders):
    some = Order.objects.filter(pk__in=[orders[ONE][0].pk, orders[OTHER][0].pk])
    for rows in (some, some.filter(total=99)):
        assert rows.aggregate(s=Sum("total", filter=Q(pk__in=[]))) == {"s": None}


def test_composite_keys_in_every_form(orders, asked, first, last):
    for customer_id in (ONE, OTHER):
        Favourite.objects.bulk_create([Favourite(customer_id=customer_id, product_id=n, rank=n) for n in (1, 2)])
    with asked() as aliases:
        assert Favourite.objects.get(pk=(str(OTHER), "2")).rank == 2
        assert Favourite.objects.filter(pk__in=[(ONE, 1), (SAME_SHARD, 1)]).count() == 1
        assert Customer.objects.filter(favourites=(OTHER, 1)).get().pk == OTHER
        nearby = Favourite.objects.filter(pk=OuterRef("pk"), rank=1)
        assert Favourite.objects.filter(customer=OTHER).filter(Exists(nearby)).get().product_id == 1
        assert [f.rank for f in Customer.objects.get(pk=OTHER).favourites.order_by("rank")] == [1, 2]
    assert aliases == [last, first, last, last, last, last]
    with pytest.raises(UnroutableQuery):
        list(Favourite.objects.filter(product_id=1))


def test_related_managers_write_where_their_row_is(orders, asked, last):
    order = orders[OTHER][0]
    line = order.lines.first()
    with asked() as aliases:
        assert order.lines.create(customer_id=OTHER, quantity=7)._state.db == last
        assert order.lines.get_or_create(quantity=7, defaults={"customer_id": OTHER})[1] is False
        assert order.lines.update_or_create(quantity=7, defaults={"product_id": 5})[0].product_id == 5
        assert orders[OTHER][1].lines.count() == 2
        orders[OTHER][1].lines.add(line)
        assert orders[OTHER][1].lines.count() == 3
        order.replaced_by.set(orders[OTHER][1:])
        assert totals(order.replaced_by.all()) == [21, 22]
        order.replaced_by.remove(orders[OTHER][1])
        order.replaced_by.clear()
        assert totals(order.replaced_by.all()) == []
    assert set(aliases) == {last}
    for misplaced in (
        lambda: order.replaced_by.add(orders[ONE][0]),
        lambda: order.lines.create(customer_id=ONE),
        lambda: Customer.objects.get(pk=OTHER).orders.get_or_create(code="x", defaults={"customer_id": ONE}),
    ):
        with pytest.raises((ShardingError, ValueError, TypeError)), sharding.atomic(order):
            misplaced()
    assert set(everywhere(Order, "replaces")) == {None}
    assert everywhere(Order, "customer_id") == [ONE] * 3 + [SAME_SHARD] * 3 + [OTHER] * 3


def test_greater_lookups_as_expressions_do_not_route(orders, asked):
    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(Order.objects.filter(GreaterThan(F("customer_id"), ONE)))
    assert aliases == []
