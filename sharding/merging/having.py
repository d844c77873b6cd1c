"""Conditions on whole groups, checked when the groups of all databases have become one."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Range,
)
from django.db.models.sql.where import AND, OR, WhereNode

from sharding.errors import CrossShardQuery
from sharding.merging import values

Verdict = bool | None
"""None: unknown, because something is NULL. Such a group is left out."""
Condition = Callable[[Sequence[Any]], Verdict]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "exact": lambda value, bound: value == bound,
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
    "in": lambda value, bounds: value in bounds,
    "range": lambda value, bounds: bounds[0] <= value <= bounds[1],
}
_LOOKUPS = (Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, In, Range)


def condition(node: WhereNode, compiler: Any, position: Callable[[Any], int]) -> Condition:
    """What ``node`` says of a merged row, where ``position`` tells the place of an expression in it.

    Raises ``CrossShardQuery`` for what is not a comparison of one aggregate with numbers.
    """
    parts = [
        condition(child, compiler, position) if isinstance(child, WhereNode) else _of_lookup(child, compiler, position)
        for child in node.children
    ]
    if node.connector not in (AND, OR):
        raise _refused("exclusive or")
    decisive = node.connector == OR  # one part that says so decides

    def judged(row: Sequence[Any]) -> Verdict:
        verdicts = [part(row) for part in parts]
        found: Verdict = decisive if decisive in verdicts else None if None in verdicts else not decisive
        return found if found is None or not node.negated else not found

    return judged


def _of_lookup(lookup: Any, compiler: Any, position: Callable[[Any], int]) -> Condition:
    try:
        compiler.compile(lookup)
    except EmptyResultSet:  # Django takes it to be false, even where the server would not know
        return lambda row: False
    except FullResultSet:
        return lambda row: True
    lhs = values.source(getattr(lookup, "lhs", None))
    if not getattr(lhs, "contains_aggregate", False):
        raise _refused("a condition on both groups and rows")
    place = position(lhs)
    if type(lookup) is IsNull:
        return lambda row: (row[place] is None) == lookup.rhs
    compare = _COMPARISONS.get(lookup.lookup_name)
    if compare is None or not isinstance(lookup, _LOOKUPS):
        raise _refused(f"{lookup.lookup_name!r} of an aggregate")
    bounds = lookup.rhs if isinstance(lookup, In | Range) else [lookup.rhs]
    if not all(type(bound) in (int, float, Decimal) for bound in bounds):
        raise _refused("the comparison of an aggregate with something other than a number")

    def judged(row: Sequence[Any]) -> Verdict:
        value = row[place]
        if value is None:
            return None
        alike = [_as(value, bound) for bound in bounds]
        return compare(value, alike if isinstance(lookup, In | Range) else alike[0])

    return judged


def _as(value: Any, bound: Any) -> Any:
    """``bound`` as the server reads it beside such a value: 0.1 is a tenth, unless it is compared with a float."""
    if isinstance(value, float):
        return float(bound)
    return Decimal(repr(bound)) if isinstance(bound, float) else bound


def _refused(what: str) -> CrossShardQuery:
    return CrossShardQuery(
        f"{what} cannot be decided before the groups of several databases are one; filter the groups in Python"
    )
