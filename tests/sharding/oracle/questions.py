"""Random reads: a queryset, and one of the ways to get an answer out of it."""

from collections.abc import Callable

from tests.sharding.oracle.grammar import NUMBER, TABLES, Draw
from tests.sharding.oracle.judge import Step

Answer = Callable[[Draw, str, str], tuple[str, bool]]
"""Given a draw, a model and a queryset of it: the text, and whether the order of its rows is part of the answer."""


def question(draw: Draw, kind: str | None = None) -> Step:
    """One read. ``kind`` is one of ``KINDS``; drawn where it is not given."""
    kind = kind or draw.weighted([(weight, name) for name, (weight, _) in _ANSWERS.items()])
    model = draw.any_model()
    text, is_ordered = _ANSWERS[kind][1](draw, model, draw.queryset(model))
    return Step(kind, text, is_ordered)


def _annotated(draw: Draw, model: str, queryset: str) -> str:
    """With a number ``n`` for each row, perhaps filtered by it."""
    how = draw.one("annotate", "annotate", "annotate", "alias")
    text = f"{queryset}.{how}(n={draw.expression(model)})"
    if draw.maybe(0.4):
        text += f".filter(n{draw.one('', '__gt', '__lte')}={draw.value(NUMBER)})"
    if draw.maybe(0.1):
        text += f".filter({draw.naming(model)} | Q(n={draw.value(NUMBER)}))"
    return text


def _cut(draw: Draw) -> str:
    low, length = draw.one(0, 0, 1, 2), draw.one(0, 1, 2, 2, 3, 5)
    return draw.one(f"[{low}:{low + length}]", f"[:{length}]", f"[{low}:]")


