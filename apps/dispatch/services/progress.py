"""How a batch goes on after it was accepted."""

from datetime import datetime
from typing import Any

import sharding
from apps.common import outbox
from apps.dispatch import domain, models
from apps.dispatch.domain import BatchStatus, OfferStatus, StopState
from apps.dispatch.events import BatchCanceled, BatchCompleted, BatchReopened, OfferClosed
from apps.dispatch.services import moving
from apps.fulfilment import services as fulfilment

SWEEP = 200


class _Begun(Exception):
    """Picking has begun after all, or an order was canceled, and word of it is on its way."""


@sharding.repeatable
def note_picking(*, store_id: int, store_order_id: int) -> bool:
    """The shopper has begun. False when that is known."""
    with sharding.atomic(sharding.home("store", store_id)):
        batch = _locked_batch_of(store_id, store_order_id)
        if batch is None:
            return False
        return bool(moving.batches(models.Batch.objects.filter(pk=batch.pk), BatchStatus.PICKING))


def finish_order(*, store_id: int, store_order_id: int, now: datetime) -> bool:
    """An order of the batch is delivered; with the last one the batch is complete. False when that is known."""
    return _end_stops(store_id, store_order_id, StopState.DONE, now)


def drop_order(*, store_id: int, store_order_id: int, now: datetime) -> bool:
    """An order was canceled: it leaves its batch, which ends when it was the last. False when it is in none."""
    return _end_stops(store_id, store_order_id, StopState.DROPPED, now)


def reclaim_stale(*, using: str, now: datetime) -> int:
    """Offer the batches of one shard anew whose shopper has not begun within ``domain.START_WITHIN``; how many."""
    stale = sharding.owned(models.Batch.objects, using).filter(
        status=BatchStatus.ACKNOWLEDGED, acknowledged_at__lte=now - domain.START_WITHIN
    )
    return sum(reclaim(batch_id, store_id) for batch_id, store_id in stale.values_list("pk", "store_id")[:SWEEP])


@sharding.repeatable
def reclaim(batch_id: int, store_id: int) -> bool:
    """Take an accepted batch back from its shopper, and open it to others. False once picking has begun."""
    try:
        with sharding.atomic(sharding.home("store", store_id)) as alias:
            acknowledged = models.Batch.objects.filter(pk=batch_id, status=BatchStatus.ACKNOWLEDGED)
            batch = acknowledged.select_for_update(no_key=True).first()
            if batch is None or batch.shopper_id is None:
                return False
            _take_back(batch, batch.shopper_id)
            moving.batches(acknowledged, BatchStatus.OPEN, shopper_id=None, acknowledged_at=None)
            event = BatchReopened(batch_id=batch_id, store_id=store_id, shopper_id=batch.shopper_id)
            outbox.emit(event, using=alias)
    except _Begun:
        return False
    return True


def _take_back(batch: models.Batch, shopper_id: int) -> None:
    pending = models.BatchStop.objects.filter(batch_id=batch.pk, kind="drop", state=StopState.PENDING)
    store_order_ids = frozenset(pending.values_list("store_order_id", flat=True))
    taken_back = fulfilment.unassign(store_id=batch.store_id, store_order_ids=store_order_ids, shopper_id=shopper_id)
    if taken_back != store_order_ids:
        raise _Begun


@sharding.repeatable
def _end_stops(store_id: int, store_order_id: int, state: StopState, now: datetime) -> bool:
    with sharding.atomic(sharding.home("store", store_id)) as alias:
        batch = _locked_batch_of(store_id, store_order_id)
        if batch is None:
            return False
        stops = models.BatchStop.objects.filter(batch_id=batch.pk)
        moving.stops(stops.filter(store_order_id=store_order_id), state)
        left = set(stops.filter(kind="drop").values_list("state", flat=True))
        if StopState.PENDING in left:
            return True
        if StopState.DONE in left and batch.shopper_id is not None:
            complete(batch, batch.shopper_id, alias, now)
        else:
            _cancel(batch, alias, now)
    return True


def complete(batch: models.Batch, shopper_id: int, alias: str, now: datetime) -> None:
    """In the caller's transaction, which holds the batch and has seen that something is delivered and nothing left."""
    if not moving.batches(models.Batch.objects.filter(pk=batch.pk), BatchStatus.COMPLETED, ended_at=now):
        return  # nobody is paid for a batch that no shopper has
    event = BatchCompleted(
        batch_id=batch.pk,
        store_id=batch.store_id,
        shopper_id=shopper_id,
        pay_cents=batch.pay_cents,
        peak_cents=batch.peak_cents,
        currency=batch.currency,
    )
    outbox.emit(event, using=alias)


def _cancel(batch: models.Batch, alias: str, now: datetime) -> None:
    live = models.Offer.objects.filter(batch_id=batch.pk, status=OfferStatus.SENT)
    offers = list(live)
    moving.offers(live, OfferStatus.WITHDRAWN, ended_at=now)
    moving.batches(models.Batch.objects.filter(pk=batch.pk), BatchStatus.CANCELED, ended_at=now)
    for offer in offers:
        event = OfferClosed(
            offer_id=offer.pk,
            batch_id=batch.pk,
            store_id=batch.store_id,
            shopper_id=offer.shopper_id,
            outcome=OfferStatus.WITHDRAWN,
        )
        outbox.emit(event, using=alias)
    work = work_of(batch, until=now)
    canceled = BatchCanceled(batch_id=batch.pk, store_id=batch.store_id, shopper_id=batch.shopper_id, **work)
    outbox.emit(canceled, using=alias)


def work_of(batch: models.Batch, *, until: datetime) -> dict[str, Any]:
    """What its shopper has worked for by then, as the events tell it. 1 query, none where nobody has the batch."""
    if batch.shopper_id is None or batch.acknowledged_at is None:
        return {}
    accepted = models.Offer.objects.filter(batch_id=batch.pk, shopper_id=batch.shopper_id, status=OfferStatus.ACCEPTED)
    return {
        "work_cents": domain.PAY.work_cents(until - batch.acknowledged_at, most=batch.pay_cents),
        "offer_id": accepted.order_by("-pk").values_list("pk", flat=True).first() or 0,
        "currency": batch.currency,
    }


def _locked_batch_of(store_id: int, store_order_id: int) -> models.Batch | None:
    """The batch in which the order still has something to do, held until the transaction ends.

    Whoever changes a batch, its stops or its offers takes the batch's row first: so nobody waits in a circle.
    """
    stops = models.BatchStop.objects.filter(store_id=store_id, store_order_id=store_order_id, state=StopState.PENDING)
    batch_id = stops.values_list("batch_id", flat=True).first()
    if batch_id is None:
        return None
    return models.Batch.objects.filter(pk=batch_id).select_for_update(no_key=True).first()
