"""What an operator decides instead of the planner.

Each command is one transaction on the store's shard. It takes the rows that an offer takes, in the same order: the
batch, then its orders. So of an operator and a planner who want the same order one is first, and the other sees it
and gives way. Nothing else has to be told: the planner reads what stands at every turn.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db.models import F

import sharding
from apps.common import outbox
from apps.dispatch import domain, models
from apps.dispatch.domain import BatchStatus, OfferStatus, StopState
from apps.dispatch.errors import OverrideInvalid, OverrideNotFound, OverrideRefused
from apps.dispatch.events import BatchCanceled, OfferClosed
from apps.dispatch.services import moving, planning, progress
from apps.dispatch.steering import heat, standing
from apps.dispatch.steering.domain import (
    KEPT_FROM_PLANS,
    LONGEST,
    LONGEST_REASON,
    NOT_ASKED,
    OF_A_BATCH,
    Assignment,
    Outcome,
    OverrideKind,
    ends_at,
)
from apps.dispatch.steering.models import Override
from apps.dispatch.steering.types import By
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.fulfilment.types import WaitingOrder
from apps.shoppers import selectors as shoppers
from apps.shoppers.errors import NotAShopper
from apps.shoppers.types import AvailableShopper
from apps.stores import selectors as stores
from apps.stores.types import Store


def assign(*, store_id: int, store_order_ids: Collection[int], shopper_id: int, by: By) -> bool:
    """Ask this one shopper for these orders of a store, together, before every plan. He may still decline.

    The decision is written first, and the offer made from it: at once, or (False) by the planner's next turns, until
    it expires. The orders leave an open batch they are in, which is broken up.

    Raises ``OverrideInvalid``; ``OverrideRefused`` where an order is not there to be given, the shopper is not free or
    may not have it, or cannot carry it all.
    """
    _check_words(by)
    store = stores.store(store_id=store_id)
    wanted = frozenset(store_order_ids)
    orders = [order for order in fulfilment.waiting(store_ids=[store_id], now=by.now) if order.id in wanted]
    if {order.id for order in orders} != wanted or not wanted:
        raise OverrideRefused("A shopper has one of these orders already, or it is canceled; look at the zone again.")
    shopper = _free_shopper(shopper_id, store, by.now)
    _check_load(orders, shopper)
    batch_id = sharding.reserve_ids(sharding.home("store", store_id), 1)[0]
    _intend(batch_id, store_id, wanted, shopper_id, by)
    one = Assignment(
        batch_id=batch_id, store_id=store_id, shopper_id=shopper_id, store_order_ids=wanted, reason=by.reason.strip()
    )
    found = standing.match(one, orders, shopper, store, by.now)
    (paid,) = heat.with_peak_pay([found], zone_id=store.zone_id, now=by.now)
    return planning.offer(paid, store, None, by.now)


@sharding.repeatable
def keep_back(*, store_id: int, store_order_id: int, by: By) -> None:
    """Nobody is asked for the order until ``by.until``. It leaves an open batch, which is broken up.

    Raises ``OverrideInvalid``, ``OverrideRefused``.
    """
    _check_words(by)
    with sharding.atomic(sharding.home("store", store_id)) as alias:
        orders = _loosened(store_id, frozenset([store_order_id]), alias, by)
        _write(OverrideKind.KEEP_BACK, store_id, orders, by)


@sharding.repeatable
def forbid(*, store_id: int, store_order_id: int, shopper_id: int, by: By) -> None:
    """The shopper is never asked for the order. Raises ``OverrideInvalid``; ``OverrideRefused`` if he just is."""
    _check_words(by)
    with sharding.atomic(sharding.home("store", store_id)):
        orders, batches = _locked(store_id, frozenset([store_order_id]), by.now)
        asked = models.Offer.objects.filter(batch_id__in=batches, status=OfferStatus.SENT, shopper_id=shopper_id)
        if batches and asked.exists():
            raise OverrideRefused(f"Shopper {shopper_id} is being asked for it just now; withdraw the offer.")
        _write(OverrideKind.FORBID, store_id, orders, by, shopper_id=shopper_id)


@sharding.repeatable
def pin(*, batch_id: int, by: By) -> None:
    """Keep the batch's orders together, whoever takes them. Raises ``OverrideInvalid``, ``OverrideRefused``."""
    _check_words(by)
    with sharding.atomic(sharding.home_of_id("store", batch_id)):
        batch = _batch(batch_id, BatchStatus.OPEN, BatchStatus.OFFERED, BatchStatus.ACKNOWLEDGED)
        _write(OverrideKind.PIN, batch.store_id, _orders_of(batch), by, batch_id=batch_id)


