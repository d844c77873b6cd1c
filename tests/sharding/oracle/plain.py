"""The shop's models once more, as a project without shards would have them: plain Django, all in one database."""

from types import SimpleNamespace
from typing import Any

from django.apps.registry import Apps
from django.db import models

import sharding
from tests.sharding.shop import models as shop

ALIAS = "oracle"
MODELS = (
    shop.Customer,
    shop.Order,
    shop.Line,
    shop.Receipt,
    shop.Note,
    shop.Tag,
    shop.Label,
    shop.Favourite,
)
"""Those of the keyspace ``customer``, each after what it refers to."""

_registry = Apps(["tests.sharding.shop"])
"""Knows these models under the names that the shop's have in Django's own."""


class Router:
    """Asked before the project's own router, which does not know these models."""

    def db_for_read(self, model: type[models.Model], **_: Any) -> str | None:
        return ALIAS if model._meta.apps is _registry else None

    db_for_write = db_for_read

    def allow_relation(self, one: models.Model, other: models.Model, **_: Any) -> bool | None:
        return True if one._meta.apps is other._meta.apps is _registry else None


def _twin(model: type[models.Model]) -> Any:
    options = {"apps": _registry, "app_label": "shop", "db_table": model._meta.db_table, "managed": False}
    fields = [*model._meta.private_fields, *model._meta.local_fields, *model._meta.local_many_to_many]
    body = {field.name: _copy(field) for field in fields}
    return type(model.__name__, (models.Model,), {"__module__": __name__, "Meta": type("Meta", (), options), **body})


def _copy(field: Any) -> Any:
    """The field as Django has it: an ordinary foreign key for a co-located one, and so on."""
    _, _, args, given = field.deconstruct()
    for kind in (models.OneToOneField, models.ForeignKey, models.BigAutoField):
        if isinstance(field, kind):
            return kind(**given)
    if isinstance(field, sharding.ShardRef):
        return models.BigIntegerField(**given)
    return type(field)(*args, **given)


m = SimpleNamespace(**{model.__name__: _twin(model) for model in MODELS})
"""The models by name."""
