from datetime import timedelta

from apps.common.errors import Conflict, Invalid


class KindUnknown(Invalid):
    code = "notification_kind_unknown"


class MustBeTold(Conflict):
    """Letters about money and the fate of an order cannot be switched off."""

    code = "notification_must_be_told"


class NotYet(Exception):
    """A composer says: what there is to tell is not complete, look again ``after`` this time. No try is counted."""

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"not before {after}")
        self.after = after


class NothingToSay(Exception):
    """A composer says: by now there is nothing to tell any more."""
