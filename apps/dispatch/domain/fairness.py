"""Of shoppers who cost about the same, who has waited longest for a turn goes first.

The planner takes whoever is cheapest, so a shopper who stands two streets farther away might wait all day. So a batch
costs a little more with who had a turn lately. What a wait is worth grows with it and never changes order: two shoppers
about whom nothing else changes are never now the one, now the other, ahead. It is always less than
``steadiness.WORTH``, so that nothing that was planned changes hands for it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

MOST_MINUTES: Final = 2.0
"""What the longest wait is worth, in minutes of driving: who is nearer by so much goes first, whoever has waited."""
HALF_AFTER: Final = timedelta(minutes=30)
"""A wait of that length is worth half of it."""


def cost_of_turn(since: Collection[datetime | None], *, now: datetime, a_minute: float) -> list[float]:
    """What any batch costs more with each of those who wait ``since`` then, than with who has waited longest of them.

    ``a_minute`` is what a minute of driving costs. None is for who does not wait at all. All wait alike: no cost.
    """
    worth = [_worth(at, now) for at in since]
    longest = max(worth, default=0.0)
    return [a_minute * (longest - one) for one in worth]


def _worth(since: datetime | None, now: datetime) -> float:
    waited = timedelta(0) if since is None else max(now - since, timedelta(0))
    return MOST_MINUTES * (waited / (waited + HALF_AFTER))
