"""Other ways to ask than a filter: dates, pickles, proxies, unions, related managers."""

import pickle
from datetime import UTC, date, datetime

import pytest
from django.db.models import Exists, OuterRef, Q, Sum

import sharding
from sharding import CrossShardQuery, MisplacedRow, UnroutableQuery
from sharding.errors import ShardingError
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.hidden.conftest import LOOSE, everywhere, totals
from tests.sharding.shop.models import Customer, Favourite, Label, Note, Order, Tag, UrgentOrder

pytestmark = pytest.mark.django_db(databases="__all__")


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
