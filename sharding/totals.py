"""``aggregate()`` over several databases: Django makes the SQL and the values, only the running is done here."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.models import Aggregate, Count
from django.db.models.functions import Coalesce
from django.db.models.sql import Query

from sharding.fanout import Statement
from sharding.merging import aggregates
from sharding.merging.aggregates import Merge

_numbers = itertools.count(1)


def planned(query: Query, wanted: Mapping[str, Any], connection: Any) -> tuple[dict[str, Any], tuple[Merge, ...]]:
    """``wanted`` and what is needed beside it, and how the columns come together."""
    probe = query.clone()
    asked = dict(wanted)
    merges = []
    for position, (name, expression) in enumerate(wanted.items()):
        resolved = expression.resolve_expression(probe, allow_joins=True, reuse=None, summarize=True)
        aggregate = aggregates.inner(resolved)
        how = aggregates.way(aggregate, connection)
        bare = _without_default(expression)
        needed = [*aggregates.helpers(bare)] if aggregate is resolved else [bare, *aggregates.helpers(bare)]
        inputs = tuple(range(len(asked), len(asked) + len(needed)))
        asked |= {f"sharding_{place}": _for_itself(each) for place, each in zip(inputs, needed, strict=True)}
        if aggregate is not resolved:
            how = aggregates.with_default(how)
        merges.append(Merge(position, (position, *inputs), how))
        probe.append_annotation_mask([name])
        probe.annotations[name] = resolved
    return asked, tuple(merges)


def _for_itself(aggregate: Any) -> Any:
    """So that Django, where its condition can never be true, does not take the whole query to be empty."""
    return Coalesce(aggregate, 0 if isinstance(aggregate, Count) else None)


def _without_default(aggregate: Any) -> Any:
    if isinstance(aggregate, Coalesce):
        return aggregate.get_source_expressions()[0]
    if not isinstance(aggregate, Aggregate) or aggregate.default is None:  # type: ignore[attr-defined]
        return aggregate
    bare: Any = aggregate.copy()
    bare.default = None
    return bare


class _StandIn:
    """Compiles like a connection; what is run on it is given to ``run``, whose answer is the only row."""

    def __init__(self, like: Any, run: Callable[[Statement], Any]) -> None:
        self._like = like
        self._run = run
        self._row: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._like, name)

    def cursor(self) -> "_StandIn":
        return self

    def execute(self, sql: str, params: Any) -> None:
        self._row = self._run(Statement(sql, params))

    def fetchone(self) -> Any:
        return self._row

    def close(self) -> None:
        pass


@contextmanager
def standing_in(like: Any, run: Callable[[Statement], Any]) -> Iterator[str]:
    """An alias that stands, in this thread, for a connection which only ``run`` hears of.

    ``Query.get_aggregation`` looks its connection up by name and leaves no other place to step in.
    """
    name = f"sharding, standing in ({next(_numbers)})"
    connections[name] = _StandIn(like, run)  # type: ignore[assignment]
    try:
        yield name
    finally:
        del connections[name]
