"""Answers of several databases as if one had given them: the same rows, in the same order, within the same limits.

``parts`` decides, before anything is asked, what to ask for and how to merge it, or refuses; ``merged`` merges.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, NamedTuple

from sharding.merging import values
from sharding.merging.parts import Groups, Plan, Term

Row = tuple[Any, ...]


class Source(NamedTuple):
    """What one database answers."""

    alias: str
    types: Sequence[int]
    """PostgreSQL's type of each column, by its OID."""
    rows: Iterable[Row]


def merged(sources: Sequence[Source], plan: Plan) -> Iterator[tuple[str, Row]]:
    """The rows of all, each with the database it came from; lazily, unless they are grouped.

    A group comes from the first database that has rows of it. Sums of floats are added in the order of the databases:
    their last bit may differ from that of one database, which itself promises none.
    """
    if plan.groups is not None:
        rows: Iterator[tuple[Any, str, Row]] = iter(_grouped(sources, plan.groups))
        if plan.terms and sources:
            key = _order_key(sources[0].types, plan.terms)
            rows = iter(sorted(rows, key=lambda found: key(found[2])))
    elif plan.terms:
        rows = heapq.merge(*(_keyed(source, plan.terms) for source in sources), key=itemgetter(0))
    else:
        rows = chain.from_iterable(_keyed(source, ()) for source in sources)
    if plan.distinct is not None:
        rows = _distinct(rows, {source.alias: _identities(source.types, plan.distinct) for source in sources})
    return ((alias, row) for _, alias, row in islice(rows, plan.low, plan.high))


def _keyed(source: Source, terms: Sequence[Term]) -> Iterator[tuple[Any, str, Row]]:
    key = _order_key(source.types, terms)
    alias = source.alias
    return ((key(row), alias, row) for row in source.rows)


def _order_key(types: Sequence[int], terms: Sequence[Term]) -> Callable[[Row], tuple[Any, ...]]:
    keys = [
        (
            term.position,
            values.order_key(types[term.position], descending=term.descending, nulls_first=term.nulls_first),
        )
        for term in terms
    ]
    return lambda row: tuple([key(row[position]) for position, key in keys])


def _identities(types: Sequence[int], positions: Sequence[int]) -> Callable[[Row], tuple[Any, ...]]:
    keys = [(position, values.identity(types[position])) for position in positions]
    return lambda row: tuple([key(row[position]) for position, key in keys])


def _distinct(
    rows: Iterator[tuple[Any, str, Row]], identities: dict[str, Callable[[Row], tuple[Any, ...]]]
) -> Iterator[tuple[Any, str, Row]]:
    seen = set()
    for found in rows:
        identity = identities[found[1]](found[2])
        if identity not in seen:
            seen.add(identity)
            yield found


def _grouped(sources: Sequence[Source], groups: Groups) -> Iterator[tuple[None, str, Row]]:
    together: dict[tuple[Any, ...], tuple[str, list[Row]]] = {}
    for source in sources:
        identity = _identities(source.types, groups.by)
        for row in source.rows:
            together.setdefault(identity(row), (source.alias, []))[1].append(row)
    for alias, parts in together.values():
        row = combined(parts, sources[0].types, groups)
        if groups.condition is None or groups.condition(row):
            yield None, alias, row


def combined(parts: Sequence[Row], types: Sequence[int], groups: Groups) -> Row:
    """One group, from what each database has of it."""
    row = list(parts[0])
    for merge in groups.merges:
        inputs = [tuple([part[position] for position in merge.inputs]) for part in parts]
        row[merge.target] = merge.how(inputs, [types[position] for position in merge.inputs])
    return tuple(row)
