"""The rules of an order that need no database: its states, and what may be authorised and charged."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Final

from apps.common.errors import IdempotencyKeyMissing
from apps.common.money import Money
from apps.orders.errors import FoundQuantityInvalid, LineStatusInvalid
from apps.orders.types import LineReason, ReplacementStatus


class Status(StrEnum):
    PENDING = "pending"
    PAYMENT_PENDING = "payment_pending"
    BRAND_NEW = "brand_new"
    ACKNOWLEDGED = "acknowledged"
    PICKING = "picking"
    VERIFYING_REPLACEMENTS = "verifying_replacements"
    CHECKOUT = "checkout"
    BAGS_CHECK = "bags_check"
    STAGED = "staged"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    CUSTOMER_MISSING = "customer_missing"
    RETURNED = "returned"
    REJECTED = "rejected"
    CANCELED = "canceled"


class LineStatus(StrEnum):
    NOT_PICKED = "not_picked"
    FOUND = "found"
    REPLACED = "replaced"
    TO_REFUND = "to_refund"


class Phase(StrEnum):
    ESTIMATE = "estimate"
    FINAL = "final"
    REFUND = "refund"
    """Given back after delivery; these lines are below zero, the final ones stay as they are."""


class RefundReason(StrEnum):
    MISSING = "missing"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    POOR_QUALITY = "poor_quality"
    LATE = "late"
    GOODWILL = "goodwill"
    TIP_LOWERED = "tip_lowered"
    """Only ``lower_tip`` gives it."""
    OTHER = "other"


class CancelReason(StrEnum):
    """Why the store or support cancels an order."""

    CUSTOMER_ASKED = "customer_asked"
    OUT_OF_STOCK = "out_of_stock"
    STORE_CLOSED = "store_closed"
    NO_SHOPPER = "no_shopper"
    ADDRESS_UNREACHABLE = "address_unreachable"
    SUSPECTED_FRAUD = "suspected_fraud"
    OTHER = "other"


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    PAID = "paid"
    FAILED = "failed"
    """A person has to find another way to the customer."""


class OverageStatus(StrEnum):
    """What became of the part of the final total that was not held."""

    ASKED = "asked"
    HELD = "held"
    LEFT_BEHIND = "left_behind"
    """The card would not hold it: goods stayed in the store until the rest was covered."""
    FORGIVEN = "forgiven"
    """The same, and the goods had left: the platform pays."""


class TipStatus(StrEnum):
    """Of a tip that was added after the delivery."""

    ASKED = "asked"
    CHARGED = "charged"
    DECLINED = "declined"


S = Status

TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    S.PENDING: frozenset({S.BRAND_NEW, S.PAYMENT_PENDING, S.REJECTED, S.CANCELED}),
    S.PAYMENT_PENDING: frozenset({S.BRAND_NEW, S.REJECTED, S.CANCELED}),
    S.BRAND_NEW: frozenset({S.ACKNOWLEDGED, S.CANCELED}),
    S.ACKNOWLEDGED: frozenset({S.BRAND_NEW, S.PICKING, S.CANCELED}),
    S.PICKING: frozenset(
        {S.BRAND_NEW, S.VERIFYING_REPLACEMENTS, S.CHECKOUT, S.CANCELED}  # back: its shopper fell silent
    ),
    S.VERIFYING_REPLACEMENTS: frozenset({S.BRAND_NEW, S.PICKING, S.CHECKOUT, S.CANCELED}),
    S.CHECKOUT: frozenset({S.BAGS_CHECK, S.DELIVERING}),  # a store need not scan its bags
    S.BAGS_CHECK: frozenset({S.STAGED, S.DELIVERING}),
    S.STAGED: frozenset({S.DELIVERING}),
    S.DELIVERING: frozenset({S.DELIVERED, S.CUSTOMER_MISSING}),
    S.CUSTOMER_MISSING: frozenset({S.DELIVERED, S.RETURNED}),
    S.DELIVERED: frozenset(),
    S.RETURNED: frozenset(),
    S.REJECTED: frozenset(),
    S.CANCELED: frozenset(),
}
"""Where an order may go from each state. Every change of status, by whomever, is looked up here."""

REFUND_TRANSITIONS: Final[Mapping[RefundStatus, frozenset[RefundStatus]]] = {
    RefundStatus.REQUESTED: frozenset({RefundStatus.PAID, RefundStatus.FAILED}),
    RefundStatus.PAID: frozenset({RefundStatus.FAILED}),  # days later: the customer's bank sends it back
    RefundStatus.FAILED: frozenset(),
}

R = ReplacementStatus

REPLACEMENT_TRANSITIONS: Final[Mapping[ReplacementStatus, frozenset[ReplacementStatus]]] = {
    R.PROPOSED: frozenset({R.APPROVED, R.AUTO_APPROVED, R.REJECTED, R.WITHDRAWN}),
    R.APPROVED: frozenset(),
    R.AUTO_APPROVED: frozenset(),
    R.REJECTED: frozenset(),
    R.WITHDRAWN: frozenset(),
}
"""Where a question to the customer may go. Every answer, by whomever, is looked up here."""

OVERAGE_TRANSITIONS: Final[Mapping[OverageStatus, frozenset[OverageStatus]]] = {
    OverageStatus.ASKED: frozenset({OverageStatus.HELD, OverageStatus.LEFT_BEHIND, OverageStatus.FORGIVEN}),
    OverageStatus.HELD: frozenset(),
    OverageStatus.LEFT_BEHIND: frozenset(),
    OverageStatus.FORGIVEN: frozenset(),
}

TIP_TRANSITIONS: Final[Mapping[TipStatus, frozenset[TipStatus]]] = {
    TipStatus.ASKED: frozenset({TipStatus.CHARGED, TipStatus.DECLINED}),
    TipStatus.CHARGED: frozenset(),
    TipStatus.DECLINED: frozenset(),
}

EARNED: Final = frozenset(
    {
        (S.PENDING, S.BRAND_NEW),
        (S.PENDING, S.PAYMENT_PENDING),
        (S.PENDING, S.REJECTED),
        (S.PAYMENT_PENDING, S.BRAND_NEW),
        (S.PAYMENT_PENDING, S.REJECTED),
        (S.PICKING, S.VERIFYING_REPLACEMENTS),
        (S.VERIFYING_REPLACEMENTS, S.PICKING),
        (S.PICKING, S.CHECKOUT),
        (S.VERIFYING_REPLACEMENTS, S.CHECKOUT),
        (S.CUSTOMER_MISSING, S.RETURNED),
        *((before, S.CANCELED) for before in (S.ACKNOWLEDGED, S.PICKING, S.VERIFYING_REPLACEMENTS)),
    }
)
"""Steps nobody may ask for by name: something has to be true first, and the service that sees to it takes them."""

BEING_PICKED: Final = frozenset({S.PICKING, S.VERIFYING_REPLACEMENTS})
"""In these a line's outcome may still change, and only in these may a question about one be open."""

