from array import array
from collections.abc import Sequence

EARTH_RADIUS_M: float

def distances_m(lat: float, lng: float, lats: Sequence[float], lngs: Sequence[float]) -> array[float]: ...
