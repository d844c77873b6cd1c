"""What ``_geo.pyx`` computes, written to be read."""

import math
from array import array
from collections.abc import Sequence

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius R1 of the International Union of Geodesy and Geophysics."""


def distances_m(lat: float, lng: float, lats: Sequence[float], lngs: Sequence[float]) -> "array[float]":
    """Great-circle metres from (lat, lng) to each point (lats[i], lngs[i]), all in degrees, by the haversine formula.

    ``lats`` and ``lngs`` support the buffer protocol with items of type double (``array("d", …)``) and are equally
    long; the answer has their length. Raises ValueError when their lengths differ.
    """
    if len(lats) != len(lngs):
        raise ValueError(f"{len(lats)} latitudes but {len(lngs)} longitudes")
    phi = math.radians(lat)
    metres = array("d")
    for other_lat, other_lng in zip(lats, lngs, strict=True):
        other_phi = math.radians(other_lat)
        across = math.sin((other_phi - phi) / 2)
        around = math.sin(math.radians(other_lng - lng) / 2)
        haversine = across * across + math.cos(phi) * math.cos(other_phi) * around * around
        metres.append(2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(haversine))))
    return metres