WISHABLE: Final = BEING_PICKED | {S.BRAND_NEW, S.ACKNOWLEDGED}
"""The customer may still say which item they want where one is out."""

_UNPICKED: Final = frozenset({LineStatus.NOT_PICKED, LineStatus.TO_REFUND})

UNPLACED: Final = frozenset({S.PENDING, S.PAYMENT_PENDING})
"""The placement is still at work on these."""

FREELY_CANCELABLE: Final = frozenset({S.PENDING, S.PAYMENT_PENDING, S.BRAND_NEW})
"""No shopper has it: the customer may cancel, free of charge."""

CANCELABLE: Final = FREELY_CANCELABLE | {S.ACKNOWLEDGED}
"""The customer may cancel; once a shopper has taken it, for a fee."""

CANCELABLE_FOR_CUSTOMER: Final = CANCELABLE | {S.PICKING, S.VERIFYING_REPLACEMENTS}
"""The store or support may cancel, always free of charge: nothing is at the till yet."""

EDITABLE: Final = frozenset({S.BRAND_NEW, S.ACKNOWLEDGED, S.PICKING, S.VERIFYING_REPLACEMENTS})
"""The customer may change its lines, as far as the customer's shard knows: the store's shard decides."""

UNDONE: Final = frozenset({S.REJECTED, S.CANCELED, S.RETURNED})
"""Nothing may be held or authorised for these any longer."""

TERMINAL: Final = frozenset(status for status, following in TRANSITIONS.items() if not following)

TITLES: Final[Mapping[Status, str]] = {
    S.PENDING: "Placing your order",
    S.PAYMENT_PENDING: "Waiting for the payment provider",
    S.BRAND_NEW: "Order placed",
    S.ACKNOWLEDGED: "A shopper took your order",
    S.PICKING: "Shopping",
    S.VERIFYING_REPLACEMENTS: "Checking replacements",
    S.CHECKOUT: "Checking out",
    S.BAGS_CHECK: "Packing",
    S.STAGED: "Ready to leave the store",
    S.DELIVERING: "On the way",
    S.DELIVERED: "Delivered",
    S.CUSTOMER_MISSING: "We could not reach you",
    S.RETURNED: "Returned to the store",
    S.REJECTED: "Not placed",
    S.CANCELED: "Canceled",
}

