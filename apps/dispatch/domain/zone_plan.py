"""A zone's waiting orders and free shoppers as the engine's request, and its plan as offers and orders held.

*Clock.* The engine's minutes are counted from ``now``, which is 0; its ids are ours as strings.

*One store a batch.* Batches live with their store, but shoppers belong to the zone: planning store by store would
have to share them out first, blindly. So the whole zone is planned at once. A batch is what its shopper leaves the
first store with; where the engine would go on to another store, or back for more with something in the car, that is
cut off and planned again in the same turn with those who have nothing to do. A part of a trip is never later than in
the whole.

*No flutter.* Nothing is promised before ``leave_by``: until then an order stays free for a better batch. What was
found last time is where the search begins, and it changes only for something clearly better (``steadiness``).

Nothing here raises for bad data: who cannot be planned is held, with a code and a sentence.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from apps.common.geo import Point
from apps.dispatch import domain
from apps.dispatch.domain import Job, Match, Route, Step, reasons, steadiness
from apps.dispatch.domain.coming import Coming
from apps.dispatch.steering.domain import keep_apart
from apps.fulfilment.types import WaitingOrder
from apps.shoppers.types import AvailableShopper
from cython_ext.dispatch.travel import Roads, Travel
from cython_ext.dispatch.types import Batch, Held, Order, Plan, Request, Shopper, Stop, Weights

ROADS: Final = Roads(speed=1000 / (domain.PER_KM_S / 60), detour=1.0)
"""As fast as ``domain.travel_s`` on a straight line; starting and parking are part of each stop."""
HALF_PICK: Final = (domain.START_AND_PARK_S + domain.IN_STORE_S) / 120
HALF_DROP: Final = (domain.START_AND_PARK_S + domain.AT_DOOR_S) / 120
SHIFT_MINUTES: Final = 8 * 60.0
"""Of those who did not tell when they will go."""

WEIGHTS: Final = Weights(drive=1.0, wait=0.1, late=5.0, busy=0.5, unserved=1_000.0)
"""In minutes of driving. Nobody is left out whom somebody can serve within the shift, be it late."""

SPARE_MINUTES: Final = 10.0
"""By how much windows are told to end earlier, for the slow tenth of shoppers and for snags: on grocery days (docs)
this costs up to 2 % of all minutes and makes three in ten of the late orders punctual."""

LOOK_AHEAD: Final = 30.0
"""Minutes before somebody has to set out that an order takes part: late enough to leave others alone, early enough to
be waited for."""
MOST_ORDERS: Final = 1_000
PER_SHOPPER: Final = 12
"""Orders that are planned at once: more than the zone can begin before the backlog is looked at again."""

ROUNDS: Final = 2_000
SHARES: Final = (0.6, 0.25, 0.15)
"""Of the time for searching: the whole zone, then what was cut off from trips, and from theirs."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """``routes`` are to be given back as ``previous`` next time. Every order is in one match, or held by its id."""

    matches: list[Match] = field(default_factory=list)
    held: dict[int, Held] = field(default_factory=dict)
    routes: dict[str, tuple[Stop, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """What all orders of a turn are looked at with. ``early``: by how much work may be done before its window opens."""

    stores: Mapping[int, Point]
    now: datetime
    early: timedelta
    travel: Travel = ROADS
    forbidden: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Shoppers who may not have an order, by its id."""

    def minutes(self, moment: datetime) -> float:
        return (moment - self.now).total_seconds() / 60


def propose(
    waiting: Sequence[WaitingOrder],
    free: Sequence[AvailableShopper],
    *,
    coming: Sequence[Coming] = (),
    zone: Zone,
    until_next: timedelta,
    previous: Mapping[str, Sequence[Stop]],
    seconds: float,
) -> Proposal:
    """Whom to ask for what now, and why everything else is held.

    Shoppers who are ``coming`` free take part and are asked nothing: what they would take best is held for them.
    ``until_next`` is how long it takes until this is asked again and answered: who would have to leave meanwhile is
    asked now. ``seconds`` bounds the search; building and explaining come on top.
    """
    made = Proposal()
    left = _in_view(waiting, len(free), zone, made.held)
    people = {str(shopper.shopper_id): shopper for shopper in free}
    later = {str(one.shopper.shopper_id): one for one in coming}
    for share in SHARES:
        if not left or not people:
            break
        plan = steadiness.plan(
            request(left, people.values(), coming=later.values(), zone=zone, previous=previous),
            iterations=ROUNDS,
            seconds=share * seconds,
        )
        later = {}  # what was cut off from a trip of now is for somebody who is there now
        left = _take_over(plan, {str(order.id): order for order in left}, people, zone, until_next, made)
        people = {shopper_id: shopper for shopper_id, shopper in people.items() if shopper_id not in plan.routes}
    for order in left:
        _hold(
            made.held, order, "cut_off", "Its trip would have taken another batch first; it is planned anew next time."
        )
    return made


