"""What each database is asked, so that the answers can be made one: Django's own SQL, and a few columns more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.expressions import Col, Value
from django.db.models.functions import Random
from django.db.models.sql import Query
from django.db.models.sql.compiler import PositionRef, SQLCompiler
from django.db.models.sql.constants import INNER
from typing_extensions import override

from sharding import keys
from sharding.errors import CrossShardQuery
from sharding.merging import aggregates, having, values
from sharding.merging.aggregates import Merge


class Term(NamedTuple):
    """A column to sort by."""

    position: int
    descending: bool
    nulls_first: bool | None


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups whose rows several databases have: rows that agree in the columns ``by`` become one."""

    by: tuple[int, ...]
    merges: tuple[Merge, ...]
    condition: having.Condition | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make one answer of several. Columns are named by their position in the raw rows."""

    low: int = 0
    high: int | None = None
    terms: tuple[Term, ...] = ()
    groups: Groups | None = None
    distinct: tuple[int, ...] | None = None
    """Of rows that agree in these columns only the first counts."""

    @property
    def keeps_rows(self) -> bool:
        """Whether each row of the answer is one row of one database, and each of theirs is one of it."""
        return self.groups is None and self.distinct is None


class PartCompiler(SQLCompiler):
    """Compiles a query once for all databases; afterwards ``plan`` says how to merge what they answer.

    ``alone``: only one is asked, and it answers as it would anybody. Raises ``CrossShardQuery`` where merging could not
    be exact, with what to write instead.
    """

    def __init__(self, query: Query, connection: Any, using: str, *, alone: bool) -> None:
        super().__init__(part_of(query, alone=alone), connection, using)
        self.alone = alone
        self.plan = Plan() if alone else Plan(query.low_mark, query.high_mark)
        self.width: int | None = None
        """How many of the columns are the query's own; None where all are."""
        self.answer: Any = ()
        self._grouped_by: Sequence[Any] = ()
        self._refuse_whole_queries()

    @override
    def execute_sql(self, *args: Any, **kwargs: Any) -> Any:
        """Django's iterables ask here for chunks of rows: those that were merged."""
        return self.answer

    # Django's steps on the way to SQL, in their order.

    @override
    def get_extra_select(self, order_by: Any, select: Any) -> Any:
        columns = _Columns(self, select)
        width = len(columns.all)
        columns.add(super().get_extra_select(order_by, select))
        if not self.alone:
            by = self._spanning(select, order_by)
            if by is not None:
                self._plan_groups(columns, by, order_by)
            else:
                self._plan_rows(columns, order_by)
        self.width = width if columns.extra else None
        return columns.extra

    @override
    def collapse_group_by(self, expressions: Any, having: Any) -> Any:
        self._grouped_by = super().collapse_group_by(expressions, having)
        return self._grouped_by

    @override
    def pre_sql_setup(self, with_col_aliases: bool = False) -> Any:
        found = super().pre_sql_setup(with_col_aliases)
        has_more_columns = self.width is not None or self.plan.groups is not None
        if getattr(self, "qualify", None) is not None and has_more_columns and not self.alone:
            self.refuse("a condition on a window beside what is not selected", "select what it is ordered by as well")
        if self.plan.groups is not None:
            self.having = None  # what a whole group says is known after merging
        return found

    # What is merged, and how.

    def _refuse_whole_queries(self) -> None:
        query = self.query
        if query.select_for_update:
            self.refuse("select_for_update", "lock the rows of one key at a time")
        if self.alone:
            return
        if query.combinator:
            self.refuse(query.combinator, "name one key, or put the rows together in Python")
        if query.explain_info:
            self.refuse("explain", "ask one database with .using(alias)")

    def _spanning(self, select: Any, order_by: Any) -> Sequence[Any] | None:
        """What the query groups by, where several databases can have rows of one group; else None."""
        if not isinstance(self.query.group_by, tuple):
            return None  # no groups, or one for each row of the table
        super().get_group_by(select, order_by)
        if any(self._names_bucket(expression) for expression in self._grouped_by):
            return None
        return self._grouped_by

    def _names_bucket(self, expression: Any) -> bool:
        """Whether it is a column that is never NULL and whose values are each found on one database only."""
        column = values.source(expression)
        if type(column) is not Col or column.target.null or keys.bucket_function(column.target) is None:
            return False
        table = self.query.alias_map.get(column.alias)
        return table is not None and getattr(table, "join_type", None) in (None, INNER)

    def _plan_rows(self, columns: "_Columns", order_by: Any) -> None:
        distinct = None
        if self.query.distinct and not self.query.distinct_fields:
            if not any(self._names_bucket(expression) for expression, _ in columns.all):
                for expression, _ in columns.all:
                    self._check_equality(expression, "DISTINCT")
                distinct = tuple(range(len(columns.all)))
            columns.is_closed = True
        terms = self._terms(columns, order_by)
        if self.query.distinct_fields:
            distinct = self._distinct_on(order_by, terms)
        self.plan = Plan(self.plan.low, self.plan.high, terms, None, distinct)

    def _distinct_on(self, order_by: Any, terms: tuple[Term, ...]) -> tuple[int, ...] | None:
        wanted = len(self.query.distinct_fields)
        if len(terms) < wanted:  # else the server itself insists that ORDER BY begins with them
            self.refuse("distinct(…) without the same columns first in order_by(…)", "order by them")
        leading = order_by[:wanted]
        if any(self._names_bucket(term.expression) for term, _ in leading):
            return None
        return tuple(term.position for term in terms[:wanted])

    def _plan_groups(self, columns: "_Columns", by: Sequence[Any], order_by: Any) -> None:
        if self.query.distinct:
            self.refuse("distinct() of groups", "leave it out, and make the rows distinct in Python")
        if any(getattr(expression, "contains_over_clause", False) for expression, _ in columns.all):
            self.refuse("a window over groups", "compute it in Python")
        for expression in by:
            self._check_equality(expression, "GROUP BY")
        positions = tuple(columns.position(expression, formatted=True) for expression in by)
        terms = () if getattr(self, "_meta_ordering", None) and by else self._terms(columns, order_by)
        having_node: Any = self.having  # set by pre_sql_setup()
        condition = None if having_node is None else having.condition(having_node, self, columns.position)
        merges: list[Merge] = []
        for position, (expression, _) in enumerate(columns.all):  # grows while more is needed
            if getattr(values.source(expression), "contains_aggregate", False):
                merges.append(self._merge(columns, position, expression))
        self.plan = Plan(self.plan.low, self.plan.high, terms, Groups(positions, tuple(merges), condition))
        self.query.clear_limits()

    def _merge(self, columns: "_Columns", position: int, expression: Any) -> Merge:
        aggregate = aggregates.inner(expression)
        how = aggregates.way(aggregate, self.connection)
        helpers = tuple(columns.position(each) for each in aggregates.helpers(aggregate))
        if aggregate is values.source(expression):
            return Merge(position, (position, *helpers), how)
        inputs = (position, columns.position(aggregate), *helpers)
        return Merge(position, inputs, aggregates.with_default(how))

    def _terms(self, columns: "_Columns", order_by: Any) -> tuple[Term, ...]:
        terms = []
        for term, _ in order_by:
            nulls_first = True if term.nulls_first else False if term.nulls_last else None
            for expression in _each_column(term.expression):
                self._check_order(expression)
                terms.append(Term(columns.position(expression), term.descending, nulls_first))
        return tuple(terms)

    # What is refused.

    def _check_order(self, expression: Any) -> None:
        source = values.source(expression)
        if isinstance(source, Random):
            self.refuse("order_by('?')", "choose in Python")
        if not values.has_order(source, self.connection):
            self.refuse(
                f"the order of {_name(source)}",
                'order by numbers or times, or say order_by(Collate(…, "C")), which sorts text alike everywhere',
            )

    def _check_equality(self, expression: Any, clause: str) -> None:
        if not values.has_equality(expression, self.connection):
            self.refuse(f"{clause} {_name(values.source(expression))}", "read the rows, and compare in Python")

    def refuse(self, what: str, instead: str) -> None:
        raise CrossShardQuery(
            f"{self.query.get_meta().label}: {what} cannot be put together from several databases; {instead}"
        )