def _rows(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    if draw.maybe(0.35):
        rows = _annotated(draw, model, rows)
    if draw.maybe(0.1):
        rows += ".distinct()"
    if draw.maybe(0.1):
        rows += draw.one(".only('pk')", ".defer('customer_id')") if model not in ("Customer", "Favourite") else ""
    return f"list({rows})", False


def _slice(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    if draw.maybe(0.15):
        rows = f"{rows}.annotate(n=Coalesce({draw.scalar(model)}, 0))"
        return f"list({draw.ordered(rows, model, draw.one('n', '-n'))}{_cut(draw)})", True
    ordered = draw.ordered(rows, model, *draw.terms(model))
    return f"list({ordered}{draw.one('', '', '.reverse()')}{_cut(draw)})", True


def _ordered_by_expression(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    rows = draw.one(rows, draw.theirs(model))
    term = draw.weighted(
        [
            (2, lambda: f"Coalesce({draw.scalar(model)}, 0)"),
            (1, lambda: f"Exists({draw.inner(draw.any_model(), model)})"),
            (2, lambda: f"Exists({draw.inner(draw.any_model(having=NUMBER), model, loosely=True)})"),
            (1, lambda: f"Case(When({draw.condition(model, 1)}, then=Value(1)), default=Value(0))"),
            (1, lambda: f"F('{TABLES[model].order[0]}').desc()"),
        ]
    )()
    return f"list({rows}.order_by({term}, {', '.join(map(repr, TABLES[model].order))}){_cut(draw)})", True


def _values(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    columns = sorted({draw._column(model) for _ in range(draw.one(1, 2, 2, 3))})
    named = ", ".join(map(repr, columns))
    shape = draw.one(f"values({named})", f"values_list({named})", f"values_list('{columns[0]}', flat=True)")
    if draw.maybe(0.2):
        shape = f"values({named}, k={draw.expression(model)})"
    rows = f"{rows}.{shape}{draw.one('', '', '', '.distinct()')}"
    if draw.maybe(0.4) and not rows.endswith("distinct()") and all("__" not in column for column in columns):
        return f"list({draw.ordered(rows, model, *columns)}{_cut(draw)})", True
    return f"list({rows})", False


def _distinct_on(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    terms = draw.terms(model) or ["-" + TABLES[model].order[0]]
    first = terms[0].removeprefix("-")
    return f"list({draw.ordered(rows, model, *terms)}.distinct('{first}'))", True


def _grouped(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    by = draw._column(model)
    much = draw.one("Count('pk')", "Count('customer_id')", f"Max('{draw._column(model)}')", "Min('pk')")
    if model in ("Favourite", "Customer"):
        much = f"Max('{draw._column(model)}')"
    text = f"{rows}.order_by().values('{by}').annotate(k={much})"
    if draw.maybe(0.4):
        naming = draw.naming(model)
        text += draw.one(".filter(k__gte=1)", f".filter(Q(k__gt=1) | {naming})", f".filter(Q(k__gt=0) & {naming})")
    return f"list({text})", False


def _aggregate(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    numbers = TABLES[model].columns.get(NUMBER)
    forms = [f"k=Max('{draw._column(model)}')", f"k=Count('{draw._column(model)}', distinct=True)"]
    if numbers:
        column = draw.one(*numbers)
        forms += [
            f"s=Sum('{column}'), a=Avg('{column}'), m=Max('{column}')",
            f"s=Sum('{column}', filter={draw.condition(model, 1)})",
            f"s=Sum('{column}', default={draw.one('0', draw.scalar(model))})",
            f"s=Sum('{column}'), t=F('s') + 1",
            f"s=Sum({draw.scalar(model)})",
        ]
    if draw.maybe(0.3):
        rows = f"{rows}.annotate(n={draw.expression(model)})"
        forms.append("s=Max('n')")
    if draw.maybe(0.1):
        rows = f"{draw.ordered(rows, model)}{_cut(draw)}"
    return f"{rows}.aggregate({draw.one(*forms)})", False


def _counted(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    if draw.maybe(0.2):
        rows = _annotated(draw, model, rows)
    if draw.maybe(0.2):
        rows += ".distinct()"
    if draw.maybe(0.3):
        rows = f"{draw.ordered(rows, model)}{_cut(draw)}"
    return f"{rows}.{draw.one('count()', 'count()', 'exists()')}", False


def _one(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    ordered = draw.ordered(rows, model, *draw.terms(model))
    last = TABLES[model].order[-1]
    return (
        draw.one(
            f"{ordered}.first()",
            f"{ordered}.last()",
            f"{rows}.get()",
            f"{rows}.get({draw.naming(model)})",
            f"m.{model}.objects.get({draw.naming(model)})",
            f"{rows}.earliest('{last}')" if model != "Favourite" else f"{rows}.earliest(*{TABLES[model].order})",
            f"{rows}.latest('{last}')" if model != "Favourite" else f"{rows}.latest(*{TABLES[model].order})",
            f"{ordered}[{draw.one(0, 1, 3)}]",
        ),
        False,
    )


def _in_bulk(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    if draw.maybe(0.3):
        return f"{rows}.in_bulk()", False
    if draw.maybe(0.4):
        return f"m.Note.objects.in_bulk({draw.values('order')}, field_name='order_id')", False
    orders = draw.one("m.Order.objects", f"m.Order.objects.filter({draw.condition('Order')})")
    return f"{orders}.in_bulk({draw.values('order')})", False


def _dates(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    rows = draw.queryset("Order")
    what = draw.one("dates('placed', 'day')", "dates('placed', 'month', order='DESC')")
    if draw.maybe(0.3):
        return f"list({draw.queryset('Note')}.datetimes('written', 'day'))", True
    return f"list({rows}.{what})", True


def _contains(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    rows = draw.queryset("Order")
    return f"{rows}.contains(m.Order(pk={draw.value('order')}))", False


def _iterated(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    return f"list({draw.ordered(rows, model, *draw.terms(model))}.iterator(chunk_size=2))", True


def _prefetched(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    table = TABLES[model]
    if not table.many:
        return _selected(draw, model, rows)
    relation = draw.one(*table.many)
    end = table.relations[relation]
    accessor = {"label": "label_set"}.get(relation, relation)
    inner = f"m.{end}.objects.{draw.one('filter', 'exclude')}({draw.condition(end, 1)})"
    if draw.maybe(0.2):
        inner = f"{draw.ordered(f'm.{end}.objects', end)}[:{draw.one(1, 2)}]"
    lookup = draw.one(f"'{accessor}'", f"Prefetch('{accessor}', queryset={inner})")
    read = f"[(x, sorted(y.pk for y in x.{accessor}.all())) for x in {rows}.prefetch_related({lookup})]"
    to_one = list(table.references)
    if to_one and draw.maybe(0.3):
        name = draw.one(*to_one)
        read = f"[(x.pk, x.{name}) for x in {rows}.prefetch_related('{name}')]"
    return read, False


def _selected(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    references = TABLES[model].references
    if not references:
        return f"list({rows})", False
    name = draw.one(*references)
    if model == "Order" and draw.maybe(0.3):
        read = "(x.pk, x.customer, getattr(x, 'receipt', None))"
        return f"[{read} for x in {rows}.select_related('customer', 'receipt')]", False
    return f"[(x.pk, x.{name}) for x in {rows}.select_related('{name}')]", False


def _combined(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    other = draw.queryset(model)
    if draw.maybe(0.3):
        other = _subqueried(draw, model)
    how = draw.one("union", "union", "intersection", "difference")
    column = draw.one(*[column for kind in TABLES[model].columns.values() for column in kind])
    form = draw.one("", ".values_list('{0}')", ".values_list('{0}', 'customer_id')")
    if model == "Customer" and "customer_id" in form:
        form = ".values_list('{0}')"
    form = form.format(column)
    if how == "union" and draw.maybe(0.3):
        form = form or f".values_list('{column}')"
        text = f"{rows}{form}.union({other}{form}, all=True)"
        return f"list({text})", False
    text = f"{rows}{form}.{how}({other}{form})"
    if draw.maybe(0.2):
        return f"{text}.count()", False
    if form and draw.maybe(0.3):
        return f"list({text}.order_by('{column}'))", False
    return f"list({text})", False


def _with_subquery(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    return f"list({_subqueried(draw, model)})", False


def _subqueried(draw: Draw, model: str) -> str:
    """The rows of one customer, but for what one subquery says."""
    kind = draw.one(*[kind for kind in TABLES[model].columns if kind != NUMBER])
    target = draw.one(*TABLES[model].columns[kind])
    condition = draw.weighted(
        [
            (5, lambda: draw.in_subquery(target, kind)),
            (2, lambda: draw.exists(model, tied=draw.maybe(0.6))),
            (2, lambda: draw.scalar_comparison(model, tied=draw.maybe(0.6))),
        ]
    )()
    rows = draw.one(draw.theirs(model), draw.theirs(model), f"m.{model}.objects.filter({draw.naming(model)})")
    return f"{rows}.{draw.one('filter', 'filter', 'exclude')}({condition})"


def _windowed(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    """Rows by their place among others, filtered by it in one way or another."""
    text = f"{rows}.annotate(n={draw.window(model)})"
    first, second = draw.naming(model), draw.naming(model)
    condition = draw.one(
        f"n={draw.one(1, 2)}",
        f"n__lte={draw.one(1, 2)}",
        f"({first} & Q(n=1)) | ({second} & Q(n__gt=1))",
        f"({first} & Q(n__lte=2)) | ({first} & Q(n=3))",
        f"~({first} & Q(n=1))",
        f"{first} & Q(n__lte=2)",
    )
    if draw.maybe(0.3):
        return f"list(m.{model}.objects.annotate(n={draw.window(model)}).filter({condition}))", False
    return f"list({text}.filter({condition}))", False


def _refined(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    """One queryset, asked, then narrowed, widened, and asked again."""
    narrowed = f"list(q.filter({draw.one(draw.naming(model), draw.condition(model))}))"
    widened = f"list(q | m.{model}.objects.filter({draw.naming(model)}))"
    rows = draw.one(rows, f"m.{model}.objects.filter({draw.naming(model)})")
    return f"(lambda q: (list(q), {draw.one(narrowed, widened)}, list(q)))({rows})", False


def _filtered_relation(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    table = TABLES[model]
    relation = draw.one(*table.relations)
    end = table.relations[relation]
    column = draw.one(*[column for kind in TABLES[end].columns.values() for column in kind])
    value = draw.one(draw.value(NUMBER), draw.value("customer"))
    text = f"{rows}.annotate(fr=FilteredRelation('{relation}', condition=Q({relation}__{column}__gte={value})))"
    end_of = draw.one(f".filter(fr__{column}={value})", ".filter(fr__isnull=True)", "")
    count = "" if end == "Favourite" else ".annotate(n=Count('fr'))"
    return f"list({text}{end_of}{count})", False


def _related(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    order = f"m.Order.objects.get(pk={draw.value('order')})"
    customer = f"m.Customer.objects.get(pk={draw.value('customer')})"
    note = f"m.Note.objects.get(pk={draw.value('note')})"
    return (
        draw.one(
            f"list({order}.lines.all())",
            f"list({order}.lines.filter({draw.condition('Line')}))",
            f"{order}.lines.aggregate(k=Sum('quantity'))",
            f"list({order}.tags.filter({draw.condition('Tag', 1)}))",
            f"list({order}.replaced_by.exclude({draw.condition('Order', 1)}))",
            f"({order}.customer, {order}.replaces)",
            f"{order}.note",
            f"list({customer}.orders.filter({draw.condition('Order')}))",
            f"{customer}.orders.filter({draw.condition('Order', 1)}).count()",
            f"list({customer}.tags.values_list('orders__total'))",
            f"list({customer}.favourites.all())",
            f"list(m.Tag.objects.get(pk={draw.value('tag')}).orders.all())",
            f"{note}.get_next_by_written({draw.one('', 'customer_id=' + draw.value('customer'))})",
        ),
        False,
    )


def _elsewhere(draw: Draw, model: str, rows: str) -> tuple[str, bool]:
    """The same rows by another road."""
    ordered = draw.ordered(rows, model)
    return draw.one(
        (f"wait({rows}.acount())", False),
        (f"wait({rows}.aexists())", False),
        (f"wait({ordered}.afirst())", False),
        (f"wait({rows}.aget())", False),
        (f"wait(gathered({ordered}))", True),
        (f"wait(gathered({ordered}.aiterator()))", True),
        (f"list(copy.deepcopy({rows}))", False),
        (f"bool({rows})", False),
        (f"len({rows}.select_for_update())", False),
        (f"list(m.{model}.objects.raw('TABLE ' + m.{model}._meta.db_table))", False),
        (f"list({rows}.extra(where=['true']))", False),
        (f"list({rows}.annotate(n=RawSQL('total + 1', [])).values_list('n'))", False),
    )


_ANSWERS: dict[str, tuple[int, Answer]] = {
    "rows": (18, _rows),
    "slice": (12, _slice),
    "order by expression": (4, _ordered_by_expression),
    "values": (10, _values),
    "distinct on": (2, _distinct_on),
    "group": (6, _grouped),
    "aggregate": (8, _aggregate),
    "count": (8, _counted),
    "one row": (8, _one),
    "in_bulk": (2, _in_bulk),
    "dates": (1, _dates),
    "contains": (1, _contains),
    "iterator": (2, _iterated),
    "prefetch": (4, _prefetched),
    "select_related": (3, _selected),
    "combined": (5, _combined),
    "subquery": (8, _with_subquery),
    "window": (3, _windowed),
    "refined": (2, _refined),
    "filtered relation": (2, _filtered_relation),
    "related manager": (4, _related),
    "another road": (3, _elsewhere),
}
KINDS = tuple(_ANSWERS)