PUBLIC_NAMES: Final[Mapping[Status, str]] = {
    S.BRAND_NEW: "fulfillment.brand_new",
    S.ACKNOWLEDGED: "fulfillment.acknowledged",
    S.PICKING: "fulfillment.picking",
    S.VERIFYING_REPLACEMENTS: "fulfillment.order_item_replacement",
    S.CHECKOUT: "fulfillment.checkout",
    S.STAGED: "fulfillment.staging",
    S.DELIVERING: "fulfillment.delivering",
    S.DELIVERED: "fulfillment.delivered",
    S.CANCELED: "fulfillment.canceled",
}
"""The names under which integrators hear of a status; the others are nobody's business but ours."""

RESCHEDULED: Final = "rescheduled"
"""What a change of the window is called in an order's history."""

REPLACEMENT: Final = "replacement_"
"""How entries of the history about replacements begin; ``types.ReplacementStatus`` follows."""

EDITED: Final = "edited"
"""What a change of the lines is called in an order's history."""

TIP_RAISED: Final = "tip_raised"
TIP_LOWERED: Final = "tip_lowered"

PUBLIC_NOTES: Final[Mapping[str, str]] = {
    RESCHEDULED: "fulfillment.rescheduled",
    f"{REPLACEMENT}proposed": "fulfillment.order_item_replacement",
    TIP_RAISED: "fulfillment.tip_adjustment",
    TIP_LOWERED: "fulfillment.tip_adjustment",
}
"""Likewise, of entries in the history that change no status."""

ANSWER_TIME: Final = timedelta(minutes=5)
"""How long a customer has to answer a question about a replacement, before what they said when ordering counts."""

NOTHING: Final = Decimal(0)

MOVING: Final = timedelta(minutes=2)
"""How long the window an order moves to stays held while the order itself is changed."""

HOLD: Final = timedelta(minutes=10)
"""How long stock and window stay reserved for an order that is not confirmed; also the time for 3-D Secure."""

PATIENCE: Final = timedelta(seconds=30)
"""How long a step may be quiet before the sweeper repeats it: longer than any request may take."""

LAST_LOOK: Final = timedelta(minutes=3)
"""When an ended order is undone once more: no call that was under way when it ended can still be running then."""

OVERAGE_PATIENCE: Final = timedelta(minutes=1)
"""How long the shopper at the till waits for a silent payment provider; then its silence is a no."""

TIP_WITHIN: Final = timedelta(hours=72)
"""How long after the delivery a tip may be raised."""

TIP_AT_MOST_CENTS: Final = 50_00
"""Anybody may tip so much; more only up to what the order itself came to."""

TIP_ASK_AGAIN_AFTER: Final = timedelta(minutes=1)
"""A card that declined a tip is not asked for the same one again before: a finger on a button is not a new wish."""

STUCK_AFTER: Final = timedelta(hours=2)
"""An order that is not at its end this long after its window needs a person."""

MAX_LINES: Final = 150
"""Of an order, those among them that were taken out; a cart holds no more either."""

MAX_PIN_FAILURES: Final = 10
MAX_KEY_LENGTH: Final = 80
MAX_REASON_LENGTH: Final = 300
WEIGHT_TOLERANCE: Final = Decimal("0.15")
"""What a weighed line may weigh above the order: bananas do not come in exact pounds."""

PARTIAL_BELOW: Final = 1 - WEIGHT_TOLERANCE
"""Of a weighed line, less than this share of what was ordered is only a part of it: nobody cuts to the gram."""

_BUFFER: Final = Decimal("1.15")
_STEP_CENTS: Final = 5_00


def takes_wishes(status: str, reason: str) -> bool:
    """Whether a customer who says what they want instead of a line is still in time, and wants the line at all."""
    return status in _UNPICKED and reason != LineReason.TAKEN_OUT


def may_follow(before: str, after: str) -> bool:
    return Status(after) in TRANSITIONS[Status(before)]


def amount_to_authorise(estimate: Money) -> Money:
    """The estimate and 15 % for goods that weigh more than ordered, rounded up to whole five-dollar steps."""
    steps = (estimate.cents * _BUFFER / _STEP_CENTS).to_integral_value(ROUND_CEILING)
    return Money(int(steps) * _STEP_CENTS, estimate.currency)


