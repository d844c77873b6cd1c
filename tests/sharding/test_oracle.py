"""Random queries against one database that holds everything: the same answer, or a refusal, never another answer.

``--hypothesis-seed`` repeats a run; ``ORACLE_EXAMPLES`` makes it longer (300 by default).
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.models import Avg, Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from hypothesis import HealthCheck, Phase, event, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from psycopg import sql

import sharding
from sharding import CrossShardQuery, UnroutableQuery, routing
from tests.sharding.shop.models import Customer, Line, Order, Receipt

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "300"))
ORACLE = "oracle"
CUSTOMERS = [3, 7, 2_500, 3_100, 4_999, 5_000, 5_007, 7_777, 9_999, 10_007, 12_500, 19_999]
MODELS = [Customer, Order, Line, Receipt]

Refusal = (UnroutableQuery, CrossShardQuery)


# The world: the same rows on the shards and, under the same ids, in the oracle.


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator["World"]:
    with django_db_blocker.unblock():
        _create_oracle()
        try:
            yield _fill()
        finally:
            for alias in sharding.aliases("customer"):
                with connections[alias].cursor() as cursor:
                    cursor.execute("TRUNCATE shop_customer CASCADE")
            _drop_oracle()


class World:
    def __init__(self, orders: list[int], lines: list[int]) -> None:
        self.orders = orders
        self.lines = lines


def _fill() -> World:
    for customer_id in CUSTOMERS:
        Customer.objects.create(id=customer_id, name=f"n{customer_id % 3}")
        made: list[Order] = []
        for n in range(1 + customer_id % 4):
            replaced = made[-1].pk if made and n % 2 else None
            made.append(
                Order.objects.create(
                    customer_id=customer_id, store_id=n % 3, total=(customer_id + n) % 7, replaces_id=replaced
                )
            )
        for n, order in enumerate(made):
            Line.objects.bulk_create(
                [
                    Line(order=order, customer_id=customer_id, quantity=q % 4, price=None if q == 2 else q)
                    for q in range(n % 4)
                ]
            )
            if n == 1:
                Receipt.objects.create(order=order, customer_id=customer_id, text="r")
    for model in MODELS:
        rows = [row for alias in sharding.aliases("customer") for row in QuerySet(model, using=alias).order_by("pk")]
        QuerySet(model, using=ORACLE).bulk_create(rows)
    orders = list(Order.objects.using(ORACLE).order_by("customer_id", "id").values_list("id", flat=True))
    return World(orders, list(Line.objects.using(ORACLE).order_by("customer_id", "id").values_list("id", flat=True)))


def _create_oracle() -> None:
    like = connections[sharding.aliases("customer")[0]]
    name = f"{like.settings_dict['NAME']}_oracle"
    with like.creation._nodb_cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connections.databases[ORACLE] = {**like.settings_dict, "NAME": name}
    with connections[ORACLE].schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)


def _drop_oracle() -> None:
    name = connections[ORACLE].settings_dict["NAME"]
    connections[ORACLE].close()
    with connections[sharding.aliases("customer")[0]].creation._nodb_cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    del connections.databases[ORACLE]
    del connections[ORACLE]


# The questions. Drawn as data, so that they can be asked twice; ids are drawn as positions in the world's lists.

customers = st.sampled_from(CUSTOMERS)
position = st.integers(0, 10_000)
positions = st.lists(position, min_size=0, max_size=5)
small = st.integers(0, 6)

naming = st.one_of(
    st.tuples(st.just("customer"), customers),
    st.tuples(st.just("order"), position),
    st.tuples(st.just("customers"), st.lists(customers, max_size=4)),
    st.tuples(st.just("orders"), positions),
)
atoms = st.one_of(
    naming,
    naming,
    st.tuples(
        st.sampled_from(
            [
                "customer_text", "joined_customer", "customer_above", "line", "total", "total_above", "store",
                "lines_quantity", "no_price", "name", "line_customer", "replaces", "replaced", "replaced_by_customer",
                "receipt", "no_lines_in", "f_total", "key_is_total", "value", "in_own_lines", "in_any_customer",
                "in_named_customer", "in_sliced", "in_nullable", "exists_tied", "exists_loose", "exists_other_key",
                "exists_outer_key", "scalar_tied", "scalar_loose", "scalar_named", "lines_of_lines",
            ]
        ),
        position,
    ),
)  # fmt: skip
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(st.just("and"), inner, inner),
        st.tuples(st.just("and"), inner, inner),
        st.tuples(st.just("or"), inner, inner),
        st.tuples(st.just("xor"), inner, inner),
        st.tuples(st.just("not"), inner),
    ),
    max_leaves=5,
)
orderings = st.lists(
    st.sampled_from(["total", "-total", "store_id", "customer_id", "-customer_id", "replaces_id", "-replaces_id", "n"]),
    max_size=2,
)
annotated = st.sampled_from(["", "", "", "count_lines", "sum_lines", "tied", "loose", "named", "plain"])
answers = st.sampled_from(
    [
        "rows", "ids", "slice", "slice", "slice", "values", "tuples", "count", "sliced_count", "exists", "aggregate",
        "aggregate_sub", "group", "distinct_values", "distinct", "first", "last", "prefetch", "select_related", "union",
        "in_bulk", "iterator", "update", "update_sub", "reverse",
    ]
)  # fmt: skip
cases = st.fixed_dictionaries(
    {
        "condition": st.one_of(conditions, st.tuples(st.just("and"), naming, conditions)),
        "excluded": st.none() | st.none() | atoms,
        "again": st.none() | conditions,
        "annotated": annotated,
        "ordering": orderings,
        "low": st.integers(0, 3),
        "length": st.integers(0, 5),
        "answer": answers,
        "named": customers,
    }
)


def condition(drawn: Any, world: World) -> Any:
    kind, *rest = drawn
    if kind in ("and", "or", "xor"):
        one, other = (condition(part, world) for part in rest)
        return one & other if kind == "and" else one | other if kind == "or" else one ^ other
    if kind == "not":
        return ~condition(rest[0], world)
    (given,) = rest
    return Q(_ATOMS[kind](given, world)) if kind in _ATOMS else None


def _order(n: int, world: World) -> int:
    return world.orders[n % len(world.orders)]


def _customer(n: int) -> int:
    return CUSTOMERS[n % len(CUSTOMERS)]


_TIED = Line.objects.filter(order=OuterRef("pk"))

_ATOMS: dict[str, Callable[[Any, World], Any]] = {
    "customer": lambda n, w: Q(customer_id=n),
    "order": lambda n, w: Q(pk=_order(n, w)),
    "customers": lambda ns, w: Q(customer__in=ns),
    "orders": lambda ns, w: Q(pk__in=[_order(n, w) for n in ns]),
    "customer_text": lambda n, w: Q(customer=str(_customer(n))),
    "joined_customer": lambda n, w: Q(customer__id__exact=_customer(n)),
    "customer_above": lambda n, w: Q(customer_id__gt=_customer(n)),
    "line": lambda n, w: Q(lines=w.lines[n % len(w.lines)]),
    "total": lambda n, w: Q(total=n % 7),
    "total_above": lambda n, w: Q(total__gt=n % 7),
    "store": lambda n, w: Q(store_id=n % 3),
    "lines_quantity": lambda n, w: Q(lines__quantity__gt=n % 4),
    "no_price": lambda n, w: Q(lines__price__isnull=bool(n % 2)),
    "name": lambda n, w: Q(customer__name=f"n{n % 3}"),
    "line_customer": lambda n, w: Q(lines__customer_id=_customer(n)),
    "replaces": lambda n, w: Q(replaces=_order(n, w)),
    "replaced": lambda n, w: Q(replaced_by__total__gte=n % 7),
    "replaced_by_customer": lambda n, w: Q(replaces__customer=_customer(n)),
    "receipt": lambda n, w: Q(receipt__isnull=bool(n % 2)),
    "no_lines_in": lambda n, w: Q(lines__in=[]),
    "f_total": lambda n, w: Q(total=F("store_id")),
    "key_is_total": lambda n, w: Q(customer_id=F("total")),
    "value": lambda n, w: Q(customer_id=Value(_customer(n))),
    "in_own_lines": lambda n, w: Q(pk__in=Line.objects.filter(quantity=n % 4).values("order")),
    "in_any_customer": lambda n, w: Q(customer__in=Customer.objects.filter(name=f"n{n % 3}")),
    "in_named_customer": lambda n, w: Q(customer__in=Customer.objects.filter(pk__in=[_customer(n), _customer(n + 5)])),
    "in_sliced": lambda n, w: Q(pk__in=Line.objects.filter(quantity=1).order_by("-pk").values("order")[: n % 5]),
    "in_nullable": lambda n, w: Q(pk__in=Order.objects.filter(total__gt=n % 7).values("replaces")),
    "exists_tied": lambda n, w: Exists(_TIED.filter(quantity=n % 4)),
    "exists_loose": lambda n, w: Exists(Line.objects.filter(quantity=OuterRef("total"), price__gt=n % 4)),
    "exists_other_key": lambda n, w: Exists(Line.objects.filter(customer_id=_customer(n), quantity=OuterRef("total"))),
    "exists_outer_key": lambda n, w: Exists(Line.objects.filter(customer_id=OuterRef("customer"), quantity__gt=n % 4)),
    "scalar_tied": lambda n, w: Q(total__gt=Subquery(_TIED.order_by("-quantity", "pk").values("quantity")[:1])),
    "scalar_loose": lambda n, w: Q(total=Subquery(Line.objects.order_by("-pk").values("quantity")[:1])),
    "scalar_named": lambda n, w: Q(
        total__gt=Subquery(Line.objects.filter(customer_id=_customer(n)).order_by("pk").values("quantity")[:1])
    ),
    "lines_of_lines": lambda n, w: Q(lines__in=Line.objects.filter(order__in=Order.objects.filter(total__gt=n % 7))),
}


def _annotation(kind: str, named: int) -> dict[str, Any]:
    lines = Line.objects.order_by("pk").values("quantity")
    return {
        "": {},
        "count_lines": {"n": Count("lines")},
        "sum_lines": {"n": Coalesce(Sum("lines__quantity"), 0)},
        "tied": {"n": Subquery(lines.filter(order=OuterRef("pk"))[:1])},
        "loose": {"n": Subquery(lines[:1])},
        "named": {"n": Subquery(lines.filter(customer_id=named)[:1])},
        "plain": {"n": F("total") * 2 - F("store_id")},
    }[kind]


def ask(start: QuerySet[Order], case: dict[str, Any], world: World, restore: Callable[[], None]) -> Any:
    """What the case's question is answered with, in a form that two databases can be compared by."""
    ordering = [term for term in case["ordering"] if term != "n" or case["annotated"]]
    total_order = [*dict.fromkeys(ordering), "pk"]
    queryset = start.filter(condition(case["condition"], world))
    if case["annotated"]:
        queryset = queryset.annotate(**_annotation(case["annotated"], case["named"]))
    if case["excluded"] is not None:
        queryset = queryset.exclude(condition(case["excluded"], world))
    if case["again"] is not None:
        queryset = queryset.filter(condition(case["again"], world))
    return _ANSWERS[case["answer"]](queryset, total_order, case, restore)


