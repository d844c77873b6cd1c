from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from apps.common.money import Money

SMALLEST_CENTS = 50
"""The provider takes no less: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts"""


class PaymentStatus(StrEnum):
    CHECKING = "checking"
    """The card's bank is asked whether it will pay later; its answer is not known (yet)."""
    CHECKED = "checked"
    """The card is good; nothing is held until nearer the time."""
    AUTHORISING = "authorising"
    """Asked for; the provider's answer is not known (yet)."""
    REQUIRES_ACTION = "requires_action"
    """The customer must answer their bank at ``action_url``."""
    AUTHORISED = "authorised"
    DECLINED = "declined"
    CAPTURING = "capturing"
    CAPTURED = "captured"
    VOIDING = "voiding"
    VOIDED = "voided"
    EXPIRED = "expired"
    """The provider ended the authorisation, not we."""


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    """Asked for, or to be asked for; the provider has not said that it is done."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The provider would not, or the customer's bank sent it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money given back from one payment."""

    id: int
    order_id: int
    step: str
    number: int
    """Counts the refunds of a payment."""
    request: str
    """The caller's name for what it asked for; one request may take from several payments."""
    amount: Money
    reason: str
    status: str
    """A ``RefundStatus``."""
    failure_code: str
    refund_id: str
    """The provider's name for it; empty while the first answer is awaited."""
    created_at: datetime


class DisputeStatus(StrEnum):
    OPEN = "open"
    """The customer's bank took the money back and has not decided; evidence is given on the provider's pages."""
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A customer told their bank that they did not mean to pay."""

    id: int
    order_id: int
    step: str
    amount: Money
    reason: str
    """In the provider's words, such as ``fraudulent``."""
    status: str
    """A ``DisputeStatus``."""
    opened_at: datetime


class AccountStatus(StrEnum):
    PENDING = "pending"
    """Made, or being made; its owner has not told the provider everything yet."""
    ENABLED = "enabled"
    """May be paid."""
    RESTRICTED = "restricted"
    """Was told everything, and may not be paid: the provider wants to know more."""


class TransferStatus(StrEnum):
    REQUESTED = "requested"
    SENT = "sent"
    FAILED = "failed"
    """The provider would not; what is owed goes with the next day's transfer."""
    REVERSED = "reversed"
    """All of it was taken back."""


class PayoutStatus(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    """The bank would not have it, maybe days after it was paid; the money is in the party's account again."""
    CANCELED = "canceled"
    """Somebody stopped it at the provider; the money is in the party's account again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """What the provider paid from a party's account to their bank."""

    payout_id: str
    """The provider's name for it."""
    party_kind: str
    party_id: int
    amount: Money
    status: str
    """A ``PayoutStatus``."""
    failure_code: str
    """Why the bank sent it back, in the provider's words, such as ``account_closed``."""
    arrives_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAccount:
    """Where a store or a shopper is paid."""

    party_kind: str
    party_id: int
    status: str
    """An ``AccountStatus``."""
    account_id: str
    """The provider's name for it; empty until it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    id: int
    party_kind: str
    party_id: int
    day: date
    amount: Money
    reversed: Money
    status: str
    """A ``TransferStatus``."""
    failure_code: str
    sent_id: str
    """The provider's name for it; empty until it was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    id: int
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    id: int
    customer_id: int
    order_id: int
    step: str
    """What the money is for, such as ``estimate``: an order is paid once for each step."""
    attempt: int
    card_id: int
    is_charge: bool
    """Taken at once; all others are held first."""
    status: str
    """A ``PaymentStatus``."""
    amount: Money
    """Authorised, or to be authorised."""
    captured: Money
    refunded: Money
    failure_code: str
    """Why it was declined, in the provider's words; empty when it was not."""
    action_url: str
    intent_id: str
    """The provider's name for it; empty while the first answer is awaited."""
    capture_before: datetime | None
