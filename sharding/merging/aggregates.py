"""One aggregate from those of several databases: which can be put together exactly, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import reduce
from typing import Any

from django.db.models import Aggregate, Avg, Count, Max, Min, Sum
from django.db.models.expressions import Col
from django.db.models.functions import Coalesce

from sharding import keys
from sharding.errors import CrossShardQuery
from sharding.merging import values

How = Callable[[list[tuple[Any, ...]], Sequence[int]], Any]
"""From what each database said of the inputs, and the inputs' types: the value of all."""


@dataclass(frozen=True, slots=True)
class Merge:
    """How one column of a group comes about: ``how`` of the columns ``inputs`` gives column ``target``."""

    target: int
    inputs: tuple[int, ...]
    how: How


def inner(expression: Any) -> Any:
    """The aggregate of which everything in ``expression`` depends: without what its ``default`` becomes around it."""
    expression = values.source(expression)
    if type(expression) is Coalesce:
        first, *rest = expression.get_source_expressions()
        if not any(getattr(part, "contains_aggregate", False) for part in rest):
            return values.source(first)
    return expression


def helpers(aggregate: Any) -> list[Aggregate]:
    """What else to ask each database for, to compute ``aggregate`` from. Works before and after it was resolved."""
    if type(aggregate) is not Avg:
        return []
    *sources, condition = aggregate.get_source_expressions()
    options = {"filter": condition, "distinct": aggregate.distinct}  # type: ignore[attr-defined]
    return [Sum(*sources, **options), Count(*sources, **options)]


def way(aggregate: Any, connection: Any) -> How:
    """How to merge ``aggregate``, once resolved; raises ``CrossShardQuery`` where that could not be exact."""
    kind = type(aggregate)
    if kind not in _WAYS:
        raise CrossShardQuery(
            f"{kind.__name__} cannot be put together from several databases; ask for Count, Sum, Avg, Min and "
            "Max, each by itself, and compute with them in Python"
        )
    *sources, _ = aggregate.get_source_expressions()
    if aggregate.distinct and kind not in (Min, Max) and not _is_apart(sources[0]):
        raise CrossShardQuery(
            f"{kind.__name__}(distinct=True) of what several databases may share cannot be put together; read the "
            "values themselves, with values_list(…).distinct()"
        )
    if kind in (Min, Max) and not values.has_order(sources[0], connection):
        raise CrossShardQuery(
            f"{kind.__name__} of this column depends on how each database sorts it; for text, say "
            f'{kind.__name__}(Collate(…, "C"))'
        )
    if kind is Avg and values.type_name(sources[0], connection) == "interval":
        raise CrossShardQuery("Avg of durations is rounded by each database; ask for Sum and Count, and divide")
    return _WAYS[kind]


def _is_apart(expression: Any) -> bool:
    """Whether no value of ``expression`` occurs on two databases: it names its row's bucket."""
    expression = values.source(expression)
    return type(expression) is Col and keys.bucket_function(expression.target) is not None


_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


def _added(one: Any, other: Any) -> Any:
    return _EXACT.add(one, other) if isinstance(one, Decimal) or isinstance(other, Decimal) else one + other


def _total(parts: list[tuple[Any, ...]], types: Sequence[int]) -> Any:
    found = [part[0] for part in parts if part[0] is not None]
    return reduce(_added, found) if found else None


def _count(parts: list[tuple[Any, ...]], types: Sequence[int]) -> int:
    return sum(part[0] for part in parts)


def _least(parts: list[tuple[Any, ...]], types: Sequence[int]) -> Any:
    found = [part[0] for part in parts if part[0] is not None]
    return min(found, key=values.order_key(types[0])) if found else None


def _greatest(parts: list[tuple[Any, ...]], types: Sequence[int]) -> Any:
    found = [part[0] for part in parts if part[0] is not None]
    return max(found, key=values.order_key(types[0])) if found else None


def _average(parts: list[tuple[Any, ...]], types: Sequence[int]) -> Any:
    """Of each part: the average, of which only the type matters, the sum, the count."""
    count = sum(part[2] for part in parts)
    total = _total([part[1:2] for part in parts], types[1:2])
    if total is None:
        return None
    if types[0] == values.NUMERIC:
        return quotient(Decimal(total), count)
    if types[0] == values.FLOAT8:
        return total / count
    raise CrossShardQuery("Avg of this type is rounded by each database; ask for Sum and Count, and divide")


def with_default(how: How) -> How:
    """For ``Coalesce(aggregate, default)``: the first input is that column, whose value anywhere is the default."""

    def merged(parts: list[tuple[Any, ...]], types: Sequence[int]) -> Any:
        found = how([part[1:] for part in parts], types[1:])
        return parts[0][0] if found is None else found

    return merged


_WAYS: dict[type, How] = {Sum: _total, Count: _count, Min: _least, Max: _greatest, Avg: _average}


# PostgreSQL's division of numerics: numeric_div and select_div_scale in src/backend/utils/adt/numeric.c, version 18.

_DIGITS, _BASE = 4, 10_000
_SIGNIFICANT = 16
_MOST_PLACES = 1000


def quotient(total: Decimal, count: int) -> Decimal:
    """``total / count`` with as many decimal places as PostgreSQL gives, rounded half away from zero as there."""
    if not total.is_finite():
        return total
    sign, _, exponent = total.as_tuple()
    places = max(0, -int(exponent))
    weight, first = _leading(abs(total), places)
    divisor_weight, divisor_first = _leading(Decimal(count), 0)
    quotient_weight = weight - divisor_weight - (first <= divisor_first)
    scale = min(max(_SIGNIFICANT - quotient_weight * _DIGITS, places), _MOST_PLACES)
    unscaled = int(_EXACT.scaleb(abs(total), places))
    whole, rest = divmod(unscaled * 10 ** max(0, scale - places), count * 10 ** max(0, places - scale))
    if 2 * rest >= count * 10 ** max(0, places - scale):
        whole += 1
    return _EXACT.scaleb(Decimal(-whole if sign else whole), -scale)


def _leading(value: Decimal, places: int) -> tuple[int, int]:
    """Position and value of the first digit that is not zero, in base 10,000; both 0 for zero."""
    padding = -places % _DIGITS
    digits = int(_EXACT.scaleb(value, places + padding))
    if digits == 0:
        return 0, 0
    weight = -(places + padding) // _DIGITS
    while digits >= _BASE:
        digits //= _BASE
        weight += 1
    return weight, digits
