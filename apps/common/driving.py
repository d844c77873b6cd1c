"""How long a drive takes, for everybody who has to reckon with one: along a straight line, start and parking included.

Fitted to trips in a real city grid.
"""

from typing import Final

START_AND_PARK_S: Final = 111.0
PER_KM_S: Final = 76.0


def travel_s(distance_m: float) -> float:
    return START_AND_PARK_S + PER_KM_S * distance_m / 1000
