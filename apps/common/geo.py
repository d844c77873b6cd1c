"""A place on the Earth's surface."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees north and east (WGS 84). Raises ValueError for what is not on the globe, NaN included."""

    lat: float
    lng: float

    def __post_init__(self) -> None:
        if not (-90 <= self.lat <= 90 and -180 <= self.lng <= 180):
            raise ValueError(f"not a place on Earth: {self.lat}, {self.lng}")
