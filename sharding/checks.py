"""The rules of sharded models, as Django system checks. Each has an id of its own; ``README.md`` lists them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import (
    AutoField,
    BigIntegerField,
    CompositePrimaryKey,
    F,
    Field,
    ForeignKey,
    IntegerField,
    ManyToManyField,
    Model,
    UniqueConstraint,
)

from sharding import keys, schema, topology
from sharding.errors import ShardingError
from sharding.fields import ShardAutoField
from sharding.querysets import ShardedQuerySet
from sharding.sharded import ShardedModel

Configs = Sequence[AppConfig] | None


def check_topology(app_configs: Configs, **_: Any) -> list[CheckMessage]:
    """E101: the map; E102: the router."""
    found: list[CheckMessage] = []
    try:
        keyspaces = topology.configured().keyspaces
    except (AttributeError, KeyError, TypeError, ShardingError) as error:
        return [_error("E101", None, f"settings.SHARDING is not a shard map: {error}", "See sharding/README.md.")]
    for keyspace in keyspaces.values():
        if keyspace.gaps:
            first, *_rest = keyspace.gaps
            found.append(
                _error(
                    "E101",
                    None,
                    f"keyspace {keyspace.name}: bucket {first} is named by no range, or by more than one",
                    "Make the ranges cover 0 to 9999 once.",
                )
            )
        found += [
            _error("E101", None, f"keyspace {keyspace.name} names {alias!r}, which is not in DATABASES", "Add it.")
            for alias in keyspace.databases
            if alias not in connections.databases
        ]
        if keyspace.name in (DEFAULT_DB_ALIAS, "*"):
            found.append(_error("E101", None, f"a keyspace cannot be called {keyspace.name!r}", "Rename it."))
    if "sharding.routers.ShardRouter" not in settings.DATABASE_ROUTERS:
        found.append(
            _error("E102", None, "the router is missing", 'Set DATABASE_ROUTERS = ["sharding.routers.ShardRouter"].')
        )
    return found


def check_models(app_configs: Configs, **_: Any) -> list[CheckMessage]:
    """E103 to E110, for each model."""
    if check_topology(None):
        return []  # said once is enough
    chosen = {config.label for config in app_configs} if app_configs else None
    return [
        message
        for model in apps.get_models()
        if chosen is None or model._meta.app_label in chosen
        for message in errors_of(model)
    ]


def check_tables(app_configs: Configs, databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E111: a table of one of ``databases`` lacks its trigger or its CHECK."""
    return [
        _error("E111", None, f"{alias}: table {table} lacks {name}", "Run manage.py shard migrate.")
        for alias in databases or ()
        if connections[alias].vendor == "postgresql"
        for table, name in schema.missing(connections[alias])
    ]


def errors_of(model: type[Model]) -> list[CheckMessage]:
    """What is wrong with one model."""
    declared = keys.shard_key(model)
    if declared is None:
        return [*_undeclared(model), *_references_to_sharded(model)]
    if not issubclass(model, ShardedModel):
        return [_error("E103", model, "has a ShardKey but is no ShardedModel", "Derive it from sharding.ShardedModel.")]
    if declared.keyspace not in topology.configured().keyspaces:
        return [_error("E104", model, f"keyspace {declared.keyspace!r} is not in settings.SHARDING", "Add it there.")]
    problem = _key_problem(model, declared)
    if problem is not None:
        return [problem]
    return [
        *_primary_key(model),
        *_references(model),
        *_uniqueness(model),
        *_managers(model),
    ]


def _undeclared(model: type[Model]) -> Iterator[CheckMessage]:
    if issubclass(model, ShardedModel):
        yield _error(
            "E103", model, "is a ShardedModel without a ShardKey", "Add sharding = ShardKey(keyspace, field=…)."
        )
    for field in model._meta.local_fields:
        if isinstance(field, ShardAutoField):
            yield _error("E106", field, "is a ShardAutoField of a model that is not sharded", "Use BigAutoField.")


def _key_problem(model: type[Model], declared: keys.ShardKey) -> CheckMessage | None:
    key = keys.key_field(model)
    hint = "Name a column of whole numbers that every row has."
    if key is None:
        return _error("E105", model, f"ShardKey names {declared.field!r}, which is not a column", hint)
    if key not in model._meta.local_fields and not model._meta.proxy:
        return _error("E105", model, f"the key {key.name!r} is a column of a parent's table", "Use an abstract parent.")
    number = key.target_field if isinstance(key, ForeignKey) else key
    if not isinstance(number, IntegerField) or key.null:
        return _error("E105", model, f"the key {key.name!r} holds no whole numbers, or may be null", hint)
    if isinstance(number, ShardAutoField):
        return _error(
            "E105", model, f"the key {key.name!r} is an id, not a key", "Name the key that the id's bucket is of."
        )
    return None


