"""What one order more costs when a shopper is paid by the order, but not less than a guarantee for the shift."""

import math
from functools import lru_cache

STEPS = 7
_TAIL = 30


def cost_of_more(
    *, done: int, an_order: float, guarantee: float, expected: float, worth: float = 1.0
) -> tuple[float, ...]:
    """Expected extra pay for 1, 2 … 7 orders more, times ``worth`` (money in the units of the plan's weights).

    ``expected`` are the orders still to come anyway (Poisson distributed).
    Nothing while the guarantee pays for them; the full rate once he is sure to be beyond it.
    """
    return _cost_of_more(round(guarantee - done * an_order, 2), an_order, round(expected * 4) / 4, worth)


@lru_cache(maxsize=4096)
def _cost_of_more(lacking: float, an_order: float, expected: float, worth: float) -> tuple[float, ...]:
    chances = [math.exp(-expected)]
    for k in range(1, _TAIL):
        chances.append(chances[-1] * expected / k)

    def beyond(more: int) -> float:
        return sum(chance * max(0.0, an_order * (more + k) - lacking) for k, chance in enumerate(chances))

    none = beyond(0)
    return tuple(worth * (beyond(more) - none) for more in range(1, STEPS + 1))