def _cut(queryset: QuerySet[Any], case: dict[str, Any]) -> QuerySet[Any]:
    return queryset[case["low"] : case["low"] + case["length"]]


def _updated(count: int, restore: Callable[[], None], queryset: QuerySet[Order]) -> Any:
    """The count, and every total afterwards, wherever the queryset was run."""
    aliases = [ORACLE] if queryset._db == ORACLE else sharding.aliases("customer")
    after = sorted(row for alias in aliases for row in Order.objects.using(alias).values_list("pk", "total"))
    restore()
    return count, after


_ANSWERS: dict[str, Callable[..., Any]] = {
    "rows": lambda q, o, c, r: sorted((x.pk, x.total, getattr(x, "n", None)) for x in q),
    "ids": lambda q, o, c, r: sorted(q.values_list("pk", flat=True)),
    "slice": lambda q, o, c, r: [x.pk for x in _cut(q.order_by(*o), c)],
    "values": lambda q, o, c, r: list(_cut(q.order_by(*o).values("pk", *(t.lstrip("-") for t in o[:-1])), c)),
    "tuples": lambda q, o, c, r: list(_cut(q.order_by(*o).values_list(*(t.lstrip("-") for t in o)), c)),
    "count": lambda q, o, c, r: q.count(),
    "sliced_count": lambda q, o, c, r: _cut(q.order_by(*o), c).count(),
    "exists": lambda q, o, c, r: q.exists(),
    "aggregate": lambda q, o, c, r: q.aggregate(s=Sum("total"), m=Max("pk"), a=Avg("total"), k=Count("pk")),
    "aggregate_sub": lambda q, o, c, r: q.aggregate(
        s=Sum(Subquery(Line.objects.filter(customer_id=c["named"]).order_by("pk").values("quantity")[:1]))
    ),
    "group": lambda q, o, c, r: sorted(
        q.order_by().values("store_id").annotate(k=Count("pk")).values_list("store_id", "k")
    ),
    "distinct_values": lambda q, o, c, r: sorted(q.order_by().values_list("total", flat=True).distinct()),
    "distinct": lambda q, o, c, r: [x.pk for x in _cut(q.distinct().order_by(*o), c)],
    "first": lambda q, o, c, r: getattr(q.order_by(*o).first(), "pk", None),
    "last": lambda q, o, c, r: getattr(q.order_by(*o).last(), "pk", None),
    "reverse": lambda q, o, c, r: [x.pk for x in _cut(q.order_by(*o).reverse(), c)],
    "prefetch": lambda q, o, c, r: _with_lines(q),
    "select_related": lambda q, o, c, r: sorted(
        (x.pk, x.customer.name) for x in q.select_related("customer", "replaces")
    ),
    "union": lambda q, o, c, r: sorted(x.pk for x in q.union(q.filter(total=1))),
    "in_bulk": lambda q, o, c, r: sorted(q.in_bulk()),
    "iterator": lambda q, o, c, r: [x.pk for x in _cut(q.order_by(*o), c).iterator(chunk_size=2)],
    "update": lambda q, o, c, r: _updated(q.update(total=F("total") + 100), r, q),
    "update_sub": lambda q, o, c, r: _updated(
        q.update(total=Coalesce(Subquery(_loose(c).values("quantity")[:1]), 50)), r, q
    ),
}  # fmt: skip


