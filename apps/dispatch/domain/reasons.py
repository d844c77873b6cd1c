"""Why a batch is as it is: what it costs, what its orders would have cost with others. Kept with it as JSON."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from apps.dispatch.types import Alternative, Why
from cython_ext.dispatch import engine
from cython_ext.dispatch.types import Batch, Plan

MOST_BATCHES: Final = 20
"""A turn; with more of them the zone has no time to weigh alternatives that nobody may look at."""
MOST_SHOPPERS: Final = 3
"""With the chosen one and leaving the order out, five alternatives at most."""


def explained(plan: Plan, batch: Batch, kept: frozenset[str], *, now: datetime, is_weighed: bool) -> Why:
    """``kept`` are those of the trip's orders that the batch is of. Weighing an order takes up to 2 ms."""
    return Why(
        leave_by=now + timedelta(minutes=batch.leave_by),
        minutes=round(batch.visits[-1].leave - batch.start, 2),
        drive_minutes=round(batch.drive, 2),
        late_minutes=round(batch.late, 2),
        cut_orders=len(batch.order_ids) - len(kept),
        alternatives={
            int(order_id): tuple(
                Alternative(
                    shopper_id=int(one.shopper_id) if one.shopper_id else None,
                    cost=round(one.cost, 2),
                    is_chosen=one.is_chosen,
                )
                for one in engine.why(plan, order_id, most=MOST_SHOPPERS)
            )
            for order_id in batch.order_ids
            if is_weighed and order_id in kept
        },
    )


def to_json(why: Why) -> dict[str, Any]:
    """Ids are strings there: they are more than JSON's numbers count exactly."""
    return {
        "leave_by": why.leave_by.isoformat(),
        "minutes": why.minutes,
        "drive_minutes": why.drive_minutes,
        "late_minutes": why.late_minutes,
        "cut_orders": why.cut_orders,
        "by_operator": why.by_operator,
        "alternatives": {
            str(order_id): [
                {
                    "shopper_id": str(one.shopper_id) if one.shopper_id else None,
                    "cost": one.cost,
                    "chosen": one.is_chosen,
                }
                for one in weighed
            ]
            for order_id, weighed in why.alternatives.items()
        },
    }


def from_json(kept: Mapping[str, Any]) -> Why:
    return Why(
        leave_by=datetime.fromisoformat(kept["leave_by"]),
        minutes=kept["minutes"],
        drive_minutes=kept["drive_minutes"],
        late_minutes=kept["late_minutes"],
        cut_orders=kept["cut_orders"],
        by_operator=kept.get("by_operator", ""),  # older ones have none
        alternatives={
            int(order_id): tuple(
                Alternative(
                    shopper_id=int(one["shopper_id"]) if one["shopper_id"] else None,
                    cost=one["cost"],
                    is_chosen=one["chosen"],
                )
                for one in weighed
            )
            for order_id, weighed in kept["alternatives"].items()
        },
    )
