"""Random writes: a few of them in a row, each on what the ones before have left."""

from collections.abc import Callable

from tests.sharding.oracle import questions
from tests.sharding.oracle.grammar import NUMBER, TABLES, Draw
from tests.sharding.oracle.judge import Step

Write = Callable[[Draw], str]


def program(draw: Draw, kind: str | None = None) -> list[Step]:
    """One to four writes, perhaps with a read at the end. ``kind``, one of ``KINDS``, is that of the first."""
    steps = [_step(draw, kind)]
    steps += [_step(draw) for _ in range(draw.one(0, 0, 1, 1, 2, 3))]
    if draw.maybe(0.2):
        steps.append(questions.question(draw))
    return steps


def _step(draw: Draw, kind: str | None = None) -> Step:
    kind = kind or draw.weighted([(weight, name) for name, (weight, _) in _WRITES.items()])
    return Step(kind, _WRITES[kind][1](draw), writes=True)


def _writable(draw: Draw) -> str:
    return draw.weighted([(4, "Order"), (4, "Line"), (1, "Receipt"), (1, "Note"), (1, "Tag"), (1, "Label")])


def _number(draw: Draw, model: str) -> str:
    numbers = [column for column in TABLES[model].columns.get(NUMBER, ()) if column != "price"]
    return draw.one(*numbers) if numbers else ""


def _value(draw: Draw, model: str, column: str) -> str:
    """Something to set a number to."""
    return draw.weighted(
        [
            (5, lambda: draw.value(NUMBER)),
            (4, lambda: f"F('{column}') + {draw.value(NUMBER)}"),
            (1, lambda: f"F('{draw.path(model, 1)[0]}{column}')"),
            (2, lambda: f"Case(When({draw.condition(model, 1)}, then=Value(3)), default=F('{column}'))"),
            (5, lambda: f"Coalesce({draw.scalar(model)}, 0)"),
            (1, lambda: draw.ordered(draw.inner("Line", model), "Line") + ".values('quantity')[:1]"),
            (1, lambda: f"Coalesce(Subquery({draw.inner('Order')}.order_by('pk').values('total')[:1]), 0)"),
        ]
    )()


def _changes(draw: Draw, model: str) -> str:
    """Keyword arguments for ``update``."""
    forms: list[Callable[[], str]] = []
    column = _number(draw, model)
    if column:
        forms += [lambda: f"{column}={_value(draw, model, column)}"] * 4
    if TABLES[model].text:
        forms.append(lambda: f"{TABLES[model].text}='x'")
    if model == "Order":
        forms += [
            lambda: "replaces=None",
            lambda: f"replaces_id={draw.value('order')}",
            lambda: f"placed={draw.one('None', 'date(2026, 1, 3)')}",
            lambda: f"customer_id={draw.value('customer')}",
        ]
    if model in ("Line", "Label"):
        forms.append(lambda: f"order_id={draw.value('order')}")
    return draw.one(*forms)()


def _update(draw: Draw) -> str:
    model = _writable(draw)
    rows = draw.one(draw.theirs(model), draw.queryset(model, named=0.9))
    if draw.maybe(0.15):
        rows = f"{rows}.annotate(n={draw.expression(model)})"
    if draw.maybe(0.1):
        rows = f"{draw.ordered(rows, model)}"
    text = f"{rows}.update({_changes(draw, model)})"
    return f"wait({text.replace('.update(', '.aupdate(')})" if draw.maybe(0.05) else text


def _delete(draw: Draw) -> str:
    model = draw.weighted([(2, "Customer"), (4, "Order"), (2, "Line"), (1, "Receipt"), (1, "Tag"), (1, "Favourite")])
    text = f"{draw.queryset(model, named=0.95)}.delete()"
    return f"wait({text.replace('.delete(', '.adelete(')})" if draw.maybe(0.05) else text