def _loose(case: dict[str, Any]) -> QuerySet[Line]:
    lines = Line.objects.order_by("-quantity", "pk")
    return lines.filter(order=OuterRef("pk")) if case["low"] else lines.filter(customer_id=case["named"])


def _with_lines(queryset: QuerySet[Order]) -> Any:
    if queryset._db == ORACLE:
        lines = Line.objects.using(ORACLE)
        return sorted((x.pk, sorted(lines.filter(order_id=x.pk).values_list("pk", flat=True))) for x in queryset)
    return sorted((x.pk, sorted(line.pk for line in x.lines.all())) for x in queryset.prefetch_related("lines"))


def _restore(*aliases: str) -> Callable[[], None]:
    totals = {alias: list(Order.objects.using(alias).values_list("pk", "total")) for alias in aliases}

    def restore() -> None:
        for alias, rows in totals.items():
            Order.objects.using(alias).bulk_update([Order(pk=pk, total=total) for pk, total in rows], ["total"])

    return restore


def outcome(case: dict[str, Any], world: World) -> str:
    """``equal``, ``refused`` or ``wrong: …``."""
    try:
        found = ask(Order.objects.all(), case, world, _restore(*sharding.aliases("customer")))
    except Refusal as refusal:
        return f"refused by {type(refusal).__name__}"
    expected = ask(Order.objects.using(ORACLE), case, world, _restore(ORACLE))
    return "equal" if found == expected else f"wrong: {found} instead of {expected}"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases)
