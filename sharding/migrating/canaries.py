"""One database of each keyspace goes first and is looked at before the others follow."""

from collections.abc import Collection, Iterable, Mapping

from django.apps import apps
from django.db import connections, router
from django.db.migrations import Migration
from django.db.migrations.operations import RenameModel
from django.db.migrations.operations.base import Operation
from django.db.models import Model
from django.db.utils import Error

from sharding import schema, topology
from sharding.errors import ShardingError
from sharding.ids import BUCKETS
from sharding.migrating import applying, indexes
from sharding.migrating.progress import Progress
from sharding.plans import Group, Plan


class CanaryFailed(ShardingError):
    """The database that went first is not what it should be; the others were left alone."""


def choose(group: Group, progress: Mapping[str, Progress], named: Collection[str]) -> str | None:
    """Who of ``group`` goes first: the one of ``named`` that is among them, else the one that owns the fewest buckets
    of those that lack something. None where there is nothing to protect: all are new, or lack nothing.
    """
    candidates = [alias for alias in group.aliases if progress[alias].lacking]
    if all(progress[alias].is_new for alias in candidates):
        return None
    chosen = [alias for alias in group.aliases if alias in named]
    if chosen:
        return chosen[0]
    return min((alias for alias in candidates if not progress[alias].is_new), key=_buckets)


def _buckets(alias: str) -> int:
    """How many buckets a database owns; one that owns none tells least about the others."""
    owned = sum(last - first + 1 for keyspace in topology.keyspaces().values() for first, last in keyspace.owned(alias))
    return owned or BUCKETS + 1


def check(plan: Plan, alias: str, migrated: Iterable[Migration]) -> None:
    """Raise ``CanaryFailed`` unless the database has every migration, its triggers and CHECKs, no invalid index, and
    answers a query on each table that the migrations changed.
    """
    connection = connections[alias]
    problems = [
        f"lacks {migration.app_label}.{migration.name}"
        for migration in plan.lacking(applying.recorded(alias) or set(), alias)
    ]
    problems += [f"table {table} lacks {name}" for table, name in schema.missing(connection)]
    problems += [f"index {name} is invalid" for name in indexes.invalid(connection)]
    problems += [problem for model in changed_models(alias, migrated) if (problem := _unreadable(model, alias))]
    if problems:
        raise CanaryFailed(f"{alias} went first and is not sound: {'; '.join(problems)}; the others were left alone")


def changed_models(alias: str, migrations: Iterable[Migration]) -> list[type[Model]]:
    """The models of today with tables in ``alias`` that ``migrations`` change; all of an app where that cannot be told
    from an operation."""
    found: dict[type[Model], None] = {}
    for migration in migrations:
        try:
            config = apps.get_app_config(migration.app_label)
        except LookupError:
            continue
        models = {str(model._meta.model_name): model for model in config.get_models(include_auto_created=True)}
        for operation in migration.operations:
            name = _model_name(operation)
            found.update(dict.fromkeys(models.values() if name is None else filter(None, [models.get(name)])))
    return [
        model
        for model in found
        if model._meta.managed and not model._meta.proxy and router.allow_migrate_model(alias, model)
    ]


def _model_name(operation: Operation) -> str | None:
    if isinstance(operation, RenameModel):
        return operation.new_name_lower
    name = getattr(operation, "model_name_lower", None) or getattr(operation, "name_lower", None)
    return name if isinstance(name, str) else None


def _unreadable(model: type[Model], alias: str) -> str | None:
    """What is wrong with reading all columns of one row, as the code of today does it."""
    try:
        list(model._base_manager.using(alias).order_by()[:1])
    except Error as error:
        return f"{model._meta.label} cannot be read: {str(error).splitlines()[0]}"
    return None
