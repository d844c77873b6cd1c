"""One question to several databases at once, answered as one database would answer it, or refused."""

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Count
from django.db.models.query import ModelIterable
from django.db.models.sql import Query
from typing_extensions import override

from sharding import conf, copies, deadlines, fanout, merging, totals
from sharding.cursors import Cursors
from sharding.errors import CrossShardQuery, CrossShardTransaction, ShardsMissing
from sharding.fanout import Answers, Statement
from sharding.merging.aggregates import Merge
from sharding.merging.parts import Groups, PartCompiler, part_of
from sharding.routing import Route

Partial = Literal["error", "return"]

SMALLEST_FETCH = 20
"""Rows at a time from one database, however many databases share a chunk."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What ``.scatter()`` was told."""

    timeout: float | None
    partial: Partial


noted: ContextVar[list[list[str]] | None] = ContextVar("sharding_noted", default=None)
"""Where readings leave the list of what they missed, for a method that asks by way of another queryset."""


class Reading:
    """One evaluation of ``queryset``. Nothing is asked before one of its methods is called, and each asks once.

    A database that does not answer in time, or cannot be reached, raises ``ShardsMissing``; with ``partial="return"``
    only when none answers, and is named in ``missing`` otherwise.
    """

    def __init__(self, queryset: Any, route: Route, mark: Mark | None) -> None:
        self.queryset = queryset
        self.route = route
        self.is_alone = len(route.aliases) == 1
        self.may_miss = mark is not None and mark.partial == "return"
        self.timeout = None if mark is None else mark.timeout
        if mark is not None:
            _refuse_inside_transaction(route.aliases)
        self.missing: list[str] = []
        box = noted.get()
        if box is not None:
            box.append(self.missing)

    def rows(self) -> Iterator[Any]:
        """What the queryset yields, in its shape; all of it is fetched at the first ``next``."""
        compiled = self._compiled()
        if compiled is None:
            return
        compiler, statements = compiled
        yield from self._shaped(compiler, self._merged(compiler, self._ask(statements)))

    def streamed(self, chunk_size: int) -> Iterator[Any]:
        """The same from server-side cursors, with about ``chunk_size`` rows at a time in memory."""
        if any(connections[alias].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS") for alias in self.route.aliases):
            yield from self.rows()
            return
        compiled = self._compiled()
        if compiled is None:
            return
        compiler, statements = compiled
        cursors = Cursors(self._ask, statements, max(chunk_size // len(statements), SMALLEST_FETCH))
        try:
            yield from self._shaped(compiler, merging.merged(cursors.sources(), compiler.plan))
        finally:
            cursors.close()

    def count(self) -> int:
        query = self.queryset.query
        if not self.is_alone and (query.distinct or query.combinator or isinstance(query.group_by, tuple)):
            compiled = self._compiled()
            if compiled is None:
                return 0
            compiler, statements = compiled
            if not compiler.plan.keeps_rows:
                return sum(1 for _ in self._merged(compiler, self._ask(statements)))
        total: int = self._aggregate(part_of(query, alone=self.is_alone), {"__count": Count("*")})["__count"]
        if self.is_alone:
            return total
        low: int = query.low_mark
        high: int | None = query.high_mark
        return max(0, (total if high is None else min(total, high)) - low)

    def aggregate(self, query: Query, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What ``Query.get_aggregation`` answers for one database."""
        if not self.is_alone:
            if query.is_sliced:
                self._refuse("aggregate() of a slice", "aggregate the rows in Python")
            if query.distinct or isinstance(query.group_by, tuple):
                compiled = self._compiled()
                if compiled is not None and not compiled[0].plan.keeps_rows:
                    self._refuse("aggregate() of groups or distinct values", "aggregate the rows in Python")
        return self._aggregate(query, wanted)

    # Asking.

    def _compiled(self) -> tuple[PartCompiler, dict[str, Statement]] | None:
        """The SQL for each database; None where nothing can match."""
        variants: dict[copies.Ranges | None, tuple[PartCompiler, Statement] | None] = {}
        statements = {}
        main: PartCompiler | None = None
        for alias in self.route.aliases:
            ranges = self.route.keyspace.only(alias)
            if ranges not in variants:
                variants[ranges] = self._compile(ranges)
            found = variants[ranges]
            if found is not None:
                main, statements[alias] = main or found[0], found[1]
        return None if main is None else (main, statements)

    def _compile(self, ranges: copies.Ranges | None) -> tuple[PartCompiler, Statement] | None:
        using = self._representative
        compiler = PartCompiler(self._narrowed(ranges), connections[using], using, alone=self.is_alone)
        try:
            return compiler, Statement(*compiler.as_sql())
        except EmptyResultSet:
            return None

    def _narrowed(self, ranges: copies.Ranges | None) -> Query:
        query: Query = self.queryset.query.chain()
        if ranges is not None:
            copies.narrow(query, ranges)
        return query

    @property
    def _representative(self) -> str:
        """A database to compile for: one that is connected, should anything ask for its version."""
        connected = (alias for alias in self.route.aliases if connections[alias].connection is not None)
        return next(connected, self.route.aliases[0])

    def _ask(self, statements: Mapping[str, Statement], *, is_continuation: bool = False) -> Answers:
        answers = fanout.ask(statements, self._seconds, is_continuation=is_continuation)
        if answers.failed:
            self.missing += answers.failed
            if not self.may_miss or len(self.missing) == len(self.route.aliases):
                raise ShardsMissing(answers.failed) from next(iter(answers.failed.values()))
        return answers

    @property
    def _seconds(self) -> float | None:
        if self.timeout is None:
            return deadlines.left(conf.options().deadline_seconds)
        left = deadlines.left(None)
        return self.timeout if left is None else min(self.timeout, left)

    def _merged(self, compiler: PartCompiler, answers: Answers) -> Iterator[tuple[str, merging.Row]]:
        sources = [merging.Source(alias, answer.types, answer.rows) for alias, answer in answers.by_alias.items()]
        return merging.merged(sources, compiler.plan)

    # Shaping: Django's own iterables make dictionaries, tuples and models of the merged rows.

    def _shaped(self, compiler: PartCompiler, rows: Iterator[tuple[str, merging.Row]]) -> Iterator[Any]:
        if compiler.width is not None:
            rows = ((alias, row[: compiler.width]) for alias, row in rows)
        query: Any = compiler.query.chain(_Answered)
        if issubclass(self.queryset._iterable_class, ModelIterable):
            models: Iterator[Any] = self._models(compiler, query, rows)
            return models
        answer = ([row] for _, row in rows)
        shaped: Iterator[Any] = iter(self._iterable(compiler, query, self._representative, answer))
        return shaped

    def _models(self, compiler: PartCompiler, query: "_Answered", rows: Iterator[tuple[str, merging.Row]]) -> Any:
        """Each row is made by an iterable of its own database, which is where it will be saved."""
        made: dict[str, tuple[deque[merging.Row], Iterator[Any]]] = {}
        for alias, row in rows:
            if alias not in made:
                waiting: deque[merging.Row] = deque()
                made[alias] = waiting, iter(self._iterable(compiler, query, alias, _one_by_one(waiting)))
            waiting, models = made[alias]
            waiting.append(row)
            yield next(models)

    def _iterable(self, compiler: PartCompiler, query: "_Answered", alias: str, answer: Any) -> Any:
        own = copy.copy(compiler)
        own.connection, own.using, own.answer = connections[alias], alias, answer
        query.compilers[alias] = own
        part = _twin(self.queryset, query)
        part._db = alias
        return part._iterable_class(part)

    # Aggregates over everything.

    def _aggregate(self, query: Query, wanted: Mapping[str, Any]) -> dict[str, Any]:
        like = connections[self._representative]
        asked: dict[str, Any] = dict(wanted)
        merges: tuple[Merge, ...] = ()
        if not self.is_alone:
            asked, merges = totals.planned(query, wanted, like)
        groups = Groups((), merges, None)

        def run(main: Statement) -> merging.Row | None:
            answers = [answer for answer in self._ask(self._variants(main, asked)).by_alias.values() if answer.rows]
            if not answers:
                return None  # no aggregate was left of it: their conditions can never be true
            row = merging.combined([answer.rows[0] for answer in answers], answers[0].types, groups)
            return row[: len(wanted)] + (None,) * (len(asked) - len(wanted))

        with totals.standing_in(like, run) as using:
            found: dict[str, Any] = Query.get_aggregation(query, using, asked)
        return {name: found[name] for name in wanted}

    def _variants(self, main: Statement, asked: Mapping[str, Any]) -> dict[str, Statement]:
        variants: dict[copies.Ranges | None, Statement] = {None: main}
        statements = {}
        for alias in self.route.aliases:
            ranges = self.route.keyspace.only(alias)
            if ranges not in variants:
                compiled: list[Statement] = []
                with totals.standing_in(connections[alias], compiled.append) as using:
                    Query.get_aggregation(part_of(self._narrowed(ranges), alone=self.is_alone), using, dict(asked))
                (variants[ranges],) = compiled
            statements[alias] = variants[ranges]
        return statements

    def _refuse(self, what: str, instead: str) -> None:
        raise CrossShardQuery(
            f"{self.queryset.model._meta.label}: {what} cannot be put together from several databases; {instead}"
        )


class _Answered(Query):
    """A query whose rows are there already, by database."""

    compilers: dict[str, PartCompiler]

    def _setup_query(self) -> None:
        self.compilers = {}

    @override
    def get_compiler(self, using: Any = None, connection: Any = None, elide_empty: bool = True) -> Any:
        return self.compilers[using]


class _Aggregated(Query):
    """A query whose aggregates come from several databases. Django's ``aggregate()`` then does the rest."""

    reading: Reading

    @override
    def get_aggregation(self, using: Any, aggregate_exprs: Any) -> dict[str, Any]:
        return self.reading.aggregate(self, aggregate_exprs)


def aggregated(reading: Reading) -> Any:
    """The reading's queryset, with an ``aggregate()`` of Django's that asks all its databases."""
    query = reading.queryset.query.chain(_Aggregated)
    query.reading = reading
    part = _twin(reading.queryset, query)
    part._db = reading.route.aliases[0]
    return part


def _twin(queryset: Any, query: Query) -> Any:
    """A queryset of the same kind and settings over another query. (Copying one evaluates it.)"""
    twin = object.__new__(type(queryset))
    twin.__dict__.update(queryset.__dict__, _query=query, _result_cache=None)
    return twin


def _one_by_one(waiting: deque[merging.Row]) -> Iterator[list[merging.Row]]:
    while waiting:
        yield [waiting.popleft()]


def _refuse_inside_transaction(aliases: tuple[str, ...]) -> None:
    from sharding import transactions  # which needs the models, which need this module

    other = transactions.open_elsewhere(aliases[0] if len(aliases) == 1 else None)
    if other is not None:
        raise CrossShardTransaction(
            f"scatter() inside a transaction on {other} would ask other databases meanwhile; ask before it or after it"
        )
