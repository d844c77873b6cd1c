"""The rules of ratings and reports that need no database. Every number is in ``RULES``."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from apps.common.errors import IdempotencyKeyMissing
from apps.support.errors import IssueInvalid, RatingInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    rate_within: timedelta = timedelta(days=14)
    """After the delivery; in this time a rating may also be changed."""
    report_within: timedelta = timedelta(days=14)
    low_stars: int = 3
    """A rating of so many stars or fewer counts only against who is to blame."""
    at_once_cents: int = 20_00
    """Decided without a person: so much of one order at most, in its currency."""
    at_once_reports: int = 3
    """and for a customer with so many reports at most,"""
    reports_within: timedelta = timedelta(days=90)
    """this one included, in so long. Withdrawn ones do not count."""
    most_photos: int = 5
    longest_words: int = 1000
    longest_key: int = 80


RULES: Final = Rules()


class Kind(StrEnum):
    """What is wrong. The values are reasons of ``orders.services.refund`` too."""

    MISSING = "missing"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    POOR_QUALITY = "poor_quality"
    LATE = "late"
    OTHER = "other"


KINDS: Final[Mapping[Kind, str]] = {
    Kind.MISSING: "It was not in the bags",
    Kind.DAMAGED: "It is damaged",
    Kind.WRONG_ITEM: "It is something else",
    Kind.POOR_QUALITY: "It is of poor quality",
    Kind.LATE: "The order came late",
    Kind.OTHER: "Something else",
}

OF_A_LINE: Final = frozenset({Kind.MISSING, Kind.DAMAGED, Kind.WRONG_ITEM, Kind.POOR_QUALITY})
"""These are said of one item; ``late`` of the order, ``other`` of either."""

SHOWN: Final = frozenset({Kind.DAMAGED, Kind.POOR_QUALITY})
"""These can be photographed: without a photo a person looks at them."""


class Status(StrEnum):
    OPENED = "opened"
    RESOLVED_REFUND = "resolved_refund"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


S = Status

TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    S.OPENED: frozenset({S.RESOLVED_REFUND, S.DECLINED, S.WITHDRAWN}),
    S.DECLINED: frozenset({S.OPENED}),  # undone: no money has moved
    S.RESOLVED_REFUND: frozenset(),
    S.WITHDRAWN: frozenset(),
}
"""Where a report may go from each state. Every step is one guarded update with its history."""

CHARGED: Final = frozenset({"found", "replaced"})
"""Lines of an order for which something was delivered, and paid."""

STANDING: Final = frozenset({S.OPENED, S.RESOLVED_REFUND})
"""Neither declined nor withdrawn: it may still be true, or is known to be."""

TITLES: Final[Mapping[Status, str]] = {
    S.OPENED: "We are looking at it",
    S.RESOLVED_REFUND: "Refunded",
    S.DECLINED: "Declined",
    S.WITHDRAWN: "Withdrawn",
}


class Reason(StrEnum):
    """Why a report was decided as it was."""

    BY_RULES = "by_rules"
    AS_REPORTED = "as_reported"
    IN_PART = "in_part"
    GOODWILL = "goodwill"
    NOT_SHOWN = "not_shown"
    AS_ORDERED = "as_ordered"
    ALREADY_REFUNDED = "already_refunded"
    TOO_OFTEN = "too_often"
    OTHER = "other"


UPHELD: Final[Mapping[Reason, str]] = {
    Reason.AS_REPORTED: "As reported",
    Reason.IN_PART: "True in part",
    Reason.GOODWILL: "Not certain, but given back",
}
DECLINED: Final[Mapping[Reason, str]] = {
    Reason.NOT_SHOWN: "The photos do not show it",
    Reason.AS_ORDERED: "It was delivered as ordered",
    Reason.ALREADY_REFUNDED: "It was refunded before",
    Reason.TOO_OFTEN: "Too many reports",
    Reason.OTHER: "Another reason",
}
REASONS: Final[Mapping[Reason, str]] = {Reason.BY_RULES: "Believed at once", **UPHELD, **DECLINED}
REASONS_OF: Final[Mapping[Status, frozenset[Reason]]] = {
    S.RESOLVED_REFUND: frozenset({Reason.BY_RULES, *UPHELD}),
    S.DECLINED: frozenset(DECLINED),
}


class Waits(StrEnum):
    """Why a report was left to a person."""

    NO_LINE = "no_line"
    NO_PHOTO = "no_photo"
    NO_RULE = "no_rule"
    MUCH = "much"
    OFTEN = "often"
    NOT_CHARGED = "not_charged"
    NOTHING_LEFT = "nothing_left"


WAITS: Final[Mapping[Waits, str]] = {
    Waits.NO_LINE: "Not about an item: there is no price to go by",
    Waits.NO_PHOTO: "No photo of what can be photographed",
    Waits.NO_RULE: "None of the usual reasons",
    Waits.MUCH: "More than is given back at once for one order",
    Waits.OFTEN: "More reports than are decided at once for one customer",
    Waits.NOT_CHARGED: "The card is not charged yet; decided by the rules as soon as it is",
    Waits.NOTHING_LEFT: "Less is left of what was paid than was reported",
}


class Fault(StrEnum):
    SHOPPER = "shopper"
    STORE = "store"
    DISPATCH = "dispatch"
    NOBODY = "nobody"


FAULTS: Final[Mapping[Fault, str]] = {
    Fault.SHOPPER: "The shopper's",
    Fault.STORE: "The store's",
    Fault.DISPATCH: "Dispatch's: a shopper was found too late",
    Fault.NOBODY: "Nobody's, or not known",
}


class Tag(StrEnum):
    FAST = "fast"
    FRIENDLY = "friendly"
    CAREFUL = "careful"
    GOOD_CHOICES = "good_choices"
    LATE = "late"
    UNFRIENDLY = "unfriendly"
    CARELESS = "careless"
    OUT_OF_STOCK = "out_of_stock"


TAGS: Final[Mapping[Tag, str]] = {
    Tag.FAST: "Fast",
    Tag.FRIENDLY: "Friendly",
    Tag.CAREFUL: "Packed with care",
    Tag.GOOD_CHOICES: "Good choices",
    Tag.LATE: "Late",
    Tag.UNFRIENDLY: "Unfriendly",
    Tag.CARELESS: "Careless",
    Tag.OUT_OF_STOCK: "Things were sold out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is known of how an order came to its door."""

    delivered_at: datetime
    due_at: datetime
    taken_at: datetime | None
    """When the shopper who delivered it took it."""
    takes: timedelta
    """Shopper's time that the order was reckoned with: picking and the drive."""
    has_gaps: bool
    """Something of it was not to be had at the store."""

    @property
    def late_because_of(self) -> Fault:
        """Dispatch's where the shopper took it too late to be in time; nobody's where it was in time."""
        if self.delivered_at <= self.due_at:
            return Fault.NOBODY
        was_in_time = self.taken_at is not None and self.taken_at + self.takes <= self.due_at
        return Fault.SHOPPER if was_in_time else Fault.DISPATCH


