"""The life of a payment, as rules without a database.

Our view (``PaymentStatus``) follows the provider's, but is never ahead of it: each step that moves
money has a status of its own while the answer is open, so that a process killed between any two
lines leaves behind what is to be found out, not a guess.
"""

from apps.payments.types import DisputeStatus, PayoutStatus, RefundStatus, TransferStatus
from apps.payments.types import PaymentStatus as Status

NEXT: dict[Status, frozenset[Status]] = {
    Status.AUTHORISING: frozenset(
        {
            *(Status.REQUIRES_ACTION, Status.AUTHORISED, Status.DECLINED, Status.VOIDING, Status.EXPIRED),
            Status.CAPTURED,  # charged at once
        }
    ),
    Status.CHECKING: frozenset({Status.REQUIRES_ACTION, Status.CHECKED, Status.DECLINED, Status.VOIDED}),
    Status.CHECKED: frozenset({Status.AUTHORISING, Status.VOIDED}),
    Status.REQUIRES_ACTION: frozenset(
        {
            *(Status.AUTHORISED, Status.DECLINED, Status.VOIDING, Status.EXPIRED),
            Status.CHECKED,  # what the bank asks about may be a check, which holds nothing
        }
    ),
    Status.DECLINED: frozenset({Status.AUTHORISING, Status.CHECKING}),  # with another card
    # Somebody may capture by hand on the provider's own pages.
    Status.AUTHORISED: frozenset({Status.CAPTURING, Status.CAPTURED, Status.VOIDING, Status.EXPIRED}),
    Status.CAPTURING: frozenset({Status.CAPTURED, Status.EXPIRED}),
    Status.VOIDING: frozenset({Status.VOIDED, Status.CAPTURED}),
    Status.CAPTURED: frozenset(),
    Status.VOIDED: frozenset(),
    Status.EXPIRED: frozenset({Status.AUTHORISING}),  # held anew
}

UNDECIDED = frozenset({Status.CHECKING, Status.AUTHORISING, Status.REQUIRES_ACTION, Status.CAPTURING, Status.VOIDING})
"""Somebody still has to answer: the provider, or the customer's bank."""
VOIDABLE = frozenset(
    {
        *(Status.CHECKING, Status.CHECKED),
        *(Status.AUTHORISING, Status.REQUIRES_ACTION, Status.AUTHORISED, Status.VOIDING),
    }
)
TAKEN = frozenset({Status.CAPTURING, Status.CAPTURED})
ENDED = frozenset({Status.VOIDING, Status.VOIDED, Status.EXPIRED, Status.DECLINED})
"""Nobody wants an authorisation for these any more."""

REFUND_NEXT: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.REQUESTED: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.SUCCEEDED: frozenset({RefundStatus.FAILED}),  # days later: the customer's bank sends it back
    RefundStatus.FAILED: frozenset(),
}

TRANSFER_NEXT: dict[TransferStatus, frozenset[TransferStatus]] = {
    TransferStatus.REQUESTED: frozenset({TransferStatus.SENT, TransferStatus.FAILED}),
    TransferStatus.SENT: frozenset({TransferStatus.REVERSED}),
    TransferStatus.FAILED: frozenset(),
    TransferStatus.REVERSED: frozenset(),
}

PAYOUT_NEXT: dict[PayoutStatus, frozenset[PayoutStatus]] = {
    PayoutStatus.PENDING: frozenset({PayoutStatus.PAID, PayoutStatus.FAILED, PayoutStatus.CANCELED}),
    PayoutStatus.PAID: frozenset({PayoutStatus.FAILED}),  # days later: the bank sends it back
    PayoutStatus.FAILED: frozenset(),
    PayoutStatus.CANCELED: frozenset(),
}

DISPUTE_NEXT: dict[DisputeStatus, frozenset[DisputeStatus]] = {
    DisputeStatus.OPEN: frozenset({DisputeStatus.WON, DisputeStatus.LOST}),
    DisputeStatus.WON: frozenset(),
    DisputeStatus.LOST: frozenset(),
}

# What the provider's state of an intent means to us: the first that our payment can move to.
OUTCOMES: dict[str, tuple[Status, ...]] = {
    "requires_action": (Status.REQUIRES_ACTION,),
    "authorised": (Status.AUTHORISED,),
    "declined": (Status.DECLINED,),
    "captured": (Status.CAPTURED,),
    "canceled": (Status.VOIDED, Status.EXPIRED),
    "processing": (),
}


AUTHENTICATION_REQUIRED = "authentication_required"
"""Why a card is declined whose bank wants to see its holder, who is not there."""


CHECKS: dict[str, Status] = {
    "requires_action": Status.REQUIRES_ACTION,
    "ready": Status.CHECKED,
    "declined": Status.DECLINED,
}
"""The same for what the provider says of a check."""


def sources(target: Status) -> frozenset[Status]:
    """The statuses from which a payment may move to ``target``."""
    return frozenset(status for status, following in NEXT.items() if target in following)


def refund_sources(target: RefundStatus) -> frozenset[RefundStatus]:
    """The statuses from which a refund may move to ``target``."""
    return frozenset(status for status, following in REFUND_NEXT.items() if target in following)


def payout_sources(target: PayoutStatus) -> frozenset[PayoutStatus]:
    """The statuses from which a payout may move to ``target``."""
    return frozenset(status for status, following in PAYOUT_NEXT.items() if target in following)


def refund_step(step: str, number: int) -> str:
    """The name under which a payment's refund has idempotency keys of its own."""
    return f"{step}.refund-{number}"


def idempotency_key(*, order_id: int, step: str, version: int) -> str:
    """The idempotency key of one call to the provider. A version is used for one request only."""
    return f"order-{order_id}:{step}:{version}"
