"""The reading half of sharded querysets: one database as Django does it, several at once and merged."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NoReturn, Self, TypeVar

from asgiref.sync import sync_to_async
from django.db.models import Model, QuerySet, prefetch_related_objects
from typing_extensions import override

from sharding import colocation, replicas, routing
from sharding.errors import BucketMoved, CrossShardQuery
from sharding.scatter import Mark, Partial, Reading, aggregated, noted

Row = TypeVar("Row", bound=Model)
Answer = TypeVar("Answer")


class ReadingQuerySet(QuerySet[Row]):
    """Answers from the databases that its WHERE names, and from all of them where ``scatter()`` said so."""

    _db: str | None
    _mark: Mark | None = None
    _missed: Sequence[Sequence[str]] = ()

    def scatter(self, *, timeout: float | None = None, partial: Partial = "error") -> Self:
        """Let this query ask every database of its keyspace, or those that it names, all at once.

        The answer is the one that a single database with all rows would give, or ``CrossShardQuery`` says, before
        anything is asked, what cannot be put together. Only sums and averages of floats may differ in their last bits.
        Each database has ``timeout`` seconds for each statement. Those that do not answer in time, or at all, raise
        ``ShardsMissing``; with ``partial="return"`` only if none answers, and ``missing_shards`` names them.

        Reads only, and not inside a transaction: the databases answer at slightly different moments. What is related to
        the rows (``prefetch_related``) is then fetched by their ids, as always.
        """
        if self._db is not None:
            raise CrossShardQuery(f"{self.model._meta.label}: scatter() after using({self._db!r}); say one of the two")
        if partial not in ("error", "return"):
            raise ValueError(f'partial is "error" or "return", not {partial!r}')
        marked: Self = self._chain()  # type: ignore[attr-defined]
        marked._mark = Mark(timeout, partial)
        return marked

    @property
    def missing_shards(self) -> tuple[str, ...]:
        """After ``scatter(partial="return")``: the databases whose rows the last answer of this queryset lacks."""
        return tuple(dict.fromkeys(alias for missed in self._missed for alias in missed))

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._mark = self._mark
        return clone

    def _route(self) -> routing.Route:
        return routing.route(self.model, self.query, everywhere=self._mark is not None)

    def _refuse(self, what: str, aliases: Sequence[str]) -> NoReturn:
        raise CrossShardQuery(
            f"{self.model._meta.label}: {what} spans {', '.join(aliases)}; name one key, or run it for each of them "
            "with .using(alias)"
        )

    @property
    def _is_read_elsewhere(self) -> bool:
        """Whether Django by itself would ask only one of several databases, or without a time limit."""
        return self._db is None and (self._mark is not None or len(self._route().aliases) > 1)

    def _one_database(self) -> str | None:
        """The database that Django by itself may ask; None where there are several, or a time limit."""
        if self._mark is not None:
            return None
        found = routing.aliases(self.model, self.query)
        return replicas.chosen(self, found[0]) if len(found) == 1 else None

    def _read(self, ask: Callable[[Reading], Answer]) -> Answer:
        """``ask`` a reading of this queryset; once more where a bucket proves to have moved meanwhile."""
        try:
            return ask(self._reading())
        except BucketMoved:
            return ask(self._reading())

    def _reading(self) -> Reading:
        reading = Reading(self, self._route(), self._mark)
        self._missed = [reading.missing]
        return reading

    def _noting(self, ask: Callable[[], Answer]) -> Answer:
        """``ask`` by way of querysets made from this one: what their answers lack, this one's lacks."""
        if self._mark is None:
            return ask()
        missed: list[list[str]] = []
        token = noted.set(missed)
        try:
            return ask()
        finally:
            noted.reset(token)
            self._missed = missed
            around = noted.get()
            if around is not None:
                around += missed

    # What asks.

    @override
    @replicas.or_primary
    def _fetch_all(self) -> None:
        if self._result_cache is not None or self._db is not None:
            super()._fetch_all()
            return
        self._db = self._one_database()  # decided once: Django looks at ``db`` several times for one answer
        if self._db is None:
            self._result_cache = self._read(lambda reading: list(reading.rows()))
        try:
            super()._fetch_all()
        finally:
            self._db = None

    @override
    def iterator(self, chunk_size: int | None = None) -> Iterator[Row]:
        if not self._is_read_elsewhere:
            return super().iterator(chunk_size)
        if chunk_size is None and self._prefetch_related_lookups:  # type: ignore[attr-defined]
            raise ValueError("iterator() after prefetch_related() needs a chunk_size: so many rows are prefetched for")
        if chunk_size is not None and chunk_size <= 0:
            raise ValueError("chunk_size must be above zero")
        return self._prefetching(self._reading().streamed(chunk_size or 2000), chunk_size or 2000)

    def _prefetching(self, rows: Iterator[Row], chunk_size: int) -> Iterator[Row]:
        lookups = self._prefetch_related_lookups  # type: ignore[attr-defined]
        if not lookups:
            yield from rows
        while chunk := list(islice(rows, chunk_size)):
            prefetch_related_objects(chunk, *lookups)
            yield from chunk

    @override
    async def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[Row]:
        if not self._is_read_elsewhere:
            async for row in self.using(self.db)._unrouted_aiterator(chunk_size):
                yield row
            return
        rows = await sync_to_async(self.iterator)(chunk_size)
        while chunk := await sync_to_async(lambda: list(islice(rows, chunk_size)))():
            for row in chunk:
                yield row

    def _unrouted_aiterator(self, chunk_size: int) -> AsyncIterator[Row]:
        return super().aiterator(chunk_size)

    @override
    @replicas.or_primary
    def count(self) -> int:
        if self._result_cache is not None or self._db is not None:
            return super().count()
        if self._is_read_elsewhere:
            return self._read(lambda reading: reading.count())
        return super().count()

    @override
    @replicas.or_primary
    def exists(self) -> bool:
        if self._result_cache is None and self._is_read_elsewhere:
            some: Self = self._chain()  # type: ignore[attr-defined]
            if not self.query.is_sliced:  # where any row will do, what is selected of it does not matter
                some.query = self.query.exists()
            elif not self.query.distinct_fields:
                some.query.clear_ordering(force=True)
            return self._noting(lambda: some.count() > 0)
        return super().exists()

    @override
    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if self._db is not None:
            return super().aggregate(*args, **kwargs)
        route = self._route()
        named = {getattr(each, "default_alias", ""): each for each in args} | kwargs
        colocation.check_aggregates(self.query, named, route.keyspace, route.aliases)
        if len(route.aliases) == 1 and self._mark is None:
            return super(ReadingQuerySet, self.using(route.aliases[0])).aggregate(*args, **kwargs)
        return self._read(lambda reading: aggregated(reading).aggregate(*args, **kwargs))

    @override
    def in_bulk(self, id_list: Any = None, *, field_name: str = "pk") -> dict[Any, Row]:
        if self._db is not None or id_list is None:
            return self._noting(lambda: super(ReadingQuerySet, self).in_bulk(id_list, field_name=field_name))
        super().in_bulk((), field_name=field_name)  # refuses what it cannot do, and asks nothing
        wanted = self.filter(**{f"{field_name}__in": list(id_list)})
        if not self.query.distinct_fields:
            wanted = wanted.order_by()
        return self._noting(lambda: {getattr(row, field_name): row for row in wanted})

    # What asks by way of other querysets.

    @override
    def __getitem__(self, k: Any) -> Any:
        return self._noting(lambda: super(ReadingQuerySet, self).__getitem__(k))

    @override
    def get(self, *args: Any, **kwargs: Any) -> Row:
        return self._noting(lambda: super(ReadingQuerySet, self).get(*args, **kwargs))

    @override
    def first(self) -> Row | None:
        return self._noting(super().first)

    @override
    def last(self) -> Row | None:
        return self._noting(super().last)

    @override
    def earliest(self, *fields: Any) -> Row:
        return self._noting(lambda: super(ReadingQuerySet, self).earliest(*fields))

    @override
    def latest(self, *fields: Any) -> Row:
        return self._noting(lambda: super(ReadingQuerySet, self).latest(*fields))

    @override
    def contains(self, obj: Model) -> bool:
        return self._noting(lambda: super(ReadingQuerySet, self).contains(obj))
