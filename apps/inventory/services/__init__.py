"""Commands on a store's stock. Locks are taken in one order: the order's reservations, then stock by item id."""

from apps.inventory.services.changing import change
from apps.inventory.services.finding import note_missing, note_outcomes
from apps.inventory.services.replacing import hold_replacement, release_replacement
from apps.inventory.services.reserving import commit, consume, release, release_expired, reserve
from apps.inventory.services.stocking import set_on_hand

__all__ = [
    "change",
    "commit",
    "consume",
    "hold_replacement",
    "note_missing",
    "note_outcomes",
    "release",
    "release_expired",
    "release_replacement",
    "reserve",
    "set_on_hand",
]