def request(
    orders: Collection[WaitingOrder],
    shoppers: Collection[AvailableShopper],
    *,
    coming: Collection[Coming] = (),
    zone: Zone,
    previous: Mapping[str, Sequence[Stop]],
) -> Request:
    """The engine may look as far as the order that is looked for farthest; each one's own reach is asked afterwards."""
    reach_s = max((domain.reach_s([order], refusals=0, now=zone.now) for order in orders), default=domain.REACH_S)
    told = Request(
        now=0.0,
        orders=[_order(order, zone) for order in orders],
        shoppers=[_shopper(shopper, zone) for shopper in shoppers]
        + [_shopper(one.shopper, zone, free=one.after.total_seconds() / 60) for one in coming],
        travel=zone.travel,
        weights=WEIGHTS,
        half_pick=HALF_PICK,
        half_drop=HALF_DROP,
        radius_minutes=(reach_s - domain.START_AND_PARK_S) / 60,
        previous=previous,
    )
    return keep_apart(told, zone.forbidden)


def _order(order: WaitingOrder, zone: Zone) -> Order:
    """Ready when its pickup brings it to the door as the window opens, less ``early``.

    Late counts from ``SPARE_MINUTES`` before the window's end, or from when somebody could be there at all: a window that is over, or ends
    before it begins, makes an order urgent, not hopeless. More than a car holds counts as a full one.
    """
    store = zone.stores.get(order.store_id)
    lines, units = order.line_count - order.lines_done, order.unit_count - order.units_done
    shop = (domain.PER_LINE_S * lines + domain.PER_UNIT_S * units) / 60
    units_held, kilograms = domain.load(order)
    way = HALF_PICK + _drive(store, order.drop) + HALF_DROP
    opens = zone.minutes(order.window_starts_at - zone.early)
    soonest = max(opens, domain.APPROACH_S / 60 + HALF_PICK + shop + way)
    return Order(
        order_id=str(order.id),
        store_id=str(order.store_id),
        store=None if store is None else (store.lat, store.lng),
        door=None if order.drop is None else (order.drop.lat, order.drop.lng),
        placed=max(0.0, opens - way),
        ready=opens - way,
        opens=opens,
        due=max(zone.minutes(order.window_ends_at) - SPARE_MINUTES, soonest),
        shop_minutes=shop,
        litres=float(units_held),
        kilograms=kilograms,
        needs=order.needs,
        fresh=domain.FRESH if order.is_cold else 0.0,
    )


def _shopper(shopper: AvailableShopper, zone: Zone, *, free: float = 0.0) -> Shopper:
    return Shopper(
        shopper_id=str(shopper.shopper_id),
        at=(shopper.point.lat, shopper.point.lng),
        free=free,
        off=SHIFT_MINUTES if shopper.shift_ends_at is None else zone.minutes(shopper.shift_ends_at),
        orders=float(domain.MAX_ORDERS),
        litres=float(domain.UNITS_IN.get(shopper.vehicle, domain.MAX_UNITS)),
        kilograms=domain.KILOGRAMS_IN.get(shopper.vehicle, domain.KILOGRAMS_IN["car"]),
        skills=shopper.certificates,
        pace=shopper.pace,
    )


def _drive(store: Point | None, door: Point | None) -> float:
    return 0.0 if store is None or door is None else domain.PER_KM_S * domain.distance_m(store, door) / 60_000


