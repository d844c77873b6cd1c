"""Commands on delivery windows."""

from apps.slots.services.holding import confirm, hold, release, release_expired
from apps.slots.services.opening import open_windows

__all__ = ["confirm", "hold", "open_windows", "release", "release_expired"]
