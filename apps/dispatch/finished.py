"""Batches that were delivered, as those who learn from them read them: chunk by chunk, the latest first."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sharding
from apps.dispatch import models
from apps.dispatch.domain import BatchStatus, StopState
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment.types import FinishedOrder
from apps.stores import selectors as stores
from apps.stores.types import Store

CHUNK: Final = 500
"""Batches read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A finished batch; its orders in the sequence of their doors."""

    store: Store
    orders: tuple[FinishedOrder, ...]


def trips(*, using: str, since: datetime, most_batches: int) -> Iterator[Trip]:
    """The batches that ended on one shard since then, of so many at most the latest ones.

    A batch with an order that was not delivered, or to no known place, is left out. 4 queries for each ``CHUNK``, whose
    batches are all that is held in memory.
    """
    for chunk in _chunks(using, since, most_batches):
        yield from _trips(chunk, using)


def _chunks(using: str, since: datetime, most: int) -> Iterator[Sequence[models.Batch]]:
    """By id, not by time: a batch that ends meanwhile moves no other into a chunk that was read already."""
    ended = sharding.owned(models.Batch.objects, using).filter(status=BatchStatus.COMPLETED, ended_at__gte=since)
    rest = ended.order_by("-pk")
    while chunk := list(rest[: min(CHUNK, most)]):
        yield chunk
        most -= len(chunk)
        rest = ended.filter(pk__lt=chunk[-1].pk).order_by("-pk")


def _trips(batches: Collection[models.Batch], using: str) -> Iterator[Trip]:
    by_id = {batch.pk: batch for batch in batches}
    drops = sharding.owned(models.BatchStop.objects, using).filter(
        batch_id__in=by_id, kind="drop", state=StopState.DONE
    )
    ids_of: dict[int, list[int]] = {}
    for batch_id, store_order_id in drops.order_by("sequence").values_list("batch_id", "store_order_id"):
        ids_of.setdefault(batch_id, []).append(store_order_id)
    finished = fulfilment.finished(store_order_ids={one for ids in ids_of.values() for one in ids})
    places = stores.stores(store_ids={batch.store_id for batch in batches})
    for batch_id, ids in ids_of.items():
        store = places.get(by_id[batch_id].store_id)
        if store is not None and all(one in finished for one in ids):
            yield Trip(store=store, orders=tuple(finished[one] for one in ids))
