"""Commands on delivery windows."""

from apps.slots.services.holding import confirm, give_up, hold, release, release_expired
from apps.slots.services.opening import follow_hours, open_windows

__all__ = ["confirm", "follow_hours", "give_up", "hold", "open_windows", "release", "release_expired"]
