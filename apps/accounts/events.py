from dataclasses import dataclass

from apps.common.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUp(Event):
    """Somebody has an account; their profile is still to be brought to their shard."""

    name = "accounts.signed_up"

    user_id: int