def fault_of(kind: Kind, delivery: Delivery) -> Fault:
    """Whose fault it is that this is reported, before a person has looked."""
    match kind:
        case Kind.LATE:
            return delivery.late_because_of
        case Kind.OTHER:
            return Fault.NOBODY
        case _:
            return Fault.SHOPPER


def faults_of(tags: Iterable[str], delivery: Delivery) -> frozenset[Fault]:
    """What the tags of a rating blame, as far as it is true."""
    blamed = {
        Tag.LATE: delivery.late_because_of,
        Tag.OUT_OF_STOCK: Fault.STORE if delivery.has_gaps else Fault.NOBODY,
        Tag.UNFRIENDLY: Fault.SHOPPER,
        Tag.CARELESS: Fault.SHOPPER,
    }
    return frozenset(blamed[Tag(tag)] for tag in tags if tag in blamed)


def counts(stars: int, faults: Collection[str]) -> bool:
    """Whether a rating is in the shopper's: a low one is not where others are to blame, and the shopper is not.

    ``faults`` are those of its tags and of the order's standing reports.
    """
    others = {Fault.STORE, Fault.DISPATCH} & set(faults)
    return stars > RULES.low_stars or not others or Fault.SHOPPER in faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the rules look at before a report is decided at once."""

    kind: Kind
    has_line: bool
    photos: int
    cents: int
    """What would be given back."""
    cents_before: int
    """Given back at once for this order before."""
    reports: int
    """Of this customer lately, this one included."""


def waits_for(claim: Claim) -> Waits | None:
    """Why a person has to decide; None where the report is believed at once."""
    if claim.kind is Kind.OTHER:
        return Waits.NO_RULE
    if not claim.has_line:
        return Waits.NO_LINE
    if claim.kind in SHOWN and not claim.photos:
        return Waits.NO_PHOTO
    if claim.reports > RULES.at_once_reports:
        return Waits.OFTEN
    return Waits.MUCH if claim.cents_before + claim.cents > RULES.at_once_cents else None


def checked_stars(stars: int) -> int:
    if stars not in range(1, 6):
        raise RatingInvalid("Choose between 1 and 5 stars.")
    return stars


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each once, in the order of ``Tag``; raises ``RatingInvalid`` for one that is none."""
    given = set(tags)
    unknown = given - set(Tag)
    if unknown:
        raise RatingInvalid(f"There is no tag {min(unknown)!r}; there are {', '.join(Tag)}.")
    return tuple(str(tag) for tag in Tag if tag in given)


