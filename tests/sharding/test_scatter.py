"""Asking all shards at once, by example. ``test_scatter_random`` is the sweep, ``test_scatter_missing`` the faults."""

import pickle
import random
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.db.models import (
    Avg,
    BooleanField,
    Count,
    F,
    Func,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    StdDev,
    Subquery,
    Sum,
    Value,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Collate, Lower, Rank
from django.test.utils import CaptureQueriesContext

import sharding
from sharding import CrossShardQuery, CrossShardTransaction, UnroutableQuery, statements, topology
from sharding.merging import aggregates
from sharding.topology import Keyspace
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.shop.models import Customer, Line, Order, Stock, Store

pytestmark = pytest.mark.django_db(databases="__all__")

NAMES = {ONE: "ä", SAME_SHARD: "z", OTHER: "\U0001f34e"}


@pytest.fixture
def orders() -> dict[int, list[Order]]:
    """Three orders each, with a line of 1.00 and one without a price: totals 0, 1, 2, then 10, 11, 12, then 20, 21, 22.

    The first customer and the second are on the first shard, the third on the last.
    """
    made = {}
    for tens, customer_id in enumerate((ONE, SAME_SHARD, OTHER)):
        Customer.objects.create(id=customer_id, name=NAMES[customer_id])
        made[customer_id] = [
            Order.objects.create(customer_id=customer_id, store_id=n, total=10 * tens + n) for n in range(3)
        ]
        for order in made[customer_id]:
            Line.objects.create(order=order, customer_id=customer_id, quantity=1, price=Decimal(1))
            Line.objects.create(order=order, customer_id=customer_id, quantity=2, price=None)
    return made


def totals(queryset: Any) -> list[int]:
    return [order.total for order in queryset]


# Answers.


def test_every_shard_is_asked_once_and_all_answer_as_one(orders, asked, first, last):
    everything = Order.objects.scatter()
    for question, answer in [
        (lambda: totals(everything.order_by("total")), [0, 1, 2, 10, 11, 12, 20, 21, 22]),
        (lambda: totals(everything.order_by("-total")[2:5]), [20, 12, 11]),
        (lambda: totals(everything.filter(store_id=1).order_by("-total")), [21, 11, 1]),
        (lambda: everything.order_by("total")[4].total, 11),
        (lambda: everything.count(), 9),
        (lambda: everything[2:5].count(), 3),
        (lambda: everything[8:20].count(), 1),
        (lambda: everything.filter(total=21).exists(), True),
        (lambda: everything.filter(total=23).exists(), False),
        (lambda: everything[8:9].exists(), True),
        (lambda: everything[9:10].exists(), False),
        (lambda: everything.order_by("total").last().total, 22),
        (lambda: everything.earliest("total").total, 0),
        (lambda: everything.latest("total").total, 22),
        (lambda: everything.get(total=21).customer_id, OTHER),
        (lambda: sorted(order.total for order in everything.in_bulk().values()), [0, 1, 2, 10, 11, 12, 20, 21, 22]),
        (lambda: list(everything.order_by("total").values("total", "store_id")[3:5]),
         [{"total": 10, "store_id": 0}, {"total": 11, "store_id": 1}]),
        (lambda: list(everything.order_by("-total").values_list("store_id", "total")[:1]), [(2, 22)]),
        (lambda: list(everything.order_by("-total").values_list("store_id", flat=True)[:4]), [2, 1, 0, 2]),
        (lambda: sorted(everything.values_list("store_id", flat=True).distinct()), [0, 1, 2]),
        (lambda: everything.values("store_id").distinct().count(), 3),
        (lambda: totals(everything.order_by("store_id", "-total").distinct("store_id")), [20, 21, 22]),
        (lambda: everything.filter(lines__quantity__gt=0).distinct().count(), 9),
    ]:  # fmt: skip
        with asked() as aliases:
            assert question() == answer
        assert aliases == [first, last]


def test_aggregates_are_those_of_all_rows(orders, asked, first, last):
    with asked() as aliases:
        assert Order.objects.scatter().aggregate(
            Sum("total"), Avg("total"), n=Count("pk"), least=Min("total"), most=Max("total"),
            customers=Count("customer", distinct=True), odd=Sum("total", filter=Q(store_id=1)),
            none=Sum("total", filter=Q(total__gt=99)), instead=Sum("total", filter=Q(total__gt=99), default=-1),
        ) == {
            "total__sum": 99, "total__avg": 11.0, "n": 9, "least": 0, "most": 22, "customers": 3, "odd": 33,
            "none": None, "instead": -1,
        }  # fmt: skip
    assert aliases == [first, last]
    Line.objects.filter(order=orders[OTHER][0], price=1).update(price=Decimal("0.05"))
    found = Line.objects.scatter().aggregate(s=Sum("price"), a=Avg("price"), n=Count("price"), all=Count("*"))
    assert {name: str(value) for name, value in found.items()} == {
        "s": "8.05", "a": "0.89444444444444444444", "n": "9", "all": "18",
    }  # fmt: skip
    assert Order.objects.scatter().annotate(n=Count("lines")).aggregate(Avg("n"), Sum("n")) == {
        "n__avg": 2.0,
        "n__sum": 18,
    }


def test_groups_that_several_shards_have_become_one(orders, asked, first, last):
    by_store = Order.objects.scatter().values("store_id")
    with asked() as aliases:
        assert list(
            by_store.annotate(n=Count("pk"), s=Sum("total"), a=Avg("total"), m=Max("total")).order_by("-s")
        ) == [
            {"store_id": 2, "n": 3, "s": 36, "a": 12.0, "m": 22},
            {"store_id": 1, "n": 3, "s": 33, "a": 11.0, "m": 21},
            {"store_id": 0, "n": 3, "s": 30, "a": 10.0, "m": 20},
        ]
    assert aliases == [first, last]
    summed = by_store.annotate(s=Sum("total"))
    assert list(summed.filter(s__gte=33).order_by("s").values_list("s", flat=True)) == [33, 36]
    assert list(summed.exclude(s__gte=33).values_list("store_id", "s")) == [(0, 30)]
    assert list(summed.filter(Q(s=30) | Q(s__gt=35)).order_by("s")[1:].values_list("s", flat=True)) == [36]
    assert list(summed.alias(m=Max("total")).order_by("-m").values_list("store_id", flat=True)[:1]) == [2]
    assert summed.count() == 3
    assert summed.filter(s__gt=99).exists() is False
    by_customer = Order.objects.scatter().values("customer_id").annotate(s=Sum("total")).filter(s__gt=3)
    assert list(by_customer.order_by("s").values_list("customer_id", "s")) == [(SAME_SHARD, 33), (OTHER, 63)]


def test_rows_come_with_their_relations_in_as_many_statements_as_ever(orders, asked, first, last):
    with asked() as aliases:
        found = list(
            Order.objects.scatter().order_by("-total").select_related("customer").prefetch_related("lines")[:4]
        )
        assert [(o.total, o.customer.name, sorted(line.quantity for line in o.lines.all())) for o in found] == [
            (22, NAMES[OTHER], [1, 2]),
            (21, NAMES[OTHER], [1, 2]),
            (20, NAMES[OTHER], [1, 2]),
            (12, NAMES[SAME_SHARD], [1, 2]),
        ]
    assert aliases == [first, last] * 2
    with asked() as aliases:
        lines = Prefetch("lines", Line.objects.filter(quantity=2), to_attr="twos")
        only = Order.objects.scatter().filter(total__lt=2).only("customer").prefetch_related(lines)
        assert sorted(len(order.twos) for order in only) == [1, 1]
    assert aliases == [first, last, first]
    with asked() as aliases:  # a row knows where it is from, and is saved there
        order = Order.objects.scatter().select_related("customer").get(total=21)
        assert (order._state.db, order.customer._state.db) == (last, last)
        order.total = 99
        order.save()
        assert Order.objects.scatter().filter(customer=ONE).annotate(n=F("total") + 1).order_by("-n").first().n == 3
    assert aliases == [first, last, last, first]


def test_what_names_shards_asks_only_those(orders, asked, first, last):
    with asked() as aliases:
        assert Order.objects.scatter().filter(customer=OTHER).count() == 3
        assert Customer(id=ONE).orders.scatter().count() == 3
        assert list(Order.objects.scatter().filter(pk__in=[])) == []
        assert Order.objects.scatter().none().count() == 0
        assert Order.objects.scatter().in_bulk([]) == {}
    assert aliases == [last, first]
    # What one database answers, it answers in full: nothing has to be merged.
    mine = Order.objects.scatter().filter(customer=OTHER)
    assert totals(mine.filter(total=20).union(mine.filter(total=21)).order_by("total")) == [20, 21]
    assert totals(mine.order_by("code", "-total")[:2]) == [22, 21]


def test_text_is_merged_byte_by_byte_or_not_at_all(orders):
    customers = Customer.objects.scatter()
    bytewise = [NAMES[SAME_SHARD], NAMES[ONE], NAMES[OTHER]]
    assert [c.name for c in customers.order_by(Collate("name", "C"))] == bytewise
    assert [c.name for c in customers.order_by(Collate("name", "C").desc())[:2]] == bytewise[:0:-1]
    assert customers.aggregate(m=Max(Collate("name", "C"))) == {"m": NAMES[OTHER]}
    assert list(customers.values("name").annotate(n=Count("pk")).filter(n=2)) == []
    for refused in (
        lambda: list(customers.order_by("name")),
        lambda: list(customers.order_by(Lower("name"))),
        lambda: list(customers.order_by(Collate("name", "en-x-icu"))),
        lambda: customers.aggregate(Max("name")),
        lambda: list(customers.values(other=Collate("name", "en-x-icu")).distinct()),
    ):
        with pytest.raises(CrossShardQuery):
            refused()


def test_iterating_reads_in_chunks_and_leaves_no_cursor_behind(orders, asked, first, last):
    rows = Order.objects.scatter().order_by("total")
    with asked() as aliases:
        assert totals(rows.iterator(chunk_size=2)) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
        assert totals(rows.prefetch_related("lines").iterator(chunk_size=4)) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    # Two queries; then the lines of (0, 1, 2, 10), (11, 12, 20, 21) and (22).
    assert aliases == [first, last, first, last, first, first, last, last]
    some = rows.iterator(chunk_size=1)
    assert next(some).total == 0
    assert Order.objects.filter(customer=ONE).count() == 3  # the connections are free meanwhile
    assert next(some).total == 1
    some.close()
    for alias in (first, last):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors")
            assert cursor.fetchone() == (0,)
    with pytest.raises(ValueError, match="chunk_size"):
        rows.prefetch_related("lines").iterator()
    with pytest.raises(ValueError, match="above zero"):
        rows.iterator(chunk_size=0)


def test_iterating_fetches_only_what_is_consumed(first, last, django_assert_num_queries):
    for customer_id in (ONE, OTHER):
        Customer.objects.create(id=customer_id, name="c")
        Order.objects.bulk_create([Order(customer_id=customer_id, store_id=1, total=n) for n in range(70)])
    fetched = []

    def note(connection, statement):
        fetched.append(connection.alias)

    statements.observers.append(note)
    try:
        rows = Order.objects.scatter().order_by("total", "pk").iterator(chunk_size=1)
        seen = [next(rows).total for _ in range(30)]
        assert seen == sorted([*range(15), *range(15)])
        assert [row.total for row in rows][-1] == 69
    finally:
        statements.observers.remove(note)
    assert fetched == [first, last]  # the statement; fetching from it is not one, as with Django's own cursors


def test_the_same_calls_work_asynchronously(orders):
    async def all_of_it() -> tuple[object, ...]:
        rows = Order.objects.scatter().order_by("-total")
        return (
            [order.total async for order in rows[:2]],
            [order.total async for order in rows.aiterator(chunk_size=2)][:3],
            await rows.acount(),
            (await rows.afirst()).total,
            await rows.aaggregate(s=Sum("total")),
            await rows.filter(total=5).aexists(),
        )

    assert async_to_sync(all_of_it)() == ([22, 21], [22, 21, 20], 9, 22, {"s": 99}, False)


def test_the_mark_survives_what_querysets_go_through(orders, asked, first, last):
    marked = Order.objects.filter(total__gt=10).scatter(timeout=5, partial="return")
    assert totals(pickle.loads(pickle.dumps(marked.order_by("total")))) == [11, 12, 20, 21, 22]  # noqa: S301
    both = marked | Order.objects.filter(total=1)
    assert sorted(totals(both)) == [1, 11, 12, 20, 21, 22]
    assert marked.order_by("-total").defer("code").annotate(n=Value(1)).exclude(total=22)[0].total == 21
    assert marked.missing_shards == ()
    assert totals(marked.using(last).order_by("total")) == [20, 21, 22]
    assert repr(marked.order_by("total")[:1]) == f"<ShardedQuerySet [<Order: {orders[SAME_SHARD][1].pk}>]>"
    with pytest.raises(CrossShardQuery, match="say one of the two"):
        Order.objects.using(first).scatter()
    with pytest.raises(ValueError, match="partial"):
        Order.objects.scatter(partial="some")
    with pytest.raises(UnroutableQuery, match=r"say \.scatter\(\) to ask every shard"):
        Order.objects.count()


def test_statements_are_counted_logged_and_seen_by_observers(orders, first, last):
    with CaptureQueriesContext(connections[last]) as captured:
        assert Order.objects.scatter().filter(total=21).count() == 1
    (query,) = captured.captured_queries
    assert query["sql"].startswith('SELECT COUNT(*) AS "__count" FROM "shop_order" WHERE "shop_order"."total" = 21')
    assert float(query["time"]) < 5


def test_composite_keys(asked):
    for store_id in (5, 9005):
        Store.objects.create(id=store_id, name="s")
        Stock.objects.bulk_create([Stock(store_id=store_id, product_id=n, on_hand=n) for n in (1, 2)])
    stock = Stock.objects.scatter()
    assert [row.pk for row in stock.order_by("-pk")] == [(9005, 2), (9005, 1), (5, 2), (5, 1)]
    assert list(stock.filter(product_id=2).order_by("store_id").values_list("pk", "on_hand")) == [
        ((5, 2), 2),
        ((9005, 2), 2),
    ]
    assert list(stock.values("product_id").annotate(s=Sum("on_hand"), n=Count("pk")).order_by("product_id")) == [
        {"product_id": 1, "s": 2, "n": 2},
        {"product_id": 2, "s": 4, "n": 2},
    ]


# Refusals.


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


# Rows that a database holds and does not own.


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


# Values.


def test_averages_have_the_decimal_places_that_the_server_gives_them(first):
    rng = random.Random(7)  # noqa: S311
    cases = []
    for _ in range(3000):
        digits = rng.randint(1, 40)
        total = Decimal(rng.randrange(10**digits)).scaleb(-rng.choice([0, 0, 1, 2, 3, 4, 5, 12, 25]))
        cases.append(
            (-total if rng.random() < 0.5 else total, rng.choice([1, 2, 3, 6, 7, 9, 10, 9999, 10_000, 10_001]))
        )
    cases += [(Decimal(0), 3), (Decimal("0.000"), 7), (Decimal("0.00005"), 3), (Decimal("NaN"), 2)]
    with connections[first].cursor() as cursor:
        cursor.execute(
            "SELECT t / n FROM unnest(%s::numeric[], %s::numeric[]) u (t, n)",
            [list(part) for part in zip(*cases, strict=True)],
        )
        expected = [str(found) for (found,) in cursor.fetchall()]
    assert [str(aggregates.quotient(total, count)) for total, count in cases] == expected


def test_a_tied_subquery_and_a_window_within_the_key_are_allowed(orders):
    lines = Line.objects.filter(order=OuterRef("pk")).order_by("-quantity").values("quantity")
    best = Order.objects.scatter().annotate(
        most=Subquery(lines[:1]), place=Window(Rank(), partition_by="customer", order_by=F("total").desc())
    )
    assert list(best.order_by("place", "total").values_list("total", "most", "place")[:4]) == [
        (2, 2, 1), (12, 2, 1), (22, 2, 1), (1, 2, 2),
    ]  # fmt: skip
