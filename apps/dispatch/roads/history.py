"""What finished batches tell about driving."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from apps.dispatch.finished import Trip
from apps.dispatch.roads.domain import STOP_MINUTES, Leg


def legs(trip: Trip) -> Iterator[Leg]:
    """In the order in which its doors were come to. None before the departure from the store, where that was not noted.

    Who says at each door that he sets out for the next is on the way from then on; else from when he was done there.
    """
    clock = ZoneInfo(trip.store.timezone)
    departures = [order.delivery_started_at for order in trip.orders if order.delivery_started_at is not None]
    place, left_at = (trip.store.point.lat, trip.store.point.lng), min(departures, default=None)
    for order in sorted(trip.orders, key=lambda order: order.delivered_at):
        end = (order.drop.lat, order.drop.lng)
        if left_at is not None:
            left_at = max(left_at, order.delivery_started_at or left_at)
            yield Leg(
                zone_id=trip.store.zone_id,
                start=place,
                end=end,
                hour=left_at.astimezone(clock).hour,
                minutes=(order.delivered_at - left_at).total_seconds() / 60 - STOP_MINUTES,
                ended_at=order.delivered_at,
            )
        place, left_at = end, order.delivered_at
