"""A zone's waiting orders, its free shoppers, and the offers that follow."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError
from django.db.models import F
from django.db.models.functions import Greatest

import sharding
from apps.dispatch import domain, models
from apps.dispatch.domain import BatchStatus, Job, Match, OfferStatus, StopState, reasons, zone_plan
from apps.dispatch.domain.coming import Coming
from apps.dispatch.domain.zone_plan import Proposal, Zone
from apps.dispatch.roads import stored
from apps.dispatch.services import leasing, moving, under_way
from apps.dispatch.steering import heat, standing
from apps.dispatch.steering.domain import Overrides
from apps.dispatch.travel import source
from apps.dispatch.types import PlanReport
from apps.fulfilment import selectors as fulfilment
from apps.fulfilment import services as fulfilment_services
from apps.fulfilment.types import WaitingOrder
from apps.shoppers import selectors as shoppers
from apps.shoppers import services as shopper_services
from apps.shoppers.types import AvailableShopper, Present
from apps.stores import selectors as stores
from apps.stores.types import Store
from cython_ext.dispatch.travel import Roads

logger = logging.getLogger(__name__)


class _Taken(Exception):
    """Somebody else was faster with an order or with the batch."""


def plan(*, zone_id: int, now: datetime) -> PlanReport:
    """Offer the zone's orders to its free shoppers: those for which somebody has to leave now; the others are held.

    Batches that were refused are offered as they are, to whoever is nearest and may be asked; the rest of the zone is
    planned by the engine for ``DISPATCH_PLAN_SECONDS``, from where its last plan was.

    The number of questions asked does not grow with the orders. Planners may overlap, or die
    anywhere: each offer first claims the shopper on their own shard, until a time that passes by
    itself, and then makes batch, stops and offer in one transaction that unique indexes guard, and that
    refuses a planner whose lease was taken over meanwhile.
    """
    with leasing.lease(zone_id, now) as lease:
        if lease is None:
            return PlanReport(zone_id=zone_id, is_skipped=True)
        zone_stores = {store.id: store for store in stores.stores_of_zone(zone_id=zone_id)}
        if lease.is_inherited:
            leasing.depose_others(store_ids=zone_stores.keys(), token=lease.token)
        waiting = fulfilment.waiting(store_ids=zone_stores.keys(), now=now) if zone_stores else ()
        batch_of = _batches_of(zone_stores, waiting)
        overrides = standing.overrides(store_ids=zone_stores.keys(), now=now)
        refused = _refused(zone_stores, {order.id: order for order in waiting}, batch_of, overrides, now)
        loose = [order for order in waiting if order.id not in batch_of and not overrides.leave_alone(order.id)]
        is_idle = not (refused or loose or overrides.assigned)
        present = Present(available=(), busy=()) if is_idle else shoppers.present(zone_id=zone_id, now=now)
        free = present.available
        coming = under_way.coming_free(present.busy, zone_stores, now=now) if loose and free else ()
        first = standing.assigned(overrides, waiting, free, zone_stores, now)
        again = domain.matches(refused, _without(free, first), now=now)
        idle = _without(free, first + again)
        proposal = _propose(zone_id, zone_stores, loose, idle, coming, overrides.forbidden, now)
        found = first + sorted(again + proposal.matches, key=lambda match: match.job.route.slack_s)
        found = heat.with_peak_pay(found, zone_id=zone_id, now=now)
        sent, is_deposed = _send(found, zone_stores, lease.token, now)
    held = Counter(held.code for held in proposal.held.values())
    held.update("door_unplaced" for order in waiting if order.id in batch_of and order.drop is None)
    offered = {order.id for match in first for order in match.job.route.orders}
    held += overrides.held({order.id for order in waiting}, offered)
    return PlanReport(
        zone_id=zone_id,
        is_deposed=is_deposed,
        waiting_orders=len(waiting),
        free_shoppers=len(free),
        offers_sent=sent,
        offers_lost=len(found) - sent,
        out_of_reach=len(refused) - len(again),
        held=dict(sorted(held.items())),
    )


def _propose(
    zone_id: int,
    zone_stores: dict[int, Store],
    loose: Sequence[WaitingOrder],
    free: Sequence[AvailableShopper],
    coming: Sequence[Coming],
    forbidden: Mapping[int, frozenset[int]],
    now: datetime,
) -> Proposal:
    """What the engine finds, beginning with its last plan. That is in the cache: without it, it only begins anew."""
    key = f"dispatch:routes:{zone_id}"
    roads = _roads(zone_id, zone_stores, now)
    proposal = zone_plan.propose(
        loose,
        free,
        coming=coming,
        zone=Zone(
            stores={store.id: store.point for store in zone_stores.values()},
            now=now,
            early=timedelta(minutes=settings.DISPATCH_EARLY_MINUTES),
            travel=source.of_zone(zone_id, fallback=roads),
            speed=roads.speed,
            forbidden=forbidden,
        ),
        until_next=domain.PLAN_EVERY + timedelta(seconds=settings.DISPATCH_OFFER_SECONDS),
        previous=cache.get(key) or {},
        seconds=settings.DISPATCH_PLAN_SECONDS,
    )
    cache.set(key, proposal.routes, timeout=domain.KEEP_ROUTES.total_seconds())
    return proposal


def _roads(zone_id: int, zone_stores: Mapping[int, Store], now: datetime) -> Roads:
    """At the speed of the zone's hour. 1 query a minute.

    The engine's clock counts minutes from ``now``; ``hour_of`` is for what is known of the roads, by hours of UTC.
    """
    clock = zone_stores[min(zone_stores)].timezone if zone_stores else "UTC"
    return replace(
        zone_plan.ROADS,
        speed=stored.newest().at(zone_id, now.astimezone(ZoneInfo(clock)).hour),
        hour_of=lambda minutes: (now + timedelta(minutes=minutes)).astimezone(UTC).hour,
    )


def _without(free: Collection[AvailableShopper], taken: Collection[Match]) -> list[AvailableShopper]:
    asked = {match.shopper_id for match in taken}
    return [one for one in free if one.shopper_id not in asked]


def _batches_of(zone_stores: dict[int, Store], waiting: Collection[WaitingOrder]) -> dict[int, int]:
    """The batches of those waiting orders that are in one. 1 query a shard."""
    stops = models.BatchStop.objects.filter(store_id__in=zone_stores.keys(), kind="drop", state=StopState.PENDING)
    wanted = [order.id for order in waiting]
    return dict(stops.filter(store_order_id__in=wanted).values_list("store_order_id", "batch_id")) if wanted else {}


def _refused(
    zone_stores: dict[int, Store],
    waiting: dict[int, WaitingOrder],
    batch_of: dict[int, int],
    overrides: Overrides,
    now: datetime,
) -> list[Job]:
    """Batches that nobody has been found for yet. 2 queries a shard."""
    if not batch_of:
        return []
    batch_ids = set(batch_of.values())
    members: dict[int, list[WaitingOrder]] = {}
    for order_id, batch_id in batch_of.items():
        members.setdefault(batch_id, []).append(waiting[order_id])
    asked: dict[int, list[tuple[int, OfferStatus, datetime]]] = {}
    offers = models.Offer.objects.filter(batch_id__in=batch_ids)
    for batch_id, shopper_id, status, sent_at in offers.values_list("batch_id", "shopper_id", "status", "sent_at"):
        asked.setdefault(batch_id, []).append((shopper_id, OfferStatus(status), sent_at))
    open_batches = models.Batch.objects.filter(pk__in=batch_ids, status=BatchStatus.OPEN)
    return [
        Job(
            route=domain.route(batch.store_id, zone_stores[batch.store_id].point, members[batch.pk], now=now),
            batch_id=batch.pk,
            refusals=len(asked.get(batch.pk, [])),
            excluded=domain.excluded(asked.get(batch.pk, []), now=now)
            | overrides.forbidden_for([order.id for order in members[batch.pk]]),
        )
        for batch in open_batches
        if all(order.drop for order in members[batch.pk])
    ]


def _send(found: Sequence[Match], zone_stores: dict[int, Store], token: int, now: datetime) -> tuple[int, bool]:
    """How many offers were made, and whether another planner has taken the zone over before all were."""
    sent = 0
    for match in found:
        try:
            sent += offer(match, zone_stores[match.job.route.store_id], token, now)
        except leasing.Deposed:
            logger.warning("dispatch.deposed token=%s: %s of %s offers made", token, sent, len(found))
            return sent, True
    return sent, False


def offer(match: Match, store: Store, token: int | None, now: datetime) -> bool:
    """Claim the shopper, then make the offer. False when either was taken meanwhile; nothing is left behind.

    ``token`` is the planner's lease, None for an operator, who needs none. Raises ``Deposed``, and leaves nothing
    behind either.
    """
    target = sharding.home("store", store.id)
    batch_id = match.job.batch_id or match.job.assigned_as or sharding.reserve_ids(target, 1)[0]
    expires_at = now + timedelta(seconds=settings.DISPATCH_OFFER_SECONDS)
    assignment_id = shopper_services.claim(
        shopper_id=match.shopper_id,
        batch_id=batch_id,
        store_id=store.id,
        expires_at=expires_at + domain.CLAIM_GRACE,
        now=now,
        needs={kind for order in match.job.route.orders for kind in order.needs},
    )
    if assignment_id is None:
        return False
    try:
        with sharding.atomic(target):
            if token is not None:
                leasing.check(store_id=store.id, token=token)
            if match.job.batch_id is None:
                _make_batch(batch_id, match, store, now)
            else:
                _take_open_batch(batch_id, match, store.id)
            standing.check(match, now)
            made = models.Offer.objects.create(
                batch_id=batch_id,
                store_id=store.id,
                shopper_id=match.shopper_id,
                distance_m=match.distance_m,
                sent_at=now,
                expires_at=expires_at,
            )
    except leasing.Deposed:
        shopper_services.release(shopper_id=match.shopper_id, batch_id=batch_id)
        raise
    except (_Taken, standing.Overruled, IntegrityError) as error:
        logger.info("dispatch.offer_lost batch=%s %s", batch_id, type(error).__name__)
        shopper_services.release(shopper_id=match.shopper_id, batch_id=batch_id)
        return False
    shopper_services.mark_offered(shopper_id=match.shopper_id, assignment_id=assignment_id, offer_id=made.pk, now=now)
    return True


def _make_batch(batch_id: int, match: Match, store: Store, now: datetime) -> None:
    _keep_waiting(store.id, {order.id for order in match.job.route.orders})
    models.Batch.objects.create(
        id=batch_id,
        store_id=store.id,
        zone_id=store.zone_id,
        status=BatchStatus.OFFERED,
        pay_cents=match.job.route.pay_cents + match.peak_cents,
        peak_cents=match.peak_cents,
        currency=store.currency,
        distance_m=round(match.job.route.route_m),
        created_at=now,
        why=reasons.to_json(match.why) if match.why else None,
    )
    models.BatchStop.objects.bulk_create(
        models.BatchStop(
            batch_id=batch_id,
            store_id=store.id,
            sequence=sequence,
            kind=step.kind,
            store_order_id=step.order.id,
            order_id=step.order.order_id,
        )
        for sequence, step in enumerate(match.job.route.steps)
    )


def _take_open_batch(batch_id: int, match: Match, store_id: int) -> None:
    more = Greatest(match.peak_cents - F("peak_cents"), 0)  # who is asked later is not promised less
    batch = models.Batch.objects.filter(pk=batch_id)
    pay = {"pay_cents": F("pay_cents") + more, "peak_cents": F("peak_cents") + more}
    if not moving.batches(batch, BatchStatus.OFFERED, **pay):
        raise _Taken
    _keep_waiting(store_id, {order.id for order in match.job.route.orders})


def _keep_waiting(store_id: int, store_order_ids: set[int]) -> None:
    """Nobody cancels or takes these orders before we have committed; raises ``_Taken`` when somebody has."""
    if fulfilment_services.lock_waiting(store_id=store_id, store_order_ids=store_order_ids) != store_order_ids:
        raise _Taken