class _Columns:
    """The columns of the raw rows: those the query selects, and those that merging needs."""

    def __init__(self, compiler: PartCompiler, select: Any) -> None:
        self.compiler = compiler
        self.all: list[tuple[Any, Any]] = []
        self.extra: list[Any] = []
        """What the rows have beyond ``select``, as the compiler wants it."""
        self.is_closed = False
        """Under DISTINCT one column more would mean more rows."""
        self._starts: list[int] = []
        for expression, compiled, _ in select:
            self._starts.append(len(self.all))
            if hasattr(expression, "get_cols"):  # one entry, several columns
                self.all += [(column, self._sql(column)) for column in expression.get_cols()]
            else:
                self.all.append((expression, compiled))

    def add(self, extra: Any) -> None:
        self.extra += extra
        self.all += [(expression, compiled) for expression, compiled, _ in extra]

    def position(self, expression: Any, *, formatted: bool = False) -> int:
        """Where ``expression`` is among the columns; added where it is not."""
        if isinstance(expression, PositionRef):
            return self._starts[expression.ordinal - 1]  # type: ignore[attr-defined]
        expression = values.source(expression)
        sql, params = self._sql(expression)
        if formatted:
            sql, params = expression.select_format(self.compiler, sql, params)
        for position, (_, (known, known_params)) in enumerate(self.all):
            if known == sql and list(known_params) == list(params):
                return position
        if self.is_closed:
            self.compiler.refuse(f"DISTINCT in the order of {_name(expression)}", "select that column as well")
        self.add([(expression, (sql, params), None)])
        return len(self.all) - 1

    def _sql(self, expression: Any) -> tuple[str, Any]:
        """As Django compiles a selected column whose condition can never, or must always, be true."""
        compiler = self.compiler
        try:
            return compiler.compile(expression)
        except EmptyResultSet:
            nothing = getattr(expression, "empty_result_set_value", NotImplemented)
            return ("0", ()) if nothing is NotImplemented else compiler.compile(Value(nothing))
        except FullResultSet:
            return compiler.compile(Value(True))


def part_of(query: Query, *, alone: bool) -> Query:
    """The query for each of several databases: each gives what could be among the first ``high`` of all."""
    part = query.chain()
    if not alone:
        part.low_mark = 0
    return part


def _each_column(expression: Any) -> list[Any]:
    """A composite key sorts by each of its columns."""
    source = values.source(expression)
    return list(source.get_cols()) if hasattr(source, "get_cols") else [expression]


def _name(expression: Any) -> str:
    return expression.target.name if isinstance(expression, Col) else repr(expression)
