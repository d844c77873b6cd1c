from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from apps.common.money import Money


class PaymentStatus(StrEnum):
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
