from dataclasses import dataclass
from typing import ClassVar

from apps.common.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentUpdated(Event):
    """A payment moved to ``status`` (see ``types.PaymentStatus``). Told on the customer's shard."""

    name: ClassVar[str] = "payments.payment_updated"
    customer_id: int
    order_id: int
    step: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundUpdated(Event):
    """A refund moved to ``status`` (see ``types.RefundStatus``). Told on the customer's shard."""

    name: ClassVar[str] = "payments.refund_updated"
    customer_id: int
    order_id: int
    step: str
    number: int
    request: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeEventReceived(Event):
    """The provider told us something, signed and for the first time. Told on the global database."""

    name: ClassVar[str] = "payments.stripe_event_received"
    event_id: str
