"""Rules about shoppers that need no database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Final, Literal

from apps.common.geo import Point
from apps.shoppers.errors import CertificateInvalid, ShiftInvalid

State = Literal["active", "paused"]
Vehicle = Literal["car", "bike", "foot"]
CertificateKind = Literal["alcohol"]
CERTIFICATES: tuple[CertificateKind, ...] = ("alcohol",)
EarningKind = Literal["batch_pay", "peak_pay", "work_pay", "tip", "tip_lowered"]


class AssignmentState(StrEnum):
    CLAIMED = "claimed"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    RELEASED = "released"
    EXPIRED = "expired"


A = AssignmentState

ASSIGNMENT_TRANSITIONS: Final[Mapping[AssignmentState, frozenset[AssignmentState]]] = {
    A.CLAIMED: frozenset({A.OFFERED, A.ACCEPTED, A.COMPLETED, A.RELEASED, A.EXPIRED}),
    A.OFFERED: frozenset({A.ACCEPTED, A.COMPLETED, A.RELEASED, A.EXPIRED}),
    A.ACCEPTED: frozenset({A.COMPLETED, A.RELEASED}),
    A.COMPLETED: frozenset(),
    A.RELEASED: frozenset(),
    A.EXPIRED: frozenset({A.ACCEPTED, A.COMPLETED}),
}
"""Where an assignment may go from each state. Word from the store's shard comes late and in any order: that a batch was
accepted or completed may be heard after its claim ran out, and of the second before the first."""

LIVE: tuple[AssignmentState, ...] = (A.CLAIMED, A.OFFERED, A.ACCEPTED)
"""A shopper has at most one assignment in these states."""

EXPIRING: tuple[AssignmentState, ...] = (A.CLAIMED, A.OFFERED)
"""Live, but only until ``expires_at``: whoever made them may have died."""

PRESENCE = timedelta(minutes=3)
"""How long after their last sign of life a shopper still counts as being there."""

STORE_EVERY = timedelta(minutes=1)
"""The database keeps a position at most this often; Redis keeps every one."""

SHIFT_ENDS_AFTER = timedelta(minutes=30)
"""Who was silent this long has gone home without saying so."""

LONGEST_SHIFT = timedelta(hours=16)

LONGEST_CERTIFICATE = timedelta(days=3653)

RECENT_PICKS = 50
"""Picks that say how fast somebody is today."""
PICKS_TO_BELIEVE = 10
"""Worth so many picks is what is expected of everybody; so many of one's own count for half."""
PACES = (0.5, 2.0)
"""Nobody is reckoned with as faster or slower than that: twice as fast as expected, or half as fast."""

RECENT_RATINGS = 100
"""Rated deliveries, by when they were delivered, that make a shopper's rating."""
USUAL_RATING = 4.7
"""What is expected of everybody, in stars of 1 to 5."""
RATINGS_TO_BELIEVE = 10
"""Worth so many ratings is ``USUAL_RATING``; so many of one's own count for half."""
STARS = (1, 5)

CLOCK_SKEW = timedelta(seconds=30)
"""How far ahead of ours a phone's clock may be."""


def shift_end(*, asked: datetime | None, current: datetime | None, usual: timedelta, now: datetime) -> datetime:
    """Until when somebody works who goes online now: as ``asked``, else as he said before, else ``usual``.

    Raises ``ShiftInvalid`` for an end that is past, or farther off than anybody can work.
    """
    if asked is None:
        return current if current is not None and current > now else now + usual
    if not now < asked <= now + LONGEST_SHIFT:
        raise ShiftInvalid(
            f"Say an end of your shift between now and {LONGEST_SHIFT // timedelta(hours=1)} hours ahead."
        )
    return asked


def checked_period(valid_from: date, valid_until: date) -> tuple[date, date]:
    """Raises ``CertificateInvalid`` for a period that ends before it begins, or after ``LONGEST_CERTIFICATE``."""
    if not valid_from <= valid_until <= valid_from + LONGEST_CERTIFICATE:
        raise CertificateInvalid("A certificate is valid until its first day or later, and for ten years at most.")
    return valid_from, valid_until


def pace(ratios: Sequence[float]) -> float:
    """What to multiply minutes in the store with, from minutes taken by minutes expected of ``RECENT_PICKS`` at most.

    Their median, so that one long talk at the till says nothing, drawn to 1 by credibility, n / (n + k) (H. Bühlmann,
    "Experience Rating and Credibility", ASTIN Bulletin 4(3), 1967; k is set, not estimated).
    """
    if not ratios:
        return 1.0
    own = len(ratios) / (len(ratios) + PICKS_TO_BELIEVE)
    slowest, fastest = max(PACES), min(PACES)
    return min(max(own * median(ratios) + 1 - own, fastest), slowest)


def rating(stars: Sequence[int]) -> float:
    """A shopper's rating, from the stars of ``RECENT_RATINGS`` at most.

    Their mean, drawn to ``USUAL_RATING`` by credibility, n / (n + k), as in ``pace`` (a "Bayesian average").
    """
    return (sum(stars) + RATINGS_TO_BELIEVE * USUAL_RATING) / (len(stars) + RATINGS_TO_BELIEVE)


def coarse(point: Point) -> Point:
    """``point`` to three decimals, about 100 m: enough to offer work, too little to follow somebody home."""
    return Point(round(point.lat, 3), round(point.lng, 3))


def latest_fresh(positions: Iterable[tuple[datetime, Point]], *, now: datetime) -> tuple[datetime, Point] | None:
    """The newest position that is neither stale nor from the future; None when there is none.

    Phones send what they gathered without a signal all at once: an hour of it is history, not presence.
    """
    fresh = [(at, point) for at, point in positions if now - PRESENCE < at <= now + CLOCK_SKEW]
    return max(fresh, key=lambda reported: reported[0], default=None)
