"""Values as PostgreSQL's server compares them, in Python; and of which types that can be said.

A column is judged twice: by its field before anything is asked, so that a refusal costs nothing, and by the type that
the server says its answer has.
"""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import FieldError
from django.db.models.expressions import Col, Ref
from django.db.models.functions import Collate
from typing_extensions import override

from sharding.errors import CrossShardQuery

NUMERIC, FLOAT8 = 1700, 701

_COMPARED = {
    16: "boolean", 20: "bigint", 21: "smallint", 23: "integer", FLOAT8: "double precision", NUMERIC: "numeric",
    1082: "date", 1083: "time", 1114: "timestamp without time zone", 1184: "timestamp with time zone",
    1186: "interval", 2950: "uuid",
}  # fmt: skip
"""Types whose order and equality Python shares, by OID. An interval as Django writes it: without months and years."""
_TEXT = {25: "text", 1043: "varchar"}
_SERIALS = {"serial", "bigserial", "smallserial"}
_BY_BYTES = {"C", "POSIX", "C.utf8", "C.UTF-8", "ucs_basic", "pg_c_utf8"}
"""Collations that sort UTF-8 by its code points, as Python sorts strings."""

_ORDERED_NAMES = frozenset(_COMPARED.values()) | _SERIALS
_EQUAL_NAMES = _ORDERED_NAMES | frozenset(_TEXT.values())


def type_name(expression: Any, connection: Any) -> str | None:
    """PostgreSQL's name, without length or precision, of what Django takes the expression's type to be."""
    try:
        declared = expression.output_field.db_type(connection)
    except (FieldError, AttributeError):
        return None
    return declared.split("(")[0] if declared else None


def has_order(expression: Any, connection: Any) -> bool:
    """Whether Python can put values of ``expression`` into the order of the server."""
    expression = source(expression)
    name = type_name(expression, connection)
    return name in _ORDERED_NAMES or (name in _EQUAL_NAMES and _collation(expression) in _BY_BYTES)


def has_equality(expression: Any, connection: Any) -> bool:
    """Whether two values of ``expression`` are equal for the server exactly where they are for Python."""
    expression = source(expression)
    if type_name(expression, connection) not in _EQUAL_NAMES:
        return False
    # Only an explicit collation can find different strings equal: a database's own never does.
    parts = expression.flatten() if hasattr(expression, "flatten") else [expression]
    return all(_collation(part) in (None, *_BY_BYTES) for part in parts)


def source(expression: Any) -> Any:
    """What a reference to a selected column refers to."""
    while isinstance(expression, Ref):
        expression = expression.source  # type: ignore[attr-defined]
    return expression


def _collation(expression: Any) -> str | None:
    if isinstance(expression, Collate):
        return str(expression.collation)  # type: ignore[attr-defined]
    return getattr(expression.target, "db_collation", None) if isinstance(expression, Col) else None


def comparable(type_oid: int, *, text: bool) -> Callable[[Any], Any]:
    """What to make of values of this type before Python compares them; raises for a type that it must not compare."""
    if type_oid == 1184:
        return _utc
    if type_oid in _COMPARED or (text and type_oid in _TEXT):
        return _unchanged
    raise CrossShardQuery(
        f"the database answered with a column of type {type_oid}, which cannot be compared outside of it; declare its "
        "output_field as what it is, or ask each database with .using(alias)"
    )


def _unchanged(value: Any) -> Any:
    return value


def _utc(value: Any) -> Any:
    """Python compares two times of one zone by what its clocks show, which show some hours twice a year."""
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not UTC else value


class _Backwards:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and bool(self.value == other.value)

    def __lt__(self, other: "_Backwards") -> bool:
        return bool(other.value < self.value)

    __hash__ = None  # type: ignore[assignment]


def _negated(value: Any) -> Any:
    return value.copy_negate() if isinstance(value, Decimal) else -value


def order_key(type_oid: int, *, descending: bool = False, nulls_first: bool | None = None) -> Callable[[Any], Any]:
    """A key that sorts as ORDER BY does: NaN above every number, NULL above everything unless said otherwise."""
    comparable_of: Callable[[Any], Any] | None = None
    nulls_lead = descending if nulls_first is None else nulls_first
    null = (-2,) if nulls_lead else (2,)
    nan = (-1,) if descending else (1,)
    is_number = type_oid in (20, 21, 23, FLOAT8, NUMERIC)
    turned: Callable[[Any], Any] = (_negated if is_number else _Backwards) if descending else _unchanged

    def key(value: Any) -> tuple[Any, ...]:
        nonlocal comparable_of
        if value is None:
            return null
        if value != value:
            return nan
        if comparable_of is None:
            comparable_of = comparable(type_oid, text=True)
        return (0, turned(comparable_of(value)))

    return key


def identity(type_oid: int) -> Callable[[Any], Hashable]:
    """A key that is equal where the server finds values equal; NULL equals NULL, as in GROUP BY and DISTINCT."""
    comparable_of: Callable[[Any], Any] | None = None

    def key(value: Any) -> Hashable:
        nonlocal comparable_of
        if value is None:
            return None
        if value != value:
            return "NaN", None  # equal to itself, unlike Python's, and to no value of a column
        if comparable_of is None:
            comparable_of = comparable(type_oid, text=True)
        found: Hashable = comparable_of(value)
        return found

    return key
