"""Django's queryset, sent to the shard that its own WHERE names."""

from collections.abc import Iterable, Sequence
from typing import Any, Self, TypeVar

from django.db.models import Model
from typing_extensions import override

from sharding import colocation, keys, replicas, topology
from sharding.errors import CrossShardQuery, ShardingError, UnroutableQuery
from sharding.reads import ReadingQuerySet

Row = TypeVar("Row", bound=Model)

CREATES_HERE = "sharding_creates_here"
"""A hint on querysets that chose their database themselves: a row that is created must belong there."""


class ShardedQuerySet(ReadingQuerySet[Row]):
    """Runs on one shard, or reads from the few that its ids name and merges them; refuses everything else.

    ``.using(alias)`` is the explicit way out: then nothing is checked but what the database itself checks.
    """

    _hints: dict[str, Any]

    @property
    @override
    def db(self) -> str:
        if self._db is not None:
            return self._db
        found = self._route().aliases
        if len(found) > 1:
            self._refuse("this query", found)
        return replicas.chosen(self, found[0])

    def _aliases(self) -> tuple[str, ...]:
        return (self._db,) if self._db is not None else self._route().aliases

    def _pinned(self, what: str) -> Self:
        """This queryset on its one shard."""
        if self._db is not None:
            return self
        if self._mark is not None:
            raise CrossShardQuery(
                f"{self.model._meta.label}: {what} after scatter(), which only reads; name one key, or run it for each "
                "database with .using(alias)"
            )
        found = self._aliases()
        if len(found) > 1:
            self._refuse(what, found)
        return self.using(found[0])

    def _pinned_to_rows(self, what: str, rows: Sequence[Row], names: Iterable[str] | None = None) -> Self:
        """This queryset on the one shard of ``rows``, whose columns, or those in ``names``, may hold expressions."""
        if self._db is not None:
            return self
        found = sorted({keys.alias_of_row(row) for row in rows})
        if len(found) > 1:
            self._refuse(what, found)
        for row in rows:
            colocation.check_row(row, found[0], names)
        return self.using(found[0])

    def _pinned_by(self, what: str, lookups: dict[str, Any]) -> Self:
        """This queryset on the one shard that ``lookups`` name; what it creates must live there."""
        if self._db is not None:
            return self
        pinned = self.filter(**lookups)._pinned(what)
        pinned = self.using(pinned._db)
        pinned._hints = {**self._hints, CREATES_HERE: True}
        return pinned

    def _checked_defaults(self, defaults: Any) -> Any:
        """What ``update_or_create`` may set rows to: not to an identity that lives elsewhere than ``self``."""
        placed = keys.layout(self.model)
        named = [placed.key, *placed.pk_columns]
        given = {name for field in named for name in (field.name, field.attname)} & (defaults or {}).keys()
        if self._is_explicit or not given:
            return defaults
        defaults = dict(defaults) | {name: value() if callable(value := defaults[name]) else value for name in given}
        self._refuse_elsewhere(self.model(**{name: defaults[name] for name in given}))
        return defaults

    @property
    def _is_explicit(self) -> bool:
        """Whether the database was named by ``.using``, and not found by this queryset or a related manager."""
        return self._db is not None and self._hints.keys().isdisjoint(("instance", CREATES_HERE))

    def _refuse_elsewhere(self, row: Row) -> None:
        alias = keys.alias_of_row(row)
        if self._db not in (None, alias):
            raise CrossShardQuery(
                f"{self.model._meta.label}: what was looked for is on {self._db}, what would be saved belongs on "
                f"{alias}; give both the same key"
            )

    @property
    def _place(self) -> topology.Keyspace:
        return topology.keyspace(keys.layout(self.model).keyspace)

    @override
    def __repr__(self) -> str:
        try:
            return super().__repr__()
        except ShardingError as error:  # a debugger or a failing assertion only wants to look
            return f"<{type(self).__name__} of {self.model._meta.label}: {type(error).__name__}>"

    # Writing: one shard.

    @override
    def update(self, **kwargs: Any) -> int:
        pinned = self._pinned("update()")
        if self._db is None:
            colocation.check_update(self.query, kwargs, self._place, (pinned.db,))
        return super(ShardedQuerySet, pinned).update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    @override
    def delete(self) -> tuple[int, dict[str, int]]:
        return super(ShardedQuerySet, self._pinned("delete()")).delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    @override
    def create(self, **kwargs: Any) -> Row:
        refused: frozenset[str] = self.model._meta._reverse_one_to_one_field_names  # type: ignore[attr-defined]
        if self._is_explicit or not refused.isdisjoint(kwargs):
            return super().create(**kwargs)
        row = self.model(**kwargs)
        self._refuse_elsewhere(row)
        self._for_write = True
        row.save(force_insert=True, using=self._db or keys.alias_of_row(row))
        return row

    create.alters_data = True  # type: ignore[attr-defined]

    @override
    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Row]:
        """All on one shard, in one transaction; rows of several are refused, because they could be half done."""
        rows = list(objs)
        if not rows:
            return rows
        return super(ShardedQuerySet, self._pinned_to_rows("bulk_create()", rows)).bulk_create(rows, *args, **kwargs)

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    @override
    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        """All on one shard, in one transaction; rows of several are refused, because they could be half done."""
        rows = list(objs)
        if not rows:
            return 0
        names = list(fields)
        pinned = self._pinned_to_rows("bulk_update()", rows, names)
        if self._db is None and not colocation.is_plain(self.query):
            colocation.check(self.query, self._place, (pinned.db,))
        return super(ShardedQuerySet, pinned).bulk_update(rows, names, batch_size)

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    @override
    def get_or_create(self, defaults: Any = None, **kwargs: Any) -> tuple[Row, bool]:
        return super(ShardedQuerySet, self._pinned_by("get_or_create()", kwargs)).get_or_create(defaults, **kwargs)

    get_or_create.alters_data = True  # type: ignore[attr-defined]

    @override
    def update_or_create(self, defaults: Any = None, create_defaults: Any = None, **kwargs: Any) -> tuple[Row, bool]:
        pinned = self._pinned_by("update_or_create()", kwargs)
        checked = pinned._checked_defaults(defaults)
        return super(ShardedQuerySet, pinned).update_or_create(checked, create_defaults, **kwargs)

    update_or_create.alters_data = True  # type: ignore[attr-defined]

    @override
    def raw(self, raw_query: Any, params: Any = (), translations: Any = None, using: str | None = None) -> Any:
        if using is None and self._db is None:
            raise UnroutableQuery(f"{self.model._meta.label}: SQL text names no shard; say raw(…, using=alias)")
        return super().raw(raw_query, params, translations, using)
