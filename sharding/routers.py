"""Django's questions about databases, answered from the models. Set ``DATABASE_ROUTERS`` to ``ShardRouter``."""

from functools import cache
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from sharding import keys, topology
from sharding.conf import options
from sharding.errors import MisplacedRow, ShardingError, UnroutableQuery
from sharding.keys import EveryDatabase

EVERYWHERE = "*"
"""``hints={"keyspace": "*"}``: a migration step for every database."""


class ShardRouter:
    """Rows go where their key says; what has no key stays in ``default``.

    Queries of sharded models are routed by ``ShardedQuerySet`` and come here only for a row's own ``save`` and
    ``delete`` and for Django's related managers.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return self._database(model, hints.get("instance"))

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return self._database(model, hints.get("instance"))

    def _database(self, model: type[Model], instance: Model | None) -> str | None:
        sharding = getattr(model, "sharding", None)
        if isinstance(sharding, keys.ShardKey):
            return _of_sharded(model, sharding, instance)
        if isinstance(sharding, EveryDatabase):
            if isinstance(instance, model) and instance._state.db:
                return instance._state.db
            raise UnroutableQuery(f"{model._meta.label} is in every database; say which with .using(alias)")
        if model.__module__ == "__fake__":
            _refuse_unpinned_migration(model)
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool | None:
        here, there = keys.shard_key(type(one)), keys.shard_key(type(other))
        if here is None and there is None:
            return None
        if here is None or there is None or here.keyspace != there.keyspace:
            return False
        buckets = {keys.bucket_of_row(one), keys.bucket_of_row(other)} - {None}
        if len(buckets) == 2:
            raise MisplacedRow(f"{one!r} and {other!r} live in different buckets, so neither can refer to the other")
        return True

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool:
        if db not in topology.all_aliases():
            return False
        keyspace = hints.get("keyspace") or _keyspace_of_table(app_label, (model_name or "").lower())
        if keyspace == EVERYWHERE:
            return True
        if keyspace == DEFAULT_DB_ALIAS:
            return db == DEFAULT_DB_ALIAS
        return db in topology.databases(keyspace)


def _of_sharded(model: type[Model], sharding: keys.ShardKey, instance: Model | None) -> str | None:
    if instance is not None:
        other = keys.shard_key(type(instance))
        if other is not None and other.keyspace == sharding.keyspace:
            if isinstance(instance, model) or keys.bucket_of_row(instance) is not None:
                return keys.alias_of_row(instance)
            # Two rows are being put together before either has a key; saving them asks again.
            return instance._state.db
    raise UnroutableQuery(f"{model._meta.label}: nothing names a shard; add {sharding.field}=… or .using(alias)")


def _refuse_unpinned_migration(model: type[Model]) -> None:
    try:
        live = apps.get_model(model._meta.app_label, model._meta.object_name)
    except LookupError:
        return
    if getattr(live, "sharding", None) is not None:
        raise UnroutableQuery(
            f"{model._meta.label} in a migration: say .using(schema_editor.connection.alias); each database runs it"
        )


def placement(model: type[Model]) -> str:
    """The keyspace whose databases have this model's table, ``default``, or ``EVERYWHERE``."""
    sharding = getattr(model, "sharding", None)
    if isinstance(sharding, keys.ShardKey):
        return sharding.keyspace
    return EVERYWHERE if isinstance(sharding, EveryDatabase) else DEFAULT_DB_ALIAS


@cache
def _keyspace_of_table(app_label: str, model_name: str) -> str:
    try:
        config = apps.get_app_config(app_label)
    except LookupError:
        return DEFAULT_DB_ALIAS
    if model_name:
        try:
            return placement(config.get_model(model_name))
        except LookupError:
            retired = options().retired
            if f"{app_label}.{model_name}" in retired:
                return retired[f"{app_label}.{model_name}"]
    places = {placement(model) for model in config.get_models()} or {DEFAULT_DB_ALIAS}
    if len(places) == 1:
        return places.pop()
    what = f"{app_label}.{model_name}" if model_name else f"a RunPython or RunSQL of {app_label}"
    raise ShardingError(
        f"cannot tell which databases {what} is for, as {app_label} has tables in {', '.join(sorted(places))}; "
        + (
            'name it in settings.SHARDING["RETIRED"]'
            if model_name
            else f'give it hints={{"keyspace": "{min(places)}"}} or hints={{"model_name": …}}'
        )
    )
