"""The lint's rules for each kind of operation: which of them it breaks where it stands."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import singledispatch
from typing import Any, TypeAlias

from django.apps import apps
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    CreateCollation,
    CreateExtension,
    NotInTransactionMixin,
    RemoveCollation,
    ValidateConstraint,
)
from django.db import DEFAULT_DB_ALIAS
from django.db.migrations import operations as django
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CheckConstraint, F, Field, ManyToManyField, UniqueConstraint

from sharding import keys, operations
from sharding.linting import columns, statements
from sharding.linting.scenes import Scene, table_name
from sharding.routers import placement

AnyField: TypeAlias = "Field[Any, Any]"
Names = Iterator[str]


@singledispatch
def rules_broken(operation: Operation, scene: Scene) -> Names:
    """The names of the rules that ``operation`` breaks in ``scene``."""
    yield "unknown-operation"


def _rule(*kinds: type) -> Callable[[Callable[[Any, Scene], Names]], Callable[[Any, Scene], Names]]:
    def register(check: Callable[[Any, Scene], Names]) -> Callable[[Any, Scene], Names]:
        for kind in kinds:
            rules_broken.register(kind, check)
        return check

    return register


@_rule(
    django.CreateModel,
    django.AlterModelOptions,
    django.AlterModelManagers,
    django.AlterModelTableComment,
    django.AlterConstraint,
    django.RemoveConstraint,
    django.RemoveIndex,
    django.RenameIndex,
    AddConstraintNotValid,
    CreateExtension,
    CreateCollation,
    RemoveCollation,
)
def _harmless(operation: Operation, scene: Scene) -> Names:
    """Nothing, or what takes a moment once it has its lock."""
    yield from ()


@_rule(NotInTransactionMixin)
def _no_transaction(operation: Operation, scene: Scene) -> Names:
    if scene.migration.atomic:
        yield "concurrently-in-a-transaction"


@_rule(operations.AddUnique)
def _add_unique(operation: operations.AddUnique, scene: Scene) -> Names:
    yield from _no_transaction(operation, scene)
    if isinstance(operation.constraint, UniqueConstraint):
        yield from _lost_key(scene, operation.model_name, _fields_of(operation.constraint))


@_rule(django.AddIndex)
def _add_index(operation: django.AddIndex, scene: Scene) -> Names:
    if scene.is_in_use(operation.model_name):
        yield "index-blocks-writes"


@_rule(django.AddConstraint)
def _add_constraint(operation: django.AddConstraint, scene: Scene) -> Names:
    constraint = operation.constraint
    if isinstance(constraint, UniqueConstraint):
        yield from _lost_key(scene, operation.model_name, _fields_of(constraint))
    if not scene.is_in_use(operation.model_name):
        return
    if isinstance(constraint, CheckConstraint):
        yield "check-scans-table"
    else:
        yield "unique-blocks-writes" if isinstance(constraint, UniqueConstraint) else "index-blocks-writes"


@_rule(ValidateConstraint)
def _validate(operation: ValidateConstraint, scene: Scene) -> Names:
    if scene.migration.atomic and scene.is_holding_locks and scene.is_in_use(operation.model_name):
        yield "validated-under-lock"


@_rule(django.AddField)
def _add_field(operation: django.AddField, scene: Scene) -> Names:
    field = operation.field
    if isinstance(field, ManyToManyField):
        return  # a table of its own
    if field.unique:
        yield from _lost_key(scene, operation.model_name, [operation.name])
    if not scene.is_in_use(operation.model_name):
        return
    if not (field.null or field.has_db_default() or field.generated):
        yield "not-null-without-db-default"
    elif not field.has_db_default() and callable(field.default) and field.has_default():
        yield "one-value-for-all-rows"
    if columns.is_rewriting(field):
        yield "default-rewrites-table"
    if columns.has_check(columns.bound(field, operation.name)):
        yield "check-scans-table"
    if columns.has_constraint(field) and (not field.null or field.has_default() or field.has_db_default()):
        yield "foreign-key-scans-table"
    if field.unique:
        yield "unique-blocks-writes"
    elif columns.has_index(field):
        yield "index-blocks-writes"


@_rule(django.AlterField)
def _alter_field(operation: django.AlterField, scene: Scene) -> Names:
    old, new = _field(scene, scene.before, operation), _field(scene, scene.after, operation)
    if old is None or new is None or isinstance(old, ManyToManyField) or isinstance(new, ManyToManyField):
        return
    is_unique = new.unique and not old.unique
    if is_unique:
        yield from _lost_key(scene, operation.model_name, [operation.name])
    if not scene.is_in_use(operation.model_name):
        return
    if old.column != new.column:
        yield "rename-breaks-running-code"
    states = ((old, scene.before), (new, scene.after))
    types = [columns.type_of(field, state, scene.app_label) for field, state in states]
    if not columns.is_free_change(*types) or getattr(old, "db_collation", None) != getattr(new, "db_collation", None):
        yield "type-change-rewrites-table"
    if old.null and not new.null:
        yield "set-not-null-scans-table"
    if columns.has_check(new) and not columns.has_check(old):
        yield "check-scans-table"
    if columns.has_constraint(new) and not columns.has_constraint(old):
        yield "foreign-key-scans-table"
    if is_unique:
        yield "unique-blocks-writes"
    elif columns.has_index(new) and not (columns.has_index(old) and _keeps_its_indexes(types)):
        yield "index-blocks-writes"


def _keeps_its_indexes(types: Sequence[str | None]) -> bool:
    """Django makes another index for text than for anything else, varchar included."""
    return types[0] == types[1] or all((type or "").startswith("varchar") for type in types)


@_rule(django.RenameField)
def _rename_field(operation: django.RenameField, scene: Scene) -> Names:
    if not scene.is_in_use(operation.model_name):
        return
    before, after = (scene.model(operation.model_name, state) for state in (scene.before, scene.after))
    if before is None or after is None:
        return
    old = columns.bound(before.fields[operation.old_name], operation.old_name)
    new = columns.bound(after.fields[operation.new_name], operation.new_name)
    if old.column != new.column:
        yield "rename-breaks-running-code"


@_rule(django.RenameModel)
def _rename_model(operation: django.RenameModel, scene: Scene) -> Names:
    before = scene.model(operation.old_name, scene.before)
    after = scene.model(operation.new_name)
    if before is not None and after is not None and scene.is_in_use(operation.old_name):
        yield from _renamed(before, after)


@_rule(django.AlterModelTable)
def _alter_table(operation: django.AlterModelTable, scene: Scene) -> Names:
    before, after = (scene.model(operation.name, state) for state in (scene.before, scene.after))
    if before is not None and after is not None and scene.is_in_use(operation.name):
        yield from _renamed(before, after)


def _renamed(before: ModelState, after: ModelState) -> Names:
    has_table_between = any(isinstance(field, ManyToManyField) for field in after.fields.values())
    if table_name(before) != table_name(after) or has_table_between:
        yield "rename-breaks-running-code"


@_rule(django.RemoveField)
def _remove_field(operation: django.RemoveField, scene: Scene) -> Names:
    if scene.is_in_use(operation.model_name):
        yield "removed-while-in-use"


@_rule(django.DeleteModel)
def _delete_model(operation: django.DeleteModel, scene: Scene) -> Names:
    if scene.is_in_use(operation.name):
        yield "removed-while-in-use"


@_rule(operations.DropColumn)
def _drop_column(operation: operations.DropColumn, scene: Scene) -> Names:
    known = scene.model(operation.model_name, scene.release.start)
    fields = known.fields.items() if known is not None else ()
    if any(columns.bound(field, name).column == operation.column for name, field in fields):
        yield "dropped-too-early"


@_rule(operations.DropTable)
def _drop_table(operation: operations.DropTable, scene: Scene) -> Names:
    if any(table_name(model) == operation.table for model in scene.release.start.models.values()):
        yield "dropped-too-early"


@_rule(django.AlterUniqueTogether)
def _unique_together(operation: django.AlterUniqueTogether, scene: Scene) -> Names:
    for names in _added_together("unique_together", operation.name, scene):
        yield from _lost_key(scene, operation.name, names)
        if scene.is_in_use(operation.name):
            yield "unique-blocks-writes"


@_rule(django.AlterIndexTogether)
def _index_together(operation: django.AlterIndexTogether, scene: Scene) -> Names:
    if scene.is_in_use(operation.name) and _added_together("index_together", operation.name, scene):
        yield "index-blocks-writes"


def _added_together(option: str, name: str, scene: Scene) -> list[tuple[str, ...]]:
    models = [scene.model(name, state) for state in (scene.before, scene.after)]
    before, after = ({tuple(one) for one in (model.options.get(option) or ())} if model else set() for model in models)
    return sorted(after - before)


@_rule(django.AlterOrderWithRespectTo)
def _order(operation: django.AlterOrderWithRespectTo, scene: Scene) -> Names:
    if operation.order_with_respect_to and scene.is_in_use(operation.name):
        yield "not-null-without-db-default"  # the column _order


@_rule(django.RunPython)
def _run_python(operation: django.RunPython, scene: Scene) -> Names:
    if operation.code is django.RunPython.noop:
        return
    yield from _placed(operation.hints, scene)
    if scene.is_app_in_use():
        yield "data-in-a-migration"
        if operation.reverse_code is None:
            yield "no-way-back"


@_rule(django.RunSQL)
def _run_sql(operation: django.RunSQL, scene: Scene) -> Names:
    yield from _placed(operation.hints, scene)
    given = [operation.sql] if isinstance(operation.sql, str) else operation.sql
    for one in given:
        yield from statements.rules_broken(
            one if isinstance(one, str) else one[0],
            is_atomic=scene.migration.atomic,
            is_holding_locks=scene.is_holding_locks,
            new_tables=scene.new_table_names(),
        )
    if operation.reverse_sql is None and scene.is_app_in_use():
        yield "no-way-back"


def _placed(hints: Mapping[str, Any], scene: Scene) -> Names:
    try:
        models = apps.get_app_config(scene.app_label).get_models()
    except LookupError:
        return
    is_split = any(placement(model) != DEFAULT_DB_ALIAS for model in models)
    if is_split and not (hints.get("keyspace") or hints.get("model_name")):
        yield "says-not-where"


def left_behind(operation: Operation, scene: Scene) -> Names:
    """What a change of the state alone breaks: the table stays, and the code will know less of it."""
    if isinstance(operation, django.RemoveField) and scene.is_in_use(operation.model_name):
        field = _field(scene, scene.before, operation)
        if field is None or isinstance(field, ManyToManyField):
            return
        if not (field.null or field.has_db_default() or field.generated):
            yield "not-null-left-behind"


def _field(scene: Scene, state: ProjectState, operation: Any) -> "AnyField | None":
    model = scene.model(operation.model_name, state)
    field = model.fields.get(operation.name) if model is not None else None
    return columns.bound(field, operation.name) if field is not None else None


def _fields_of(constraint: UniqueConstraint) -> list[str]:
    expressions = [str(one.name) for one in constraint.expressions if isinstance(one, F)]  # type: ignore[attr-defined]
    return [*constraint.fields, *expressions]


def _lost_key(scene: Scene, model_name: str, names: Sequence[str]) -> Names:
    """Whether rows that agree on ``names`` may be on two shards."""
    try:
        model = apps.get_model(scene.app_label, model_name)
    except LookupError:
        return
    if keys.shard_key(model) is None:
        return
    by_name = {name: field for field in model._meta.local_concrete_fields for name in (field.name, field.attname)}
    fields = [by_name[name] for name in names if name in by_name]
    if not any(keys.bucket_function(field) is not None for field in fields):
        yield "unique-without-key"