def most_to_estimate(authorised: Money) -> Money:
    """The largest estimate that ``authorised``, in five-dollar steps, is enough for: see ``amount_to_authorise``."""
    most = authorised.cents // _STEP_CENTS * _STEP_CENTS / _BUFFER
    return Money(int(most.to_integral_value(ROUND_FLOOR)), authorised.currency)


def is_partial(found: Decimal, *, ordered: Decimal, sold_by: str) -> bool:
    """Whether ``found``, more than nothing, is less than the customer asked for."""
    return found < (ordered * PARTIAL_BELOW if sold_by == "weight" else ordered)


def pay_by(placed_at: datetime, cutoff_at: datetime) -> datetime:
    """How long we try while the payment provider is silent: until the window's cut-off, and ten minutes at least."""
    return max(placed_at + HOLD, cutoff_at)


def checked_key(key: str) -> str:
    """``key`` when it is none (empty) or one we can keep; raises ``IdempotencyKeyMissing``."""
    if len(key) > MAX_KEY_LENGTH or not key.isprintable():
        raise IdempotencyKeyMissing(f"An idempotency key has 1 to {MAX_KEY_LENGTH} printable characters.")
    return key


def plain(text: str, longest: int) -> str:
    """``text`` without control characters, cut to ``longest``: fit for a history that people read."""
    return "".join(character for character in text if character.isprintable())[:longest]


def most_acceptable(ordered: Decimal, sold_by: str) -> Decimal:
    """The largest quantity of a line that may be charged: what was ordered; by weight, 15 % more."""
    return ordered * (1 + WEIGHT_TOLERANCE) if sold_by == "weight" else ordered


def checked_found(found: Decimal, *, status: str, ordered: Decimal, sold_by: str) -> Decimal:
    """The quantity to charge for a line that became ``status``: none for a refund, ``found`` when that may be.

    The limit keeps what weighs more within the authorisation, whose buffer is as large.
    Raises ``LineStatusInvalid`` and ``FoundQuantityInvalid``.
    """
    if status == LineStatus.TO_REFUND:
        return NOTHING
    if status != LineStatus.FOUND:
        raise LineStatusInvalid(f"A picked line is found or to_refund, not {status}.")
    most = most_acceptable(ordered, sold_by)
    if not found.is_finite() or not 0 < found <= most:
        raise FoundQuantityInvalid(f"Between 0 and {most.normalize():f} can be taken for this line, not {found}.")
    if sold_by == "count" and found != found.to_integral_value():
        raise FoundQuantityInvalid(f"This item is sold by the piece; {found} is not a whole number.")
    if found != round(found, 3):
        raise FoundQuantityInvalid(f"Weights have at most three decimals; {found} has more.")
    return found


def overrun(amounts: Sequence[Money], held: Money) -> Money:
    """By how much ``amounts`` together exceed what is held."""
    return Money(max(0, Money.total(amounts, held.currency).cents - held.cents), held.currency)


def shares(total: int, held: Sequence[int], *, smallest: int) -> list[int]:
    """What of ``total`` cents is taken from each hold, the first ones to the full; what is more goes to the last.

    No part is below ``smallest``, which the provider would refuse, if the hold before can leave it so much.
    """
    parts: list[int] = []
    for amount in held:
        parts.append(min(amount, total - sum(parts)))
    if parts:
        parts[-1] += total - sum(parts)
    for place in range(len(parts) - 1, 0, -1):
        missing = smallest - parts[place]
        if 0 < parts[place] < smallest and parts[place - 1] >= missing + smallest and held[place] >= smallest:
            parts[place - 1] -= missing
            parts[place] += missing
    return parts


def leaving_order(final_cents: Mapping[int, int], estimated_cents: Mapping[int, int]) -> list[int]:
    """Positions of lines in the order in which they are left behind when a card will not pay for all of them.

    First what came to cost more than was estimated, which is why it does not fit, by how much; then what was put on
    the list last. Lines that cost nothing stay where they are.
    """
    costing = {position: cents for position, cents in final_cents.items() if cents > 0}
    excess = {position: max(0, cents - estimated_cents.get(position, 0)) for position, cents in costing.items()}
    return sorted(costing, key=lambda position: (-excess[position], -position))


def most_tip(paid: Money) -> Money:
    """The largest tip for an order that came to ``paid`` without it: fifty dollars, or as much again."""
    return Money(max(TIP_AT_MOST_CENTS, paid.cents), paid.currency)