@sharding.repeatable
def withdraw(*, batch_id: int, by: By) -> None:
    """End the batch's offer; its shopper is not asked again until ``by.until``. Unless pinned, it is broken up.

    Raises ``OverrideInvalid``; ``OverrideRefused`` when the offer has been answered or has run out.
    """
    _check_words(by)
    with sharding.atomic(sharding.home_of_id("store", batch_id)) as alias:
        batch = _batch(batch_id, BatchStatus.OFFERED)
        live = models.Offer.objects.filter(batch_id=batch_id, status=OfferStatus.SENT)
        offer = live.first()
        if offer is None:
            raise OverrideRefused("The offer has just ended; look at the zone again.")
        moving.offers(live, OfferStatus.WITHDRAWN, ended_at=by.now)
        moving.batches(models.Batch.objects.filter(pk=batch_id), BatchStatus.OPEN)
        event = OfferClosed(
            offer_id=offer.pk,
            batch_id=batch_id,
            store_id=batch.store_id,
            shopper_id=offer.shopper_id,
            outcome=OfferStatus.WITHDRAWN,
        )
        outbox.emit(event, using=alias)
        _keep_from(OverrideKind.WITHDRAW, batch, offer.shopper_id, alias, by)


@sharding.repeatable
def take_back(*, batch_id: int, by: By) -> None:
    """Take an accepted batch from its shopper, who is not asked again until ``by.until``.

    Unless pinned, it is broken up.
    Raises ``OverrideInvalid``; ``OverrideRefused`` once picking has begun.
    """
    _check_words(by)
    with sharding.atomic(sharding.home_of_id("store", batch_id)) as alias:
        batch = _batch(batch_id, BatchStatus.ACKNOWLEDGED)
        if batch.shopper_id is None or not progress.reclaim(batch_id, batch.store_id):
            raise OverrideRefused("Picking has begun; what is picked stays with its shopper.")
        _keep_from(OverrideKind.TAKE_BACK, batch, batch.shopper_id, alias, by)


@sharding.repeatable
def undo(*, override_id: int, operator_id: int, now: datetime) -> None:
    """End an override before its time, with those that were made together with it. An offer that was made stands.

    Raises ``OverrideNotFound``; ``OverrideRefused`` for one that is over.
    """
    with sharding.atomic(sharding.home_of_id("store", override_id)):
        row = Override.objects.filter(pk=override_id).first()
        if row is None:
            raise OverrideNotFound("There is no such override.")
        together = Override.objects.filter(pk=override_id)
        if row.kind in OF_A_BATCH:
            together = Override.objects.filter(store_id=row.store_id, kind=row.kind, batch_id=row.batch_id)
        standing_ones = together.filter(ended_at__isnull=True, expires_at__gt=now)
        if not standing_ones.update(ended_at=now, ended_by=operator_id, outcome=Outcome.UNDONE):
            raise OverrideRefused("It is over already; an offer that came of it can be withdrawn.")


def end_overrides(*, using: str, now: datetime) -> int:
    """Note of one shard's overrides whose time is up that they are over; how many. They have had no effect since."""
    over = sharding.owned(Override.objects, using).filter(ended_at__isnull=True, expires_at__lte=now)
    return over.update(ended_at=F("expires_at"), outcome=Outcome.EXPIRED)


@sharding.repeatable
def _intend(batch_id: int, store_id: int, store_order_ids: frozenset[int], shopper_id: int, by: By) -> None:
    with sharding.atomic(sharding.home("store", store_id)) as alias:
        orders = _loosened(store_id, store_order_ids, alias, by)
        against = standing.standing(by.now).filter(store_id=store_id, store_order_id__in=orders, shopper_id=shopper_id)
        if (no := against.filter(kind__in=NOT_ASKED).first()) is not None:
            raise OverrideRefused(
                f"Order {no.order_id} is not for shopper {shopper_id}: {no.reason}. Undo that first, or choose another."
            )
        _write(OverrideKind.ASSIGN, store_id, orders, by, shopper_id=shopper_id, batch_id=batch_id)


