"""What happened in a simulation, counted."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ENDED = frozenset({"delivered", "rejected", "canceled", "returned"})


@dataclass(slots=True)
class Placed:
    """One simulated order as its customer sees it."""

    order_id: str
    status: str
    placed_at: float
    assigned_at: float | None = None
    delivered_at: float | None = None
    pin: str = ""
    difference_cents: int = 0
    """Between the receipt's lines and what was charged."""
    is_checked: bool = False
    considered: set[str] = field(default_factory=set)
    """Questions about replacements that the customer has seen, answered or not."""


@dataclass
class Tally:
    wanted: int | None = None
    """How many orders to place; None: as many as the time allows."""
    claimed: int = 0
    is_closed: bool = False
    """No more orders are begun; those under way go on."""
    orders: dict[str, Placed] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    shoppers_online: int = 0
    deliveries: int = 0
    """By simulated shoppers, of everybody's orders."""
    started_at: float = field(default_factory=time.monotonic)
    trouble: list[str] = field(default_factory=list)

    def claim(self) -> bool:
        """True when one more order may be placed; it is counted as begun."""
        if self.is_full:
            return False
        self.claimed += 1
        return True

    def give_back(self) -> None:
        """An order that was begun came to nothing before it was placed."""
        self.claimed -= 1

    @property
    def is_full(self) -> bool:
        return self.is_closed or (self.wanted is not None and self.claimed >= self.wanted)

    @property
    def is_done(self) -> bool:
        """Whether every order that was begun has come to its end, and no more are to be begun."""
        return self.is_full and len(self.orders) >= self.claimed and not self.lost

    @property
    def lost(self) -> int:
        """Placed orders that came to no end, and delivered ones whose charge never came."""
        return sum(not order.is_checked for order in self.orders.values())

    def count(self, *statuses: str) -> int:
        return sum(order.status in statuses for order in self.orders.values())

    @property
    def is_good(self) -> bool:
        """As many orders as were wanted, none of them lost, every cent explained."""
        return (
            len(self.orders) >= (self.wanted or 0)
            and not self.lost
            and not any(order.difference_cents for order in self.orders.values())
        )

    def summary(self) -> dict[str, Any]:
        """The last line of ``manage.py simulate``."""
        waits = sorted(order.assigned_at - order.placed_at for order in self.orders.values() if order.assigned_at)
        return {
            "placed": len(self.orders),
            "delivered": self.count("delivered"),
            "rejected": self.count("rejected"),
            "lost": self.lost,
            "cents_of_difference": sum(abs(order.difference_cents) for order in self.orders.values()),
            "seconds": round(time.monotonic() - self.started_at, 1),
            "assigned_after_s_median": round(waits[len(waits) // 2], 1) if waits else None,
            "refusals": dict(self.refusals),
        }
