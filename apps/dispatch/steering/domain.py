"""What an operator may decide instead of the planner, for how long, and how a plan keeps to it. No database."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cython_ext.dispatch.types import Request


class OverrideKind(StrEnum):
    ASSIGN = "assign"
    KEEP_BACK = "keep_back"
    FORBID = "forbid"
    PIN = "pin"
    WITHDRAW = "withdraw"
    TAKE_BACK = "take_back"


class Outcome(StrEnum):
    """How an override ended; one that stands has none."""

    OFFERED = "offered"
    UNDONE = "undone"
    REPLACED = "replaced"
    EXPIRED = "expired"


NOT_ASKED: Final = (OverrideKind.FORBID, OverrideKind.WITHDRAW, OverrideKind.TAKE_BACK)
"""While one of these stands, its shopper is not asked for its order."""
KEPT_FROM_PLANS: Final = (OverrideKind.ASSIGN, OverrideKind.KEEP_BACK)
"""An order has one of these at most; the planner leaves it alone."""
OF_A_BATCH: Final = (OverrideKind.ASSIGN, OverrideKind.PIN, OverrideKind.WITHDRAW, OverrideKind.TAKE_BACK)
"""Those of one batch belong together, and are undone together."""

LASTS: Final[Mapping[OverrideKind, timedelta]] = {
    OverrideKind.ASSIGN: timedelta(minutes=15),
    OverrideKind.KEEP_BACK: timedelta(minutes=30),
    OverrideKind.FORBID: timedelta(hours=12),
    OverrideKind.PIN: timedelta(hours=2),
    OverrideKind.WITHDRAW: timedelta(minutes=15),
    OverrideKind.TAKE_BACK: timedelta(minutes=30),
}
"""How long each stands if the operator says nothing else."""
LONGEST: Final = timedelta(days=2)
LONGEST_REASON: Final = 300

MOST_FORBIDDEN: Final = 16
"""Shoppers that one request to the engine can keep from some order: it tells 31 certificates and these apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Orders of one store that an operator wants one shopper to be asked for, as the batch ``batch_id``."""

    batch_id: int
    store_id: int
    shopper_id: int
    store_order_ids: frozenset[int]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What stands at a moment, by store order id."""

    assigned: tuple[Assignment, ...] = ()
    kept_back: frozenset[int] = frozenset()
    forbidden: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Shoppers who are not asked for the order."""
    pinned: frozenset[int] = frozenset()
    """Batches that planning does not break up."""

    def leave_alone(self, store_order_id: int) -> bool:
        return store_order_id in self.kept_back or any(store_order_id in one.store_order_ids for one in self.assigned)

    def forbidden_for(self, store_order_ids: Collection[int]) -> frozenset[int]:
        """Who may be asked for none of these orders together."""
        none: frozenset[int] = frozenset()
        return none.union(*(self.forbidden.get(order_id, none) for order_id in store_order_ids))

    def held(self, waiting: Collection[int], offered: Collection[int]) -> Counter[str]:
        """How many of the ``waiting`` orders are in no plan because of an operator; ``offered`` were assigned now."""
        for_others = {order_id for one in self.assigned for order_id in one.store_order_ids} - set(offered)
        return +Counter(
            held_by_operator=len(self.kept_back.intersection(waiting)),
            assigned_by_operator=len(for_others.intersection(waiting)),
        )


def keep_apart(request: Request, forbidden: Mapping[int, frozenset[int]]) -> Request:
    """The request with nobody who could take an order that is forbidden to him.

    The engine knows certificates: an order that shopper 7 may not have needs one that all others hold. Beyond
    ``MOST_FORBIDDEN`` shoppers at once the rest is not told, and is refused when the offer would be made. What the last
    plan gave him is taken out of it, as the engine begins there without looking at certificates again.
    """
    there = {shopper.shopper_id for shopper in request.shoppers}
    wanted = Counter(one for order in request.orders for one in forbidden.get(int(order.order_id), ()))
    told = [one for one, _ in wanted.most_common() if str(one) in there][:MOST_FORBIDDEN]
    if not told:
        return request
    return replace(
        request,
        orders=[
            replace(order, needs=order.needs.union(_not(one) for one in told if one in those))
            if (those := forbidden.get(int(order.order_id)))
            else order
            for order in request.orders
        ],
        shoppers=[
            replace(shopper, skills=shopper.skills.union(_not(one) for one in told if str(one) != shopper.shopper_id))
            for shopper in request.shoppers
        ],
        previous={
            one: tuple(stop for stop in stops if int(one) not in forbidden.get(int(stop[1]), ()))
            for one, stops in request.previous.items()
        },
    )


def ends_at(kind: OverrideKind, wanted: datetime | None, now: datetime) -> datetime | None:
    """Until when the override stands; None for a moment that is past, or too far away."""
    end = wanted or now + LASTS[kind]
    return end if now < end <= now + LONGEST else None


def _not(shopper_id: int) -> str:
    return f"not shopper {shopper_id}"