def _new(draw: Draw, model: str) -> str:
    """Keyword arguments for a new row, mostly of the customer in focus, and now and then of nobody or of two."""
    owner = draw.weighted([(12, str(draw.focus)), (2, draw.value("customer"))])
    key = draw.weighted([(8, f"customer_id={owner}"), (1, "")])
    number = draw.value(NUMBER)
    order = draw.value("order")
    if model == "Customer":
        return f"id={draw.one(owner, '100007', '12501', '4123')}, name='x'"
    if model == "Order":
        more = draw.weighted(
            [
                (6, ""),
                (1, f", replaces_id={order}"),
                (1, f", id={order} + 7"),
                (2, f", total=Coalesce({draw.scalar()}, 0)"),
                (1, ", code='c1'"),
            ]
        )
        if key and draw.maybe(0.3):
            key = f"customer=m.Customer(id={owner})"
        return (
            f"{key}, store_id={number}, total={number}{more}".removeprefix(", ")
            if more.count("total") == 0
            else (f"{key}, store_id={number}{more}".removeprefix(", "))
        )
    if model == "Line":
        return f"{key}, order_id={order}, quantity={number}".removeprefix(", ")
    if model == "Receipt":
        return f"{key}, order_id={order}, text='x'".removeprefix(", ")
    if model == "Tag":
        return f"{key}, name='t{number}'".removeprefix(", ")
    if model == "Favourite":
        return f"{key}, product_id={number}, rank=5".removeprefix(", ")
    return f"{key}, order_id={order}, tag_id={draw.value('tag')}, weight={number}".removeprefix(", ")


def _any_new(draw: Draw) -> str:
    return draw.weighted([(1, "Customer"), (5, "Order"), (3, "Line"), (1, "Receipt"), (1, "Tag"), (1, "Favourite"),
                          (1, "Label")])  # fmt: skip


def _create(draw: Draw) -> str:
    model = _any_new(draw)
    new = _new(draw, model)
    return draw.weighted(
        [
            (6, f"m.{model}.objects.create({new})"),
            (1, f"wait(m.{model}.objects.acreate({new}))"),
            (1, f"saved(m.{model}({new}))"),
        ]
    )


def _bulk_create(draw: Draw) -> str:
    model = _any_new(draw)
    rows = ", ".join(f"m.{model}({_new(draw, model)})" for _ in range(draw.one(0, 1, 2, 3)))
    how = ""
    if model == "Favourite":
        how = draw.one(
            "", ", ignore_conflicts=True", ", update_conflicts=True, update_fields=['rank'], unique_fields=['pk']"
        )
    elif draw.maybe(0.2):
        how = draw.one(", ignore_conflicts=True", ", batch_size=1")
    return f"m.{model}.objects.bulk_create([{rows}]{how})"


def _bulk_update(draw: Draw) -> str:
    model = draw.one("Order", "Line")
    column = _number(draw, model)
    rows = draw.ordered(draw.queryset(model, named=0.95), model)
    value = draw.weighted([(5, lambda: "x.pk % 5"), (3, lambda: _value(draw, model, column))])()
    on = draw.one(f"m.{model}.objects", f"m.{model}.objects", f"m.{model}.objects.filter({draw.condition(model, 1)})")
    return f"{on}.bulk_update([having(x, {column}={value}) for x in {rows}], ['{column}'])"


def _or_create(draw: Draw) -> str:
    model = draw.one("Order", "Order", "Line", "Tag", "Favourite", "Receipt")
    known = _new(draw, model)
    column = {"Tag": "name", "Receipt": "text", "Favourite": "rank"}.get(model) or _number(draw, model)
    value = (
        "'y'"
        if model in ("Tag", "Receipt")
        else draw.one(draw.value(NUMBER), draw.value(NUMBER), f"Coalesce({draw.scalar(draw.one(model, None))}, 0)")
    )
    extra = {"Order": "'store_id': 1", "Line": f"'order_id': {draw.value('order')}"}.get(model, "")
    other = draw.one("", "", "", f"'customer_id': {draw.value('customer')}")
    defaults = ", ".join(part for part in (f"'{column}': {value}", extra, other) if part)
    lookup = draw.one(
        known,
        f"customer_id={draw.focus}, {column}={draw.one('7', '1')}"
        if column != "name"
        else f"customer_id={draw.focus}, name='t1'",
        f"customer_id__in={draw.values('customer')}",
        f"pk__in=[], customer_id={draw.focus}",
    )
    create = draw.one("get_or_create", "update_or_create", "aget_or_create", "aupdate_or_create")
    text = f"m.{model}.objects.{create}({lookup}, defaults={{{defaults}}})"
    return f"wait({text})" if create.startswith("a") else text


