"""Who may plan a zone: one planner at a time, and none any more whose lease was taken over.

The lease is a row in the global database, the offers are rows on the stores' shards: one transaction cannot see both.
So every lease has a number, larger than all before it, and every store knows the largest number that planned it.
Whoever takes over a lease that was not given back first raises the number at all stores of the zone; an offer is made
in a transaction that refuses a smaller number than the store's (fencing: M. Kleppmann, "How to do distributed
locking", 2016). A lease that was given back leaves nobody behind, so that an ordinary turn raises nothing.
"""

import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sharding
from apps.dispatch import domain, models


class Deposed(Exception):
    """Another planner has the zone now; this one has nothing more to say there."""


@dataclass(frozen=True, slots=True)
class Lease:
    token: int
    is_inherited: bool
    """Whoever had it before did not give it back, and may still be at work."""


@contextmanager
def lease(zone_id: int, now: datetime) -> Iterator[Lease | None]:
    """The zone for the block, ``domain.LEASE`` at most; None while another planner has it."""
    taken = _take(zone_id, now)
    try:
        yield taken
    finally:
        if taken is not None:
            held = models.PlannerLease.objects.filter(zone_id=zone_id, token=taken.token)
            held.update(expires_at=now, holder=None)


def depose_others(*, store_ids: Collection[int], token: int) -> None:
    """From here on no planner with a smaller token makes an offer of these stores. 3 queries a shard."""
    shards: dict[str, list[int]] = {}
    for store_id in sorted(store_ids):
        shards.setdefault(sharding.alias_for("store", store_id), []).append(store_id)
    for of_shard in shards.values():
        _raise(of_shard, token)


def check(*, store_id: int, token: int) -> None:
    """Raises ``Deposed`` when the store was planned by a later lease; until the transaction ends, none gets ahead."""
    fences = models.StoreFence.objects.filter(store_id=store_id)
    if fences.filter(token__lte=token).update(token=token):
        return
    if fences.exists():
        raise Deposed
    models.StoreFence.objects.create(store_id=store_id, token=token)


def _take(zone_id: int, now: datetime) -> Lease | None:
    leases = models.PlannerLease.objects.filter(zone_id=zone_id)
    last = leases.first()
    if last is None:
        blank = models.PlannerLease(zone_id=zone_id, holder=uuid.UUID(int=0), token=0, expires_at=now)
        models.PlannerLease.objects.bulk_create([blank], ignore_conflicts=True)  # of many planners of a new zone, one
        last = leases.first()
    if last is None or last.expires_at > now:
        return None
    token = max(last.token + 1, time.time_ns() // 1000)  # grows too where the row with the last one was lost
    expired = leases.filter(token=last.token, expires_at__lte=now)
    if not expired.update(holder=uuid.uuid4(), token=token, expires_at=now + domain.LEASE):
        return None
    return Lease(token=token, is_inherited=last.holder is not None)


@sharding.repeatable
def _raise(store_ids: list[int], token: int) -> None:
    """Of stores on one shard; in the order of their ids, so that two never wait for each other."""
    with sharding.atomic(sharding.home("store", store_ids[0])):
        made = [models.StoreFence(store_id=store_id, token=token) for store_id in store_ids]
        models.StoreFence.objects.bulk_create(made, ignore_conflicts=True)
        fences = models.StoreFence.objects.filter(store_id__in=store_ids)
        list(fences.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
        fences.filter(token__lt=token).update(token=token)
