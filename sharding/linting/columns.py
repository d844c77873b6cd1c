"""What a change of a field means for its column, told from migration states without a database."""

import re
from copy import copy
from typing import Any, TypeAlias

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.state import ProjectState
from django.db.models import AutoField, Field, ForeignKey, ManyToManyField, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Cast, Coalesce, Concat, Lower, Now, Upper

from sharding.fields import ShardAutoField

AnyField: TypeAlias = "Field[Any, Any]"

_CONSTANT = (Value, Now, CombinedExpression, Cast, Coalesce, Concat, Lower, Upper)
"""Expressions that have one value for a whole statement if their parts do."""


def bound(field: AnyField, name: str) -> AnyField:
    """``field`` as it is called ``name`` in a table, so that it knows its column."""
    found: AnyField = copy(field)
    found.set_attributes_from_name(name)
    return found


def type_of(field: AnyField, state: ProjectState, app_label: str) -> str | None:
    """The type of the column; of a reference, that of what it refers to. None where that is not known."""
    connection = connections[DEFAULT_DB_ALIAS]
    if isinstance(field, ForeignKey):
        target = _target(field, state, app_label)
        return None if target is None else target.rel_db_type(connection)
    return field.db_type(connection)


def _target(field: "ForeignKey[Any, Any]", state: ProjectState, app_label: str) -> "AnyField | None":
    to: Any = field.remote_field.model
    label = to if isinstance(to, str) else to._meta.label
    there_app, _, there_name = label.rpartition(".")
    if there_name == "self":
        return None
    model = state.models.get((there_app or app_label, there_name.lower()))
    if model is None:
        return None
    wanted = getattr(field, "to_fields", [None])[0]
    for name, candidate in model.fields.items():
        if name == wanted or (wanted is None and candidate.primary_key):
            if isinstance(candidate, ForeignKey):
                return _target(candidate, state, there_app or app_label)
            return bound(candidate, name)
    return None


def is_free_change(old: str | None, new: str | None) -> bool:
    """Whether PostgreSQL changes the one type to the other without reading the table."""
    if old == new:
        return True
    if old is None or new is None:
        return False
    short, long = _capacity(old), _capacity(new)
    if short is not None and long is not None:
        return long >= short
    before, after = _digits(old), _digits(new)
    return before is not None and after is not None and after[0] >= before[0] and after[1] == before[1]


def _capacity(type: str) -> float | None:
    """How long a text the type takes; None for another type."""
    if type in ("text", "varchar"):
        return float("inf")
    found = re.fullmatch(r"varchar\((\d+)\)", type)
    return int(found[1]) if found else None


def _digits(type: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"numeric\((\d+), ?(\d+)\)", type)
    return (int(found[1]), int(found[2])) if found else None


def has_check(field: AnyField) -> bool:
    """Whether the column comes with a CHECK, as that of a ``PositiveIntegerField`` does."""
    return not isinstance(field, ManyToManyField) and bool(field.db_check(connections[DEFAULT_DB_ALIAS]))


def has_index(field: AnyField) -> bool:
    return bool(field.db_index) and not field.unique  # type: ignore[attr-defined]


def has_constraint(field: AnyField) -> bool:
    """Whether the column refers to another with the database watching."""
    return isinstance(field, ForeignKey) and bool(field.db_constraint)  # type: ignore[attr-defined]


def is_rewriting(field: AnyField) -> bool:
    """Whether adding the column gives each row a value of its own, so that the table is written anew."""
    if field.generated:
        return True
    if isinstance(field, AutoField) and not isinstance(field, ShardAutoField):
        return True
    return field.has_db_default() and not _is_constant(field._db_default_expression)  # type: ignore[attr-defined]


def _is_constant(expression: Any) -> bool:
    if type(expression) not in _CONSTANT:
        return False
    return all(_is_constant(part) for part in expression.get_source_expressions() if part is not None)
