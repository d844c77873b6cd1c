"""What the random programs are made of: conditions, expressions and querysets, as Python text.

The text names models as ``m.Order`` and ids as ``orders[3]``, so that the same program runs on both sides and is
readable when it fails. Nothing here knows what can be routed: it draws from what Django allows.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.sharding.oracle.world import CUSTOMERS, IDS, OWNERS

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Table:
    """What can be said about a model. Columns by what their numbers mean: those of one kind can be compared."""

    columns: dict[str, tuple[str, ...]]
    relations: dict[str, str]
    """By name as in a lookup: the model it leads to."""
    many: tuple[str, ...] = ()
    """Those of them that lead to any number of rows."""
    references: tuple[str, ...] = ()
    """Columns that are foreign keys, and so can be given rows."""
    text: str = ""
    order: tuple[str, ...] = ("pk",)
    """What puts its rows into one order only."""
    identity: str = "pk"


NUMBER = "number"
TABLES = {
    "Customer": Table(
        columns={"customer": ("pk", "id")},
        relations={"orders": "Order", "tags": "Tag", "favourites": "Favourite"},
        many=("orders", "tags", "favourites"),
        text="name",
    ),
    "Order": Table(
        columns={"customer": ("customer_id",), "order": ("pk", "replaces_id"), NUMBER: ("total", "store_id")},
        relations={
            "customer": "Customer",
            "replaces": "Order",
            "lines": "Line",
            "replaced_by": "Order",
            "receipt": "Receipt",
            "note": "Note",
            "tags": "Tag",
            "label": "Label",
        },
        many=("lines", "replaced_by", "tags", "label"),
        references=("customer", "replaces"),
        text="code",
    ),
    "Line": Table(
        columns={
            "customer": ("customer_id",),
            "order": ("order_id",),
            "line": ("pk",),
            NUMBER: ("quantity", "product_id", "price"),
        },
        relations={"order": "Order"},
        references=("order",),
    ),
    "Receipt": Table(
        columns={"customer": ("customer_id",), "order": ("pk", "order_id")},
        relations={"order": "Order"},
        references=("order",),
        text="text",
    ),
    "Note": Table(
        columns={"customer": ("customer_id",), "order": ("order_id",), "note": ("pk",)},
        relations={"order": "Order"},
        references=("order",),
        text="text",
    ),
    "Tag": Table(
        columns={"customer": ("customer_id",), "tag": ("pk",)},
        relations={"customer": "Customer", "orders": "Order", "label": "Label"},
        many=("orders", "label"),
        references=("customer",),
        text="name",
    ),
    "Label": Table(
        columns={
            "customer": ("customer_id",),
            "order": ("order_id",),
            "tag": ("tag_id",),
            "label": ("pk",),
            NUMBER: ("weight",),
        },
        relations={"order": "Order", "tag": "Tag"},
        references=("order", "tag"),
    ),
    "Favourite": Table(
        columns={"customer": ("customer_id",), NUMBER: ("rank", "product_id")},
        relations={"customer": "Customer"},
        references=("customer",),
        order=("customer_id", "product_id"),
    ),
}
MODEL_OF = {"customer": "Customer", "order": "Order", "tag": "Tag"}
"""The model that a foreign key of this kind leads to."""


@dataclass
class Draw:
    """One random program's worth of text."""

    chance: random.Random
    depth: int = 0
    """How many subqueries this is inside of."""
    focus: int = field(init=False)
    """The customer whose rows are named more often than others, so that conditions agree now and then."""

    def __post_init__(self) -> None:
        self.focus = self.chance.choice(CUSTOMERS)

    def one(self, *choices: Item) -> Item:
        return self.chance.choice(choices)

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def weighted(self, choices: Sequence[tuple[int, Item]]) -> Item:
        return self.chance.choices([item for _, item in choices], [weight for weight, _ in choices])[0]

    # Values.

    def value(self, kind: str) -> str:
        if kind == NUMBER:
            return str(self.chance.randrange(5))
        is_theirs = self.maybe(0.6)
        if kind == "customer":
            return str(self.focus if is_theirs else self.chance.choice(CUSTOMERS))
        theirs = [n for n, owner in enumerate(OWNERS[kind]) if owner == self.focus]
        return (
            f"{kind}s[{self.chance.choice(theirs) if is_theirs and theirs else self.chance.randrange(len(IDS[kind]))}]"
        )

    def values(self, kind: str) -> str:
        return "[" + ", ".join(self.value(kind) for _ in range(self.one(0, 1, 1, 2, 2, 3))) + "]"

    # Conditions.

    def path(self, model: str, hops: int) -> tuple[str, str]:
        """A way over up to ``hops`` relations, as the beginning of a lookup, and the model at its end."""
        prefix = ""
        for _ in range(hops):
            relation, model = self.chance.choice(list(TABLES[model].relations.items()))
            prefix += f"{relation}__"
        return prefix, model

    def condition(self, model: str, leaves: int = 0) -> str:
        """A ``Q``, or something else that filters."""
        leaves = leaves or self.one(1, 1, 1, 2, 2, 3, 4)
        if leaves == 1:
            return self._leaf(model)
        first = self.chance.randrange(1, leaves)
        joined = self.weighted([(6, "&"), (3, "|"), (1, "^")])
        text = f"({self.condition(model, first)} {joined} {self.condition(model, leaves - first)})"
        return f"~{text}" if self.maybe(0.15) else text

    def naming(self, model: str) -> str:
        """A condition that says, in one way or another, whose rows are meant."""
        prefix, end = self.path(model, self.one(0, 0, 0, 0, 1, 1, 2))
        table = TABLES[end]
        kind = self.chance.choice([kind for kind in table.columns if kind != NUMBER])
        if end == "Favourite" and self.maybe(0.3):
            keys = [f"({self.value('customer')}, {self.value(NUMBER)})" for _ in range(2)]
            return self.one(f"Q({prefix}pk={keys[0]})", f"Q({prefix}pk__in=[{', '.join(keys)}])")
        return self._comparison(prefix, end, kind, self.chance.choice(table.columns[kind]))

    def _comparison(self, prefix: str, end: str, kind: str, column: str) -> str:
        reference = column.removesuffix("_id")
        is_reference = reference in TABLES[end].references
        value = self.value(kind)
        forms = [
            (10, lambda: f"Q({prefix}{column}={value})"),
            (6, lambda: f"Q({prefix}{column}__in={self.values(kind)})"),
            (1, lambda: f"Q({prefix}{column}=str({value}))"),
            (1, lambda: f"Q({prefix}{column}=Decimal({value}))"),
            (1, lambda: f"Q({prefix}{column}=Value({value}))"),
            (1, lambda: f"Q({prefix}{column}__in={{{value}, None}})"),
            (1, lambda: f"Q({prefix}{column}__in=(x for x in {self.values(kind)}))"),
            (1, lambda: f"Q(Exact(F('{prefix}{column}'), {value}))"),
            (1, lambda: f"Q(In(F('{prefix}{column}'), {self.values(kind)}))"),
            (1, lambda: f"Q({prefix}{column}__gt={value})"),
            (1, lambda: f"~Q({prefix}{column}={value})"),
            (3, lambda: self.in_subquery(prefix + column, kind)),
        ]
        if is_reference:
            model = MODEL_OF[kind]
            forms += [
                (4, lambda: f"Q({prefix}{reference}={value})"),
                (3, lambda: f"Q({prefix}{reference}=m.{model}(pk={value}))"),
                (2, lambda: f"Q({prefix}{reference}__in=[m.{model}(pk={value}), {self.value(kind)}])"),
                (2, lambda: f"Q({prefix}{reference}__pk={value})"),
                (1, lambda: f"Q({prefix}{reference}__isnull={self.one(True, False)})"),
            ]
        if prefix and column == "pk":  # the relation itself
            relation = prefix[:-2]
            forms += [
                (4, lambda: f"Q({relation}={value})"),
                (3, lambda: f"Q({relation}=m.{end}(pk={value}))"),
                (2, lambda: f"Q({relation}__in={self.values(kind)})"),
                (1, lambda: f"Q({relation}__in={self.theirs(end)})"),
            ]
        return self.weighted(forms)()

    def _leaf(self, model: str) -> str:
        return self.weighted(
            [
                (7, lambda: self.naming(model)),
                (9, lambda: self._plain_leaf(model)),
                (2, lambda: self.exists(model)),
                (2, lambda: self.scalar_comparison(model)),
                (1, lambda: f"Q({self._columns_compared(model)})"),
                (1, lambda: self.one("Q()", "Q(pk__in=[])", "~Q(pk__in=[])")),
            ]
        )()

    def _plain_leaf(self, model: str) -> str:
        prefix, end = self.path(model, self.one(0, 0, 1, 1, 2))
        table = TABLES[end]
        forms: list[Callable[[], str]] = []
        for column in table.columns.get(NUMBER, ()):
            forms += [
                lambda column=column: f"Q({prefix}{column}{self.one('', '__gt', '__lte')}={self.value(NUMBER)})",
                lambda column=column: f"Q({prefix}{column}__in={self.values(NUMBER)})",
            ]
        if table.text:
            forms.append(lambda: f"Q({prefix}{table.text}='{self.one('n0', 'n1', 'c1', '', 'r1', 'o0', 't1')}')")
        if end == "Order":
            forms += [
                lambda: f"Q({prefix}wishes__n={self.value(NUMBER)})",
                lambda: f"Q({prefix}wishes__gift={self.one(True, False)})",
                lambda: f"Q({prefix}placed__{self.one('gt', 'lte')}=date(2026, 1, {self.chance.randrange(1, 5)}))",
                lambda: (
                    f"Q({prefix}{self.one('receipt', 'replaces', 'lines', 'note')}__isnull={self.one(True, False)})"
                ),
            ]
        if prefix:
            forms.append(lambda: f"Q({prefix[:-2]}__isnull={self.one(True, False)})")
        return self.chance.choice(forms)() if forms else self.naming(model)

    def _columns_compared(self, model: str) -> str:
        prefix, end = self.path(model, self.one(0, 1))
        columns = [column for kind in TABLES[end].columns.values() for column in kind]
        return f"{prefix}{self.chance.choice(columns)}=F('{self._column(model)}')"

    def _column(self, model: str) -> str:
        prefix, end = self.path(model, self.one(0, 0, 1))
        return prefix + self.chance.choice([column for kind in TABLES[end].columns.values() for column in kind])

    # Subqueries.

    def in_subquery(self, target: str, kind: str) -> str:
        """``target``, which holds numbers of ``kind``, among those that another table has."""
        if self.depth >= 2:
            return f"Q({target}={self.value(kind)})"
        model = self.any_model(having=kind)
        column = self.chance.choice(TABLES[model].columns[kind])
        if kind == "order" and self.maybe(0.4):
            model, column = "Order", "replaces_id"  # which may be NULL
        inner = self.inner(model)
        forms = [
            (8, lambda: f"{inner}.values('{column}')"),
            (1, lambda: f"Subquery({inner}.values('{column}'))"),
            (1, lambda: f"{inner}.distinct().values_list('{column}', flat=True)"),
            (4, lambda: f"{self.ordered(inner, model, *self.terms(model))}.values('{column}')[:{self.one(1, 2, 3)}]"),
            (1, lambda: f"{inner}.values('{column}').union({self.inner(model)}.values('{column}'))"),
            (1, lambda: f"{inner}.annotate(n={self.window(model)}).filter(n=1).values('{column}')"),
        ]
        if model != "Favourite":  # Django cannot count composite keys
            forms.append((1, lambda: f"{inner}.annotate(n=Count('pk')).filter(n__gte=1).values('{column}')"))
        return f"{self.one('', '~')}Q({target}__in={self.weighted(forms)()})"

    def inner(self, model: str, outer: str | None = None, *, loosely: bool = False) -> str:
        """The rows of a subquery; inside of a query over ``outer``, mostly tied to its row, or ``loosely`` so."""
        self.depth += 1
        text = f"m.{model}.objects"
        tied = outer is not None and self.maybe(0.85)
        if tied:
            text += f".filter({self._tie(model, outer or model, loosely=loosely or self.maybe(0.1))})"
        if self.maybe(0.3 if tied else 0.7):
            text += f".filter({self.naming(model)})"
        if self.maybe(0.5):
            text += f".{self.one('filter', 'filter', 'exclude')}({self.condition(model, 1)})"
        self.depth -= 1
        return text if "(" in text else f"{text}.all()"

    def _tie(self, model: str, outer: str, *, loosely: bool) -> str:
        here, there = self.path(model, self.one(0, 0, 0, 1)), self.path(outer, self.one(0, 0, 0, 1))
        kinds_here, kinds_there = TABLES[here[1]].columns, TABLES[there[1]].columns
        common = [kind for kind in kinds_here if kind in kinds_there and (kind == NUMBER) == loosely]
        if common and self.maybe(0.95):
            kind = self.chance.choice(common)
            columns = self.chance.choice(kinds_here[kind]), self.chance.choice(kinds_there[kind])
        else:
            columns = tuple(
                self.chance.choice([c for kind in k.values() for c in kind]) for k in (kinds_here, kinds_there)
            )
        reference = f"OuterRef('{there[0]}{columns[1]}')"
        tied = f"{here[0]}{columns[0]}={reference}"
        return self.weighted(
            [
                (12, lambda: tied),
                (2, lambda: f"~Q({tied})"),
                (2, lambda: f"Q({tied}) | {self._plain_leaf(model)}"),
                (1, lambda: f"{here[0]}{columns[0]}__in=[{reference}]"),
                (1, lambda: f"{here[0]}{columns[0]}__gte={reference}"),
            ]
        )()

    def exists(self, model: str, *, tied: bool = True) -> str:
        if self.depth >= 2:
            return self._plain_leaf(model)
        return f"{self.one('', '', '~')}Q(Exists({self.inner(self.any_model(), model if tied else None)}))"

    def scalar(self, model: str | None = None) -> str:
        """One number from another table, for each row of ``model``, or for all the same."""
        other = self.any_model(having=NUMBER)
        column = self.chance.choice(TABLES[other].columns[NUMBER])
        inner = self.inner(other, model)
        if self.maybe(0.2):
            return f"Subquery({inner}.order_by().values('customer_id').annotate(k=Max('{column}')).values('k'))"
        return f"Subquery({self.ordered(inner, other, '-' + column)}.values('{column}')[:1])"

    def scalar_comparison(self, model: str, *, tied: bool = True) -> str:
        columns = TABLES[model].columns.get(NUMBER)
        if not columns or self.depth >= 2:
            return self._plain_leaf(model)
        return f"Q({self.chance.choice(columns)}{self.one('', '__gt', '__lte')}={self.scalar(model if tied else None)})"

    def any_model(self, having: str | None = None) -> str:
        """One of the models, or of those with columns of the kind ``having``."""
        often = {"Order": 5, "Line": 4}
        return self.weighted(
            [(often.get(name, 1), name) for name, table in TABLES.items() if having in (None, *table.columns)]
        )

    def terms(self, model: str) -> list[str]:
        """Columns to sort by, some of other tables."""
        table = TABLES[model]
        columns = [column for kind in table.columns.values() for column in kind]
        columns += [f"{name}__pk" for name, end in table.relations.items() if name not in table.many]
        if model == "Order":
            columns += ["placed", "customer__name", "wishes__n"]
        return [self.one("", "-") + self.one(*columns) for _ in range(self.one(0, 1, 1, 2))]

    def ordered(self, queryset: str, model: str, *terms: str) -> str:
        """``queryset`` in an order that leaves nothing open."""
        return f"{queryset}.order_by({', '.join(repr(term) for term in (*terms, *TABLES[model].order))})"

    # Expressions.

    def expression(self, model: str) -> str:
        """A number for each row."""
        table = TABLES[model]
        numbers = table.columns.get(NUMBER, ())
        many = self.chance.choice(table.many) if table.many else None
        forms: list[tuple[int, Callable[[], str]]] = [
            (3, lambda: f"Coalesce({self.scalar(model)}, 0)"),
            (2, lambda: f"Case(When({self.condition(model, 1)}, then=Value(1)), default=Value(0))"),
            (1, lambda: f"Exists({self.inner(self.any_model(), model)})"),
            (1, lambda: f"F('{self._column(model)}')"),
            (1, lambda: self.window(model)),
        ]
        if numbers:
            forms.append((2, lambda: f"F('{numbers[0]}') * 2 - F('{self.chance.choice(numbers)}')"))
        if many:
            leads_to = TABLES[table.relations[many]].columns.get(NUMBER, ())
            forms.append((4, lambda: f"Count('{many}', distinct={self.one(True, False)})"))
            forms.append((1, lambda: f"Count('{many}', filter={self.condition(model, 1)})"))
            if leads_to:
                forms.append((3, lambda: f"Coalesce({self.one('Sum', 'Max')}('{many}__{leads_to[0]}'), 0)"))
        return self.weighted(forms)()

    def window(self, model: str) -> str:
        table = TABLES[model]
        order = ", ".join(repr(term) for term in table.order)
        columns = [column for kind in table.columns.values() for column in kind]
        by = f", partition_by='{self.chance.choice(columns)}'" if self.maybe(0.6) else ""
        return f"Window(Rank(){by}, order_by=[{order}])"  # rows that a join repeats share their rank

    # Querysets.

    def theirs(self, model: str) -> str:
        """All rows of the customer in focus."""
        return f"m.{model}.objects.filter({TABLES[model].columns['customer'][0]}={self.focus})"

    def queryset(self, model: str, *, named: float = 0.75) -> str:
        """Rows of ``model``; with the probability ``named``, a condition of its own says whose, else mostly of all."""
        if self.maybe(named / 5):
            return self.theirs(model)
        text = f"m.{model}.objects"
        if self.maybe(named):
            text += f".filter({self.naming(model)})"
        elif self.maybe(0.7):
            text = f"everywhere({text})"
        if self.maybe(0.7):
            text += f".filter({self.condition(model)})"
        if self.maybe(0.2):
            text += f".exclude({self.condition(model)})"
        if text.endswith(("objects", "objects)")):
            text += ".all()"
        if self.maybe(0.04):
            text = f"({text} {self.one('|', '&')} m.{model}.objects.filter({self.naming(model)}))"
        elif self.maybe(0.01):
            text = f"({self.ordered(text, model)}[:2] | {self.theirs(model)})"
        return text