def _check_words(by: By) -> None:
    if not by.reason.strip():
        raise OverrideInvalid("Say why: whoever comes next has to understand it.")
    if len(by.reason.strip()) > LONGEST_REASON:
        raise OverrideInvalid(f"Say it in {LONGEST_REASON} characters.")


def _free_shopper(shopper_id: int, store: Store, now: datetime) -> AvailableShopper:
    """The shopper, if an offer could reach him now; a refusal that says why not."""
    for one in shoppers.available(zone_id=store.zone_id, now=now):
        if one.shopper_id == shopper_id:
            return one
    try:
        known = shoppers.shopper(shopper_id=shopper_id)
    except NotAShopper:
        raise OverrideRefused(f"There is no shopper {shopper_id}.") from None
    if known.zone_id != store.zone_id:
        raise OverrideRefused(f"Shopper {shopper_id} works in another zone.")
    live = shoppers.live_assignment(shopper_id=shopper_id)
    if live is None or known.state != "active" or not known.is_online:
        raise OverrideRefused(f"Shopper {shopper_id} is offline, paused, or was not heard of lately; choose another.")
    if live.state == "accepted":
        raise OverrideRefused(f"Shopper {shopper_id} is at work on batch {live.batch_id}; choose another.")
    raise OverrideRefused(f"Shopper {shopper_id} is being asked for batch {live.batch_id}; withdraw that offer first.")


def _check_load(orders: Collection[WaitingOrder], shopper: AvailableShopper) -> None:
    if any(order.drop is None for order in orders):
        raise OverrideRefused("One of the addresses has no position; locate the address first.")
    if len(orders) > domain.MAX_ORDERS:
        raise OverrideRefused(f"{len(orders)} orders are more than one shopper takes; {domain.MAX_ORDERS} at most.")
    missing = frozenset[str]().union(*(order.needs for order in orders)) - shopper.certificates
    if missing:
        raise OverrideRefused(
            f"Shopper {shopper.shopper_id} has no valid certificate for {', '.join(sorted(missing))}; choose another."
        )
    holds = domain.UNITS_IN.get(shopper.vehicle, domain.MAX_UNITS)
    units = sum(order.unit_count for order in orders)
    if units > holds and not (len(orders) == 1 and holds == domain.MAX_UNITS):
        raise OverrideRefused(
            f"{units} units do not fit: shopper {shopper.shopper_id} takes {holds} ({shopper.vehicle}). "
            "Choose fewer orders, or another shopper."
        )
    carries = domain.KILOGRAMS_IN.get(shopper.vehicle, domain.KILOGRAMS_IN["car"])
    kilograms = sum(domain.load(order)[1] for order in orders)
    if kilograms > carries:
        raise OverrideRefused(
            f"{kilograms:.0f} kg are too much: shopper {shopper.shopper_id} takes {carries:.0f} ({shopper.vehicle}). "
            "Choose fewer orders, or another shopper."
        )


def _batch(batch_id: int, *states: BatchStatus) -> models.Batch:
    """The batch, held until the transaction ends. Raises ``OverrideRefused`` where it has got on meanwhile."""
    batch = models.Batch.objects.filter(pk=batch_id).select_for_update(no_key=True).first()
    if batch is None or batch.status not in states:
        raise OverrideRefused("The batch has got on meanwhile; look at the zone again.")
    return batch


def _orders_of(batch: models.Batch) -> dict[int, int]:
    """Order ids by store order id, of what is left to do in the batch."""
    stops = models.BatchStop.objects.filter(batch_id=batch.pk, kind="drop", state=StopState.PENDING)
    return dict(stops.values_list("store_order_id", "order_id"))