def _primary_key(model: type[Model]) -> Iterator[CheckMessage]:
    placed = keys.layout(model)
    if placed.is_root:
        if not isinstance(placed.pk, BigIntegerField | ForeignKey) or isinstance(placed.pk, AutoField):
            yield _error(
                "E106", model, "is a root table, whose key is given to it", "Use BigIntegerField(primary_key=True)."
            )
        return
    if isinstance(placed.pk, CompositePrimaryKey):
        if placed.key not in placed.pk.fields:
            yield _error("E106", model, "has a composite primary key without the shard key", "Add the key to it.")
    elif not isinstance(placed.pk, ShardAutoField) and not keys.is_colocated_reference(placed.pk):
        yield _error("E106", model, "has ids that carry no bucket", "Use ShardAutoField() as its primary key.")


def _references(model: type[Model]) -> Iterator[CheckMessage]:
    for field in model._meta.local_fields:
        if not isinstance(field, ForeignKey):
            continue
        there = keys.shard_key(field.remote_field.model)
        here: keys.ShardKey = model.sharding  # type: ignore[attr-defined]
        if there is None or there.keyspace != here.keyspace:
            number = "E108" if getattr(field, "is_colocated", False) else "E107"
            yield _error(
                number, field, "refers to a table that is not of this keyspace", "Keep the id alone: ShardRef(…)."
            )
        elif not getattr(field, "is_colocated", False):
            yield _error(
                "E107", field, "is a plain foreign key", "Use ShardForeignKey: it is checked to stay in the bucket."
            )
        elif not field.target_field.primary_key:
            yield _error("E108", field, "refers to something else than a primary key", "Remove to_field.")
    for many in model._meta.local_many_to_many:
        through = many.remote_field.through
        if through is None or keys.shard_key(through) is None:
            yield _error(
                "E107", many, "has a table in between that is not sharded", "Write it as a ShardedModel, through=…."
            )
    for parent in () if model._meta.proxy else model._meta.parents:
        yield _error("E107", model, f"shares rows with {parent._meta.label}", "Use an abstract parent.")


def _references_to_sharded(model: type[Model]) -> Iterator[CheckMessage]:
    for field in [*model._meta.local_fields, *model._meta.local_many_to_many]:
        if not isinstance(field, ForeignKey | ManyToManyField) or not isinstance(field.related_model, type):
            continue
        if keys.shard_key(field.related_model) is not None:
            yield _error("E107", field, "refers to a sharded table from outside", "Keep the id alone: ShardRef(…).")


def _uniqueness(model: type[Model]) -> Iterator[CheckMessage]:
    hint = "Add the shard key, or a reference that implies it: one shard cannot see the rows of another."
    for field in model._meta.local_fields:
        if field.unique and not field.primary_key and not _determines_key(field):
            yield _error("E109", field, "is unique without the shard key", hint)
    for together in model._meta.unique_together:
        if not any(_determines_key(model._meta.get_field(name)) for name in together):
            yield _error("E109", model, f"unique_together {tuple(together)} is without the shard key", hint)
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint) and not any(
            _determines_key(model._meta.get_field(name)) for name in _plain_columns(constraint)
        ):
            yield _error("E109", model, f"constraint {constraint.name} is unique without the shard key", hint)


def _plain_columns(constraint: UniqueConstraint) -> list[str]:
    return [*constraint.fields, *(str(e.name) for e in constraint.expressions if isinstance(e, F))]  # type: ignore[attr-defined]


def _determines_key(field: Any) -> bool:
    """Whether rows that agree on this column are all in one bucket."""
    return isinstance(field, Field) and bool(field.column) and keys.bucket_function(field) is not None


def _managers(model: type[Model]) -> Iterator[CheckMessage]:
    base = model._base_manager
    for manager in {base.name: base, **{manager.name: manager for manager in model._meta.managers}}.values():
        if not issubclass(getattr(manager, "_queryset_class", object), ShardedQuerySet):
            if manager is base and base.name == "_base_manager":
                hint = 'Put ShardedModel first among its bases, or set Meta.base_manager_name = "routed".'
            else:
                hint = "Build it from sharding.ShardedQuerySet."
            yield _error("E110", model, f"manager {manager.name!r} does not route", hint)


def _error(number: str, obj: Any, message: str, hint: str) -> Error:
    return Error(f"{message}.", hint=hint, obj=obj, id=f"sharding.{number}")