def checked_kind(kind: str, *, has_line: bool) -> Kind:
    if kind not in set(Kind):
        raise IssueInvalid(f"Say what is wrong: {', '.join(Kind)}.")
    found = Kind(kind)
    if found in OF_A_LINE and not has_line:
        raise IssueInvalid("Say which item it is about.")
    if found is Kind.LATE and has_line:
        raise IssueInvalid("That it came late is said of the whole order, not of one item.")
    return found


def checked_quantity(quantity: Decimal | None, *, found: Decimal, sold_by: str) -> Decimal:
    """How much of a line it is about; all of it unless said. Raises ``IssueInvalid`` for more than was charged."""
    asked = found if quantity is None else quantity
    if not asked.is_finite() or not 0 < asked <= found:
        raise IssueInvalid(f"More than 0 and at most {found.normalize():f} of this item were charged.")
    if sold_by == "count" and asked != asked.to_integral_value():
        raise IssueInvalid("This item is sold by the piece: say a whole number.")
    if asked != round(asked, 3):
        raise IssueInvalid("A weight has at most three decimals.")
    return asked


def checked_words(words: str) -> str:
    """``words`` without control characters (line breaks stay); raises ``IssueInvalid`` where they are too many."""
    plain = "".join(one for one in words.replace("\r\n", "\n").strip() if one.isprintable() or one == "\n")
    if len(plain) > RULES.longest_words:
        raise IssueInvalid(f"Say it in {RULES.longest_words} characters at most; these are {len(plain)}.")
    return plain


def checked_key(key: str) -> str:
    if not 0 < len(key) <= RULES.longest_key or not key.isprintable():
        raise IdempotencyKeyMissing(f"An idempotency key has 1 to {RULES.longest_key} printable characters.")
    return key


def shopper_id_of(actor: str) -> int | None:
    """Who ``shopper:7`` in an order's history is; None for everybody else."""
    kind, _, number = actor.partition(":")
    return int(number) if kind == "shopper" and number.isdigit() else None