def _locked(store_id: int, wanted: frozenset[int], now: datetime) -> tuple[dict[int, int], dict[int, models.Batch]]:
    """The orders (order ids by store order id) and their batches, all held, the batches first.

    Raises ``OverrideRefused`` unless all of them wait for a shopper and nothing changed on the way to the locks.
    """
    before = _batch_ids(store_id, wanted)
    held = models.Batch.objects.filter(store_id=store_id, pk__in=before).order_by("pk")
    batches = {batch.pk: batch for batch in held.select_for_update(no_key=True)} if before else {}
    if fulfilment_services.lock_waiting(store_id=store_id, store_order_ids=wanted) != wanted:
        raise OverrideRefused("A shopper has the order already, or it is canceled; look at the zone again.")
    if _batch_ids(store_id, wanted) != before:
        raise OverrideRefused("The planner has just put the order into a batch; look at the zone again.")
    waiting = fulfilment.waiting(store_ids=[store_id], now=now)
    return {order.id: order.order_id for order in waiting if order.id in wanted}, batches


def _batch_ids(store_id: int, store_order_ids: frozenset[int]) -> set[int]:
    stops = models.BatchStop.objects.filter(
        store_id=store_id, store_order_id__in=store_order_ids, kind="drop", state=StopState.PENDING
    )
    return set(stops.values_list("batch_id", flat=True))


def _loosened(store_id: int, wanted: frozenset[int], alias: str, by: By) -> dict[int, int]:
    """The orders, held, and in no batch any more."""
    orders, batches = _locked(store_id, wanted, by.now)
    for batch in batches.values():
        if batch.status == BatchStatus.OFFERED:
            raise OverrideRefused("A shopper is being asked for the order just now; withdraw the offer first.")
        if _is_pinned(batch, by.now):
            raise OverrideRefused(f"The orders of batch {batch.pk} are kept together; undo that first.")
        _break_up(batch, alias, by.now)
    return orders


def _is_pinned(batch: models.Batch, now: datetime) -> bool:
    of_batch = standing.standing(now).filter(store_id=batch.store_id, batch_id=batch.pk)
    return of_batch.filter(kind=OverrideKind.PIN).exists()


def _keep_from(kind: OverrideKind, batch: models.Batch, shopper_id: int, alias: str, by: By) -> None:
    _write(kind, batch.store_id, _orders_of(batch), by, shopper_id=shopper_id, batch_id=batch.pk)
    if not _is_pinned(batch, by.now):
        _break_up(batch, alias, by.now)


def _break_up(batch: models.Batch, alias: str, now: datetime) -> None:
    """Of an open batch, held by the caller: its orders are planned anew."""
    moving.batches(models.Batch.objects.filter(pk=batch.pk), BatchStatus.CANCELED, ended_at=now)
    moving.stops(models.BatchStop.objects.filter(batch_id=batch.pk), StopState.DROPPED)
    outbox.emit(BatchCanceled(batch_id=batch.pk, store_id=batch.store_id, shopper_id=None), using=alias)


def _write(
    kind: OverrideKind,
    store_id: int,
    orders: Mapping[int, int],
    by: By,
    *,
    shopper_id: int | None = None,
    batch_id: int | None = None,
) -> None:
    """An override for each of the orders, in place of one that says the same or the opposite."""
    until = ends_at(kind, by.until, by.now)
    if until is None:
        raise OverrideInvalid(f"Choose a time to come, within {LONGEST.days} days.")
    mine = Override.objects.filter(store_id=store_id, store_order_id__in=orders, ended_at__isnull=True)
    mine.filter(expires_at__lte=by.now).update(ended_at=F("expires_at"), outcome=Outcome.EXPIRED)
    same = mine.filter(kind__in=KEPT_FROM_PLANS) if kind in KEPT_FROM_PLANS else mine.filter(kind=kind)
    if kind in NOT_ASKED:
        same = same.filter(shopper_id=shopper_id)
    others = {row.batch_id for row in same if row.kind == OverrideKind.ASSIGN}
    replaced = {"ended_at": by.now, "ended_by": by.operator_id, "outcome": Outcome.REPLACED}
    same.update(**replaced)
    if others:  # what was assigned together is not assigned by halves
        rest = Override.objects.filter(store_id=store_id, ended_at__isnull=True, kind=OverrideKind.ASSIGN)
        rest.filter(batch_id__in=others).update(**replaced)
    Override.objects.bulk_create(
        Override(
            store_id=store_id,
            kind=kind,
            store_order_id=store_order_id,
            order_id=order_id,
            shopper_id=shopper_id,
            batch_id=batch_id,
            reason=by.reason.strip(),
            operator_id=by.operator_id,
            created_at=by.now,
            expires_at=until,
        )
        for store_order_id, order_id in sorted(orders.items())
    )
