"""What happens to an order in the store and on the road, told from the store's shard."""

from dataclasses import dataclass
from typing import Any, ClassVar

from apps.common.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAssigned(Event):
    """A shopper has taken the order."""

    name: ClassVar[str] = "fulfilment.order_assigned"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnassigned(Event):
    """The order waits for a shopper again."""

    name: ClassVar[str] = "fulfilment.order_unassigned"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PickingStarted(Event):
    name: ClassVar[str] = "fulfilment.picking_started"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePicked(Event):
    """A line's outcome was set, or set anew. ``found_quantity`` is a decimal string."""

    name: ClassVar[str] = "fulfilment.line_picked"
    store_order_id: int
    order_id: int
    store_id: int
    line_id: int
    status: str
    found_quantity: str
    shopper_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementProposed(Event):
    """A shopper proposes something else for a line; the customer is to be asked."""

    name: ClassVar[str] = "fulfilment.replacement_proposed"
    proposal_id: int
    order_id: int
    store_id: int
    line_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementWithdrawn(Event):
    """The shopper proposes it no longer; whether the customer was faster, the customer's shard decides."""

    name: ClassVar[str] = "fulfilment.replacement_withdrawn"
    proposal_id: int
    order_id: int
    store_id: int
    line_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEdited(Event):
    """The customer has changed the list, and the store has agreed; ``number`` counts the changes of one order."""

    name: ClassVar[str] = "fulfilment.list_edited"
    store_order_id: int
    order_id: int
    store_id: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPassed(Event):
    """The till's receipt is right, or goes on with a flag for somebody to look at."""

    name: ClassVar[str] = "fulfilment.receipt_passed"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int
    is_flagged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOut(Event):
    """Each line: ``line_id, item_id, status, found_quantity`` (a decimal string). They do not change any more."""

    name: ClassVar[str] = "fulfilment.checked_out"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int
    lines: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStarted(Event):
    name: ClassVar[str] = "fulfilment.delivery_started"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(Event):
    name: ClassVar[str] = "fulfilment.delivered"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int
    proof_kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOrderCanceled(Event):
    """The store has nothing more to do for the order; ``shopper_id`` is who was on it."""

    name: ClassVar[str] = "fulfilment.store_order_canceled"
    store_order_id: int
    order_id: int
    store_id: int
    shopper_id: int | None
