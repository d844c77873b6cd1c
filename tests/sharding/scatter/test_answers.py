"""What all shards answer as one, by example."""

import pickle
import random
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.db.models import Avg, Count, F, Max, Min, OuterRef, Prefetch, Q, Subquery, Sum, Value, Window
from django.db.models.functions import Collate, Lower, Rank
from django.test.utils import CaptureQueriesContext

from sharding import CrossShardQuery, UnroutableQuery, statements
from sharding.merging import aggregates
from tests.sharding.conftest import ONE, OTHER, SAME_SHARD
from tests.sharding.scatter.conftest import NAMES, totals
from tests.sharding.shop.models import Customer, Line, Order, Stock, Store

pytestmark = pytest.mark.django_db(databases="__all__")


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


def test_a_tied_subquery_and_a_window_within_the_key_are_allowed(orders):
    lines = Line.objects.filter(order=OuterRef("pk")).order_by("-quantity").values("quantity")
    best = Order.objects.scatter().annotate(
        most=Subquery(lines[:1]), place=Window(Rank(), partition_by="customer", order_by=F("total").desc())
    )
    assert list(best.order_by("place", "total").values_list("total", "most", "place")[:4]) == [
        (2, 2, 1), (12, 2, 1), (22, 2, 1), (1, 2, 2),
    ]  # fmt: skip
