"""What the settings say of travel times. ``instacart.env`` has checked them at the start."""

from typing import Final

from django.conf import settings

from apps.dispatch.travel import pairs
from apps.dispatch.travel.client import Limits
from apps.dispatch.travel.filling import Budget
from apps.dispatch.travel.providers import GOOGLE_URL, Google, Osrm, Provider, Valhalla

ASK_EVERY_S: Final = 20
"""A zone's planner asks no more often, whatever it lacks."""


def name() -> str:
    return str(settings.TRAVEL_TIMES)


def provider() -> Provider | None:
    """None for the embedded ``Roads``."""
    match name():
        case "roads":
            return None
        case "valhalla":
            return Valhalla(settings.TRAVEL_URL)
        case "osrm":
            return Osrm(settings.TRAVEL_URL)
        case "google":
            return Google(settings.TRAVEL_KEY, settings.TRAVEL_URL or GOOGLE_URL)
        case other:
            raise ValueError(f"TRAVEL_TIMES is {other!r}; it is roads, valhalla, osrm or google")


def remembered(hour: int) -> pairs.Remembered:
    return pairs.Remembered(provider=name(), hour=hour, seconds=settings.TRAVEL_KEEP_SECONDS)


def limits() -> Limits:
    return Limits(connect_seconds=settings.TRAVEL_CONNECT_SECONDS, read_seconds=settings.TRAVEL_READ_SECONDS)


def budget() -> Budget:
    return Budget(seconds=settings.TRAVEL_FILL_SECONDS, pairs=settings.TRAVEL_FILL_PAIRS)
