"""When something is told, how often it is tried, and what a customer may switch off."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from apps.notifications.errors import KindUnknown, MustBeTold


class Status(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    """An attempt is written down and the mail server may have the letter already; until ``due_at`` it is being sent."""
    SENT = "sent"
    FAILED = "failed"
    """A person has to look: it was refused, or nobody knows whether it arrived."""
    SKIPPED = "skipped"
    """It need not be told: switched off, too late, or to an address that takes nothing."""


S = Status

TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    S.QUEUED: frozenset({S.SENDING, S.SKIPPED, S.FAILED}),
    S.SENDING: frozenset({S.SENT, S.QUEUED, S.FAILED}),
    S.SENT: frozenset(),
    S.FAILED: frozenset(),
    S.SKIPPED: frozenset(),
}
"""Every change of a notification's status is looked up here."""

FINAL: Final = frozenset(status for status, following in TRANSITIONS.items() if not following)

MOST_COPIES: Final = 2
"""How often a letter may have reached the customer: once is promised, a second time where the first is not known."""

LEASE: Final = timedelta(minutes=2)
"""How long an attempt may take; after it nobody knows how it ended. Far longer than the mail server is waited for."""

MOST_TRIES: Final = 12
_FIRST_DELAY: Final = timedelta(seconds=15)
_LONGEST_DELAY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    stale_after: timedelta
    """Told later than this it would only confuse."""
    is_optional: bool = False
    """The customer may switch it off; what is about their money or their order's fate they may not."""


ORDER_PLACED = "order_placed"
PAYMENT_WAITING = "payment_waiting"
ORDER_REJECTED = "order_rejected"
ORDER_RESCHEDULED = "order_rescheduled"
ORDER_CANCELED = "order_canceled"
ORDER_ON_THE_WAY = "order_on_the_way"
ORDER_DELIVERED = "order_delivered"
REFUND_MADE = "refund_made"

KINDS: Final[Mapping[str, Kind]] = {
    ORDER_PLACED: Kind(stale_after=timedelta(days=1)),
    PAYMENT_WAITING: Kind(stale_after=timedelta(hours=2)),
    ORDER_REJECTED: Kind(stale_after=timedelta(days=1)),
    ORDER_RESCHEDULED: Kind(stale_after=timedelta(days=1)),
    ORDER_CANCELED: Kind(stale_after=timedelta(days=3)),
    ORDER_ON_THE_WAY: Kind(stale_after=timedelta(hours=1), is_optional=True),
    ORDER_DELIVERED: Kind(stale_after=timedelta(days=3)),
    REFUND_MADE: Kind(stale_after=timedelta(days=3)),
}

OPTIONAL: Final = tuple(name for name, kind in KINDS.items() if kind.is_optional)

LANGUAGES: Final = ("en", "es")


def may_follow(before: str, after: str) -> bool:
    return Status(after) in TRANSITIONS[Status(before)]


def checked_kind(name: str) -> Kind:
    """Raises ``KindUnknown``."""
    if name not in KINDS:
        raise KindUnknown(f"There is no letter {name}; it is one of {', '.join(KINDS)}.")
    return KINDS[name]


def checked_optional(name: str) -> str:
    """``name`` when customers may switch that kind off; raises ``KindUnknown`` and ``MustBeTold``."""
    if not checked_kind(name).is_optional:
        raise MustBeTold(f"Letters of the kind {name} are always sent; {', '.join(OPTIONAL)} can be switched off.")
    return name


def delay(tries: int) -> timedelta:
    """How long to wait after so many tries in vain: 15 s, 30 s, 1 min … an hour."""
    return min(_FIRST_DELAY * (1 << max(0, tries - 1)), _LONGEST_DELAY)


def language(locale: str) -> str:
    """Of those we write in, the one that a BCP 47 tag asks for; English where it asks for another."""
    asked = locale.partition("-")[0].lower()
    return asked if asked in LANGUAGES else LANGUAGES[0]
