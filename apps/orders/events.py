"""What happens to an order, told from the customer's shard."""

from dataclasses import dataclass
from typing import Any, ClassVar

from apps.common.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfirmed(Event):
    """Paid for (authorised) and stocked: somebody may shop it. Told once in an order's life.

    Each line: ``line_id, item_id, name, department, aisle, rank, quantity, cost_unit, sold_by,
    unit_price_cents, note, replacement_policy, replacement_item_id``; quantities are decimal strings, times ISO 8601.
    """

    name: ClassVar[str] = "orders.confirmed"
    order_id: int
    customer_id: int
    store_id: int
    window_id: int
    window_starts_at: str
    window_ends_at: str
    lat: float
    lng: float
    tip_cents: int
    lines: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatusChanged(Event):
    """Every step of every order; ``sequence`` counts them within the order, without gaps in the order's own history."""

    name: ClassVar[str] = "orders.status_changed"
    order_id: int
    customer_id: int
    store_id: int
    status: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLineRecorded(Event):
    """A shopper found a line, or did not; ``sequence`` is the order's, which a line does not move."""

    name: ClassVar[str] = "orders.line_recorded"
    order_id: int
    line_id: int
    line_status: str
    order_status: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementAnswered(Event):
    """A question about a line is no longer open; ``proposal_id`` is the store's number of it. Told once."""

    name: ClassVar[str] = "orders.replacement_answered"
    order_id: int
    customer_id: int
    store_id: int
    line_id: int
    proposal_id: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWishChanged(Event):
    """The customer says anew what is wanted when a line is out; ``wish_version`` counts that within the line."""

    name: ClassVar[str] = "orders.line_wish_changed"
    order_id: int
    store_id: int
    line_id: int
    replacement_policy: str
    replacement_item_id: int | None
    wish_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRescheduled(Event):
    """A confirmed order has another window; ``window_version`` counts them. Integrators know it by
    ``domain.PUBLIC_NOTES``. Times are ISO 8601."""

    name: ClassVar[str] = "orders.rescheduled"
    order_id: int
    customer_id: int
    store_id: int
    window_id: int
    window_version: int
    window_starts_at: str
    window_ends_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCanceled(Event):
    name: ClassVar[str] = "orders.canceled"
    order_id: int
    customer_id: int
    store_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReturned(Event):
    """Nobody was there: the goods are on their way back to the store."""

    name: ClassVar[str] = "orders.returned"
    order_id: int
    customer_id: int
    store_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(Event):
    name: ClassVar[str] = "orders.rejected"
    order_id: int
    customer_id: int
    store_id: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefunded(Event):
    """Decided that the customer gets ``amount_cents`` back; ``number`` counts the order's refunds."""

    name: ClassVar[str] = "orders.refunded"
    order_id: int
    customer_id: int
    store_id: int
    number: int
    amount_cents: int
    currency: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTipChanged(Event):
    """The tip of a delivered order is ``amount_cents`` more, or less where below zero: the shopper's, all of it.

    ``number`` counts the raises, and the order's refunds where it was lowered.
    """

    name: ClassVar[str] = "orders.tip_changed"
    order_id: int
    customer_id: int
    store_id: int
    number: int
    amount_cents: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDelivered(Event):
    """``total_cents`` is what the customer is charged, ``tip_cents`` how much of that is the tip."""

    name: ClassVar[str] = "orders.delivered"
    order_id: int
    customer_id: int
    store_id: int
    total_cents: int
    tip_cents: int
    currency: str
