"""Where orders are expected, learned from those placed, and how long before they are ready they are known."""

import math
from array import array
from dataclasses import dataclass, field
from functools import lru_cache

from cython_ext.dispatch.problem import Coverage

REACH_MINUTES = 120


@dataclass(slots=True)
class Demand:
    """``stores[id]`` is where each store stands. ``prior`` orders per store are believed before any was seen.

    An order is ready a normally distributed time after it is placed: a shopper nearer than that is in time.
    """

    stores: dict[str, tuple[float, float]]
    prior: float = 0.5
    notice_minutes: float = 14.0
    notice_spread: float = 8.0
    _seen: dict[str, float] = field(default_factory=dict)

    def observe(self, store_id: str) -> None:
        """An order was placed there."""
        self._seen[store_id] = self._seen.get(store_id, 0.0) + 1.0

    def shares(self) -> dict[str, float]:
        """The chance of each store to be the next order's; they sum to 1."""
        total = sum(self._seen.get(store, 0.0) + self.prior for store in self.stores)
        return {store: (self._seen.get(store, 0.0) + self.prior) / total for store in self.stores}

    def delays(self, half_pick: float) -> "array[float]":
        """Expected minutes an order waits for a shopper who is 0, 1, 2 … minutes away, and a little for the drive."""
        return array("d", _delays(self.notice_minutes, self.notice_spread, half_pick))


@lru_cache(maxsize=64)
def _delays(notice: float, spread: float, half_pick: float) -> tuple[float, ...]:
    minutes = range(60)
    chances = [math.exp(-((m - notice) ** 2) / (2 * spread**2)) if spread > 0 else 0.0 for m in minutes]
    if not sum(chances):
        chances[max(0, min(59, round(notice)))] = 1.0
    total = sum(chances)

    def wait(away: int) -> float:
        late = (chance * max(0.0, away + half_pick - m) for m, chance in zip(minutes, chances, strict=True))
        return sum(late) / total

    return tuple(wait(away) + Coverage.DRIVE * away for away in range(REACH_MINUTES))
