"""Which overrides stand, as the planner asks it: once a turn for its zone, and again in each offer's transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from apps.dispatch import domain
from apps.dispatch.domain import Job, Match
from apps.dispatch.steering.domain import KEPT_FROM_PLANS, NOT_ASKED, Assignment, Outcome, OverrideKind, Overrides
from apps.dispatch.steering.models import Override
from apps.dispatch.types import Why
from apps.fulfilment.types import WaitingOrder
from apps.shoppers.types import AvailableShopper
from apps.stores.types import Store


class Overruled(Exception):
    """An operator has decided otherwise since the plan was made."""


def standing(now: datetime) -> QuerySet[Override]:
    return Override.objects.filter(ended_at__isnull=True, expires_at__gt=now)


def overrides(*, store_ids: Collection[int], now: datetime) -> Overrides:
    """What stands for the orders of these stores. 1 query a shard."""
    forbidden: dict[int, set[int]] = {}
    assigned: dict[int, list[Override]] = {}
    kept_back, pinned = set(), set()
    for row in standing(now).filter(store_id__in=store_ids) if store_ids else ():
        if row.kind in NOT_ASKED and row.shopper_id is not None:
            forbidden.setdefault(row.store_order_id, set()).add(row.shopper_id)
        elif row.kind == OverrideKind.ASSIGN and row.batch_id is not None:
            assigned.setdefault(row.batch_id, []).append(row)
        elif row.kind == OverrideKind.KEEP_BACK:
            kept_back.add(row.store_order_id)
        elif row.batch_id is not None:
            pinned.add(row.batch_id)
    return Overrides(
        assigned=tuple(assignment(rows) for _, rows in sorted(assigned.items())),
        kept_back=frozenset(kept_back),
        forbidden={order_id: frozenset(those) for order_id, those in forbidden.items()},
        pinned=frozenset(pinned),
    )


def assignment(rows: Sequence[Override]) -> Assignment:
    first = rows[0]
    if first.batch_id is None or first.shopper_id is None:
        raise ValueError(f"override {first.pk} assigns nothing to anybody; pass rows of the kind assign")
    return Assignment(
        batch_id=first.batch_id,
        store_id=first.store_id,
        shopper_id=first.shopper_id,
        store_order_ids=frozenset(row.store_order_id for row in rows),
        reason=first.reason,
    )


def assigned(
    overrides: Overrides,
    waiting: Sequence[WaitingOrder],
    free: Collection[AvailableShopper],
    stores: Mapping[int, Store],
    now: datetime,
) -> list[Match]:
    """Offers that an operator wants and that were not made yet: of the orders that still wait, one a shopper."""
    orders = {order.id: order for order in waiting if order.drop is not None}
    places = {shopper.shopper_id: shopper for shopper in free}
    found = []
    for one in overrides.assigned:
        left = [orders[order_id] for order_id in sorted(one.store_order_ids & orders.keys())]
        if left and one.store_id in stores and (shopper := places.pop(one.shopper_id, None)):
            found.append(match(one, left, shopper, stores[one.store_id], now))
    return found


def match(
    one: Assignment, orders: Sequence[WaitingOrder], shopper: AvailableShopper, store: Store, now: datetime
) -> Match:
    route = domain.route(store.id, store.point, orders, now=now)
    approach_m = domain.distance_m(store.point, shopper.point)
    drive_s = domain.PER_KM_S * (approach_m + route.route_m) / 1000
    stops_s = (1 + len(orders)) * domain.START_AND_PARK_S + len(orders) * domain.AT_DOOR_S + domain.picking_s(orders)
    why = Why(
        leave_by=now,
        minutes=round((drive_s + stops_s) / 60, 2),
        drive_minutes=round(drive_s / 60, 2),
        late_minutes=round(max(0.0, -route.slack_s) / 60, 2),
        cut_orders=0,
        alternatives={},
        by_operator=one.reason,
    )
    job = Job(route=route, assigned_as=one.batch_id)
    return Match(job=job, shopper_id=one.shopper_id, approach_m=approach_m, why=why)


def check(match: Match, now: datetime) -> None:
    """In the transaction of an offer, when its orders are locked: an operator who wrote sooner is seen, one who comes
    later finds the offer. 1 query, and 1 more for what an operator assigned, which is carried out herewith.

    Raises ``Overruled``.
    """
    order_ids = [order.id for order in match.job.route.orders]
    store_id = match.job.route.store_id
    mine = standing(now).filter(store_id=store_id, store_order_id__in=order_ids)
    own = Q(kind=OverrideKind.ASSIGN, batch_id=match.job.assigned_as)
    against = Q(kind__in=KEPT_FROM_PLANS) & ~own | Q(kind__in=NOT_ASKED, shopper_id=match.shopper_id)
    if mine.filter(against).exists():
        raise Overruled
    if match.job.assigned_as is not None:
        carried_out = mine.filter(own).update(ended_at=now, outcome=Outcome.OFFERED)
        if carried_out != len(order_ids):
            raise Overruled
