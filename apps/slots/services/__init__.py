"""Commands on delivery windows."""

from apps.slots.services.holding import confirm, hold, release, release_expired
from apps.slots.services.opening import follow_hours, open_windows

__all__ = ["confirm", "follow_hours", "hold", "open_windows", "release", "release_expired"]