def _save(draw: Draw) -> str:
    model = _writable(draw)
    kind = model.lower()
    row = f"m.{model}.objects{draw.one('', '', '.select_for_update()')}.get(pk={draw.value(kind)})"
    column = _number(draw, model)
    change = draw.one(
        *(
            [
                f"{column}={draw.value(NUMBER)}",
                f"{column}=F('{column}') + 1",
                f"{column}=Coalesce({draw.scalar(draw.one(model, None))}, 0)",
            ]
            if column
            else []
        ),
        f"customer_id={draw.value('customer')}",
        *([f"replaces_id={draw.value('order')}"] if model == "Order" else [f"customer_id={draw.focus}"]),
    )
    only = f", only=['{change.split('=')[0]}']" if draw.maybe(0.3) else ""
    return draw.weighted(
        [
            (6, f"saved(having({row}, {change}){only})"),
            (2, f"{row}.delete()"),
            (1, f"having({row}, {change}).delete()"),
            (1, f"wait({row}.adelete())"),
            (1, f"refreshed(having({row}, {change}))"),
        ]
    )


def _related(draw: Draw) -> str:
    order = f"m.Order.objects.get(pk={draw.value('order')})"
    customer = f"m.Customer.objects.get(pk={draw.value('customer')})"
    tag = f"m.Tag.objects.get(pk={draw.value('tag')})"
    other = f"m.Order.objects.get(pk={draw.value('order')})"
    line = f"m.Line.objects.get(pk={draw.value('line')})"
    number = draw.value(NUMBER)
    key = f"customer_id={draw.focus}"
    through = f"through_defaults={{'customer_id': {draw.focus}}}"
    return draw.one(
        f"{order}.lines.create({key}, quantity={number})",
        f"{order}.lines.add({line})",
        f"{order}.lines.update(quantity={_value(draw, 'Line', 'quantity')})",
        f"{order}.lines.filter({draw.condition('Line', 1)}).delete()",
        f"{order}.lines.get_or_create(quantity={number}, defaults={{'customer_id': {draw.focus}}})",
        f"{order}.lines.update_or_create(quantity={number}, defaults={{'customer_id': {draw.focus}, 'product_id': 9}})",
        f"{order}.replaced_by.add({other})",
        f"{order}.replaced_by.set([{other}])",
        f"{order}.replaced_by.remove({other})",
        f"{order}.replaced_by.clear()",
        f"{order}.tags.add({tag}, {through})",
        f"{order}.tags.set([{tag}], {through})",
        f"{order}.tags.remove({tag})",
        f"{order}.tags.clear()",
        f"{tag}.orders.add({order}, {draw.value('order')}, {through})",
        f"{tag}.orders.clear()",
        f"{customer}.orders.create(store_id=1, total={draw.one(number, f'Coalesce({draw.scalar()}, 0)')})",
        f"{customer}.orders.get_or_create(total={number}, defaults={{'store_id': 1}})",
        f"{customer}.orders.update_or_create(total={number}, defaults={{'store_id': {number}}})",
        f"{customer}.favourites.update_or_create(product_id={number}, defaults={{'rank': 9}})",
        f"wait({customer}.tags.acreate(name='x'))",
        f"{customer}.orders.bulk_create([m.Order(customer_id={draw.focus}, store_id=1)])",
        f"{order}.note.delete()",
    )


_WRITES: dict[str, tuple[int, Write]] = {
    "update": (10, _update),
    "delete": (7, _delete),
    "create": (7, _create),
    "bulk_create": (4, _bulk_create),
    "bulk_update": (4, _bulk_update),
    "get/update_or_create": (6, _or_create),
    "save and delete a row": (6, _save),
    "related manager writes": (8, _related),
}
KINDS = tuple(_WRITES)
