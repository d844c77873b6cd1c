"""Django's queryset, sent to the shard that its own WHERE names."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NoReturn, Self, TypeVar

from asgiref.sync import sync_to_async
from django.db.models import Model, QuerySet
from typing_extensions import override

from sharding import colocation, keys, merging, replicas, routing
from sharding.errors import CrossShardQuery, ShardingError, UnroutableQuery

Row = TypeVar("Row", bound=Model)


class ShardedQuerySet(QuerySet[Row]):
    """Runs on one shard, or reads from the few that its ids name and merges them; refuses everything else.

    ``.using(alias)`` is the explicit way out: then nothing is checked but what the database itself checks.
    """

    _db: str | None

    @property
    @override
    def db(self) -> str:
        if self._db is not None:
            return self._db
        return replicas.chosen(self, self._home())

    def _home(self) -> str:
        """The one database that this query's rows live on."""
        found = self._aliases()
        if len(found) > 1:
            self._refuse("this query", found)
        return found[0]

    def _aliases(self) -> tuple[str, ...]:
        return (self._db,) if self._db is not None else routing.aliases(self.model, self.query)

    def _refuse(self, what: str, aliases: Sequence[str]) -> NoReturn:
        raise CrossShardQuery(
            f"{self.model._meta.label}: {what} spans {', '.join(aliases)}; name one key, or run it for each of them "
            "with .using(alias)"
        )

    def _pinned(self, what: str, *values: Any) -> Self:
        """This queryset on its one shard, with expressions among ``values`` checked for looking elsewhere."""
        if self._db is not None:
            return self
        found = self._aliases()
        if len(found) > 1:
            self._refuse(what, found)
        suspicious = [value for value in values if colocation.looks_elsewhere(value)]
        if suspicious:
            probe = self.order_by().annotate(**{f"sharding_probe_{n}": value for n, value in enumerate(suspicious)})
            routing.aliases(self.model, probe.query)
        return self.using(found[0])

    def _pinned_to_rows(self, what: str, rows: Sequence[Row]) -> Self:
        if self._db is not None:
            return self
        found = sorted({keys.alias_of_row(row) for row in rows})
        if len(found) > 1:
            self._refuse(what, found)
        return self.using(found[0])

    @override
    def __repr__(self) -> str:
        try:
            return super().__repr__()
        except ShardingError as error:  # a debugger or a failing assertion only wants to look
            return f"<{type(self).__name__} of {self.model._meta.label}: {type(error).__name__}>"

    # Reading: one shard as Django does it, several merged.

    @override
    @replicas.or_primary
    def _fetch_all(self) -> None:
        if self._result_cache is None and self._db is None:
            found = self._aliases()
            if len(found) > 1:
                self._result_cache = list(merging.rows(self, found))
        super()._fetch_all()

    @override
    def iterator(self, chunk_size: int | None = None) -> Iterator[Row]:
        found = self._aliases()
        if len(found) == 1:
            return super().iterator(chunk_size)
        if self._prefetch_related_lookups:  # type: ignore[attr-defined]
            self._refuse("iterator() after prefetch_related()", found)
        return merging.rows(self, found, chunk_size=chunk_size or 2000)

    @override
    async def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[Row]:
        found = self._aliases()
        if len(found) == 1:
            async for row in self.using(found[0])._unrouted_aiterator(chunk_size):
                yield row
            return
        for row in await sync_to_async(lambda: list(self.iterator(chunk_size)))():
            yield row

    def _unrouted_aiterator(self, chunk_size: int) -> AsyncIterator[Row]:
        return super().aiterator(chunk_size)

    @override
    @replicas.or_primary
    def count(self) -> int:
        if self._result_cache is None and self._db is None:
            found = self._aliases()
            if len(found) > 1:
                return merging.count(self, found)
        return super().count()

    @override
    @replicas.or_primary
    def exists(self) -> bool:
        if self._result_cache is None and self._db is None:
            found = self._aliases()
            if len(found) > 1:
                return merging.count(self[:1] if not self.query.is_sliced else self, found) > 0
        return super().exists()

    @override
    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        pinned = self._pinned("aggregate()", *args, *kwargs.values())
        return super(ShardedQuerySet, pinned).aggregate(*args, **kwargs)

    @override
    def in_bulk(self, id_list: Any = None, *, field_name: str = "pk") -> dict[Any, Row]:
        if self._db is not None or id_list is None or field_name != "pk":
            return super().in_bulk(id_list, field_name=field_name)
        if self.query.is_sliced:
            raise TypeError("Cannot use 'limit' or 'offset' with in_bulk().")
        if self._fields is not None:  # type: ignore[attr-defined]
            raise TypeError("in_bulk() cannot be used with values() or values_list().")
        return {row.pk: row for row in self.filter(pk__in=list(id_list)).order_by()}

    # Writing: one shard.

    @override
    def update(self, **kwargs: Any) -> int:
        return super(ShardedQuerySet, self._pinned("update()", *kwargs.values())).update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    @override
    def delete(self) -> tuple[int, dict[str, int]]:
        return super(ShardedQuerySet, self._pinned("delete()")).delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    @override
    def create(self, **kwargs: Any) -> Row:
        if self._db is not None:
            return super().create(**kwargs)
        row = self.model(**kwargs)
        self._for_write = True
        row.save(force_insert=True, using=keys.alias_of_row(row))
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
        return super(ShardedQuerySet, self._pinned_to_rows("bulk_update()", rows)).bulk_update(rows, fields, batch_size)

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def _pinned_by(self, lookups: dict[str, Any]) -> Self:
        return self if self._db is not None else self.using(self.filter(**lookups)._home())

    @override
    def get_or_create(self, defaults: Any = None, **kwargs: Any) -> tuple[Row, bool]:
        return super(ShardedQuerySet, self._pinned_by(kwargs)).get_or_create(defaults, **kwargs)

    get_or_create.alters_data = True  # type: ignore[attr-defined]

    @override
    def update_or_create(self, defaults: Any = None, create_defaults: Any = None, **kwargs: Any) -> tuple[Row, bool]:
        pinned = self._pinned_by(kwargs)
        return super(ShardedQuerySet, pinned).update_or_create(defaults, create_defaults, **kwargs)

    update_or_create.alters_data = True  # type: ignore[attr-defined]

    @override
    def raw(self, raw_query: Any, params: Any = (), translations: Any = None, using: str | None = None) -> Any:
        if using is None and self._db is None:
            raise UnroutableQuery(f"{self.model._meta.label}: SQL text names no shard; say raw(…, using=alias)")
        return super().raw(raw_query, params, translations, using)
