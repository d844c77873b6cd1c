from collections import defaultdict
from datetime import timedelta

from apps.common import clock
from apps.common.api import loaders
from apps.slots import selectors
from apps.stores import selectors as stores


def windows(info):
    """Of ``(store id, minutes)``."""
    return loaders.of_request(info, _windows)


def hours(info):
    """Of a store id."""
    return loaders.of_request(info, _hours)


def special_days(info):
    """Of a store id."""
    return loaders.of_request(info, _special_days)


def _special_days(store_ids):
    yesterday = clock.now().date() - timedelta(days=1)  # as it still is in the west
    return stores.special_days_of(store_ids=store_ids, since=yesterday)


def _windows(keys):
    now = clock.now()
    same = defaultdict(list)
    for store_id, minutes in keys:
        same[minutes].append(store_id)
    found: dict = {}
    for minutes, store_ids in same.items():
        windows = selectors.open_windows_of(store_ids=store_ids, now=now, minutes=minutes)
        found |= {(store_id, minutes): windows.get(store_id, ()) for store_id in store_ids}
    return found


def _hours(store_ids):
    return stores.opening_hours_of(store_ids=store_ids)