def test_an_answer_is_the_one_of_a_single_database_or_refused(world: World, case: dict[str, Any]) -> None:
    found = outcome(case, world)
    event(found[:30])
    assert not found.startswith("wrong"), found


def test_most_questions_that_name_a_key_are_answered(world: World) -> None:
    answered = []

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(cases.map(lambda case: {**case, "condition": ("and", ("customer", 7), case["condition"])}))
    def count(case: dict[str, Any]) -> None:
        answered.append(outcome(case, world) == "equal")

    count()
    assert sum(answered) / len(answered) > 0.4


@pytest.mark.parametrize(
    ("name", "replacement", "among"),
    [
        ("_of_node", lambda node, aliases: _first_seen(node, aliases), {}),
        ("_is_plain", lambda query: True, {"annotated": "loose", "answer": "rows"}),
    ],
    ids=["any equality wins", "subqueries are not looked at"],
)
def test_the_comparison_catches_a_careless_router(world, monkeypatch, name, replacement, among) -> None:
    monkeypatch.setattr(routing, name, replacement)
    careful = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    careful = settings(careful, phases=[Phase.generate])  # one example will do, it need not be small
    try:
        find(
            cases.map(lambda case: case | among),
            lambda case: outcome(case, world).startswith("wrong"),
            settings=careful,
        )
    except NoSuchExample:
        pytest.fail("3000 random queries did not show what is wrong with it")


def _first_seen(node: Any, aliases: Any) -> Any:
    """What routing by the keyword arguments of ``filter()`` amounts to."""
    for child in node.children:
        found = _first_seen(child, aliases) if hasattr(child, "children") else routing._of_leaf(child, aliases)
        if found:
            return found
    return None