def _in_view(
    waiting: Sequence[WaitingOrder], shoppers: int, zone: Zone, held: dict[int, Held]
) -> Sequence[WaitingOrder]:
    """The most urgent of those whose time has nearly come; why each other one is not among them goes to ``held``."""
    near = [(told, order) for order in waiting if _is_near(told := _order(order, zone), order, held)]
    near.sort(key=lambda pair: (pair[0].due, pair[1].id))
    if not shoppers:
        for _, order in near:
            _hold(held, order, "no_shopper", "Nobody is free; it waits for the first who is.")
        return ()
    most = min(MOST_ORDERS, PER_SHOPPER * shoppers)
    for _, order in near[most:]:
        _hold(held, order, "backlog", f"The {most} more urgent ones come first; it is planned when they are under way.")
    return [order for _, order in near[:most]]


def _is_near(told: Order, order: WaitingOrder, held: dict[int, Held]) -> bool:
    wait = told.ready - told.shop_minutes - HALF_PICK - domain.APPROACH_S / 60 - LOOK_AHEAD
    if told.store is None:
        _hold(held, order, "store_unplaced", "Its store has no position; set the store's.")
    elif told.door is None:
        _hold(held, order, "door_unplaced", "Its address has no position; locate the address.")
    elif wait > 0:
        _hold(held, order, "too_early", f"Its window is far off; it is planned in {wait:.0f} minutes.")
    else:
        return True
    return False


def _take_over(
    plan: Plan,
    orders: Mapping[str, WaitingOrder],
    people: Mapping[str, AvailableShopper],
    zone: Zone,
    until_next: timedelta,
    made: Proposal,
) -> list[WaitingOrder]:
    """Put the plan's batches and held orders into the proposal; what was cut off from a trip comes back."""
    made.routes.update(plan.routes)
    made.held.update((orders[held.order_id].id, held) for held in plan.held)
    cut: list[WaitingOrder] = []
    for batch in plan.batches:
        members = [orders[order_id] for order_id in batch.order_ids]
        if batch.shopper_id not in people:
            for order in members:
                detail = f"Who takes it best has another trip first, and sets out in {batch.start:.0f} minutes."
                _hold(made.held, order, "next_trip", detail)
        elif batch.number:
            for order in members:
                _hold(made.held, order, "next_trip", "Who takes it has another trip first; nobody is better placed.")
        elif batch.leave_by > until_next.total_seconds() / 60:
            for order in members:
                _hold(made.held, order, "hold", f"Nobody has to leave for {batch.leave_by:.0f} minutes.")
        else:
            match = _match(batch, orders, people[batch.shopper_id], zone)
            kept = match.job.route.orders
            cut += [order for order in members if order not in kept]
            if domain.travel_s(match.approach_m) > domain.reach_s(kept, refusals=0, now=zone.now):
                for order in kept:
                    _hold(made.held, order, "too_far", "Nobody free is near enough to its store yet.")
            else:
                is_weighed = len(made.matches) < reasons.MOST_BATCHES
                ids = frozenset(str(order.id) for order in kept)
                why = reasons.explained(plan, batch, ids, now=zone.now, is_weighed=is_weighed)
                made.matches.append(replace(match, why=why))
    return cut


def _match(batch: Batch, orders: Mapping[str, WaitingOrder], shopper: AvailableShopper, zone: Zone) -> Match:
    """The part of a trip that is taken from the first store at once."""
    store_id = orders[batch.visits[0].order_id].store_id
    store = zone.stores[store_id]
    first = takewhile(lambda visit: visit.kind == "pick" and orders[visit.order_id].store_id == store_id, batch.visits)
    ids = {visit.order_id for visit in first}
    visits = [visit for visit in batch.visits if visit.order_id in ids]
    slacks = [
        zone.minutes(orders[visit.order_id].window_ends_at) - visit.at for visit in visits if visit.kind == "drop"
    ]
    route = Route(
        store_id=store_id,
        store=store,
        steps=tuple(Step(visit.kind, orders[visit.order_id]) for visit in visits),
        route_m=domain.route_m(store, [orders[visit.order_id] for visit in visits if visit.kind == "drop"]),
        slack_s=60 * min(slacks),
    )
    approach_m = domain.distance_m(store, shopper.point)
    return Match(job=Job(route=route), shopper_id=shopper.shopper_id, approach_m=approach_m)


def _hold(held: dict[int, Held], order: WaitingOrder, code: str, detail: str) -> None:
    held[order.id] = Held(str(order.id), code, detail)
