from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from apps.common.geo import Point
from apps.common.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What was proposed instead of a line, and what the customer said to it. ``item_id`` is None for a find."""

    id: int
    status: str
    is_withdrawn: bool
    item_id: int | None
    name: str
    code: str
    quantity: Decimal
    cost_unit: str
    sold_by: str
    unit_price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PickLine:
    """One line of a pick list. ``id`` is the order line's, the same on every screen."""

    id: int
    item_id: int
    name: str
    department: str
    aisle: str
    rank: int
    quantity: Decimal
    cost_unit: str
    sold_by: str
    unit_price: Money
    note: str
    replacement_policy: str
    replacement_item_id: int | None
    """What the customer wants instead, where the policy is ``item``."""
    status: str
    found_quantity: Decimal
    reason: str
    """Why it is not brought (``orders.types.LineReason``); empty for others."""
    proposal: Proposal | None
    """The latest of the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the shopper read from the till's receipt, against what the goods come to before tax and deposits."""

    order_id: int
    store_id: int
    attempt: int
    entered: Money
    expected: Money
    state: str
    """``recount``, ``passed`` or ``flagged``."""
    at: datetime
    has_photo: bool
    seen_at: datetime | None
    """When an operator has looked at a flagged one."""

    @property
    def entered_cents(self) -> int:
        return self.entered.cents


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOrder:
    """An order as the store and its shopper see it; ``lines`` in the order of a walk through the aisles.

    ``drop`` is None if the row's is no place.
    """

    id: int
    store_id: int
    order_id: int
    customer_id: int
    zone_id: int
    status: str
    shopper_id: int | None
    window_starts_at: datetime
    window_ends_at: datetime
    drop: Point | None
    tip: Money
    line_count: int
    unit_count: int
    lines_done: int
    """What an earlier shopper has left to be taken over, and ``units_done``."""
    units_done: int
    projected_at: datetime
    picking_started_at: datetime | None
    picked_at: datetime | None
    delivery_started_at: datetime | None
    delivered_at: datetime | None
    edits: int
    """How often the customer has changed the list."""
    bag_count: int | None
    lines: tuple[PickLine, ...]
    is_receipt_wanted: bool = False
    """Checked out at a store that checks receipts; told to the shopper, like ``receipt``, and to nobody else."""
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an order stood at some moment. ``stage`` is one of the statuses, ``drop`` None if the row's is no place."""

    id: int
    store_id: int
    order_id: int
    shopper_id: int | None
    stage: str
    drop: Point | None
    line_count: int
    window_starts_at: datetime
    window_ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOrder:
    """What a planner needs to know of an order that no shopper has (any more). ``drop`` is None if it is no place.

    ``lines_done`` and ``units_done`` are what an earlier shopper has left to be taken over.
    """

    id: int
    store_id: int
    order_id: int
    drop: Point | None
    line_count: int
    unit_count: int
    window_starts_at: datetime
    window_ends_at: datetime
    tip: Money
    projected_at: datetime
    lines_done: int = 0
    units_done: int = 0
    kilograms: float = 0.0
    needs: frozenset[str] = frozenset()
    """Kinds of certificates its shopper must have."""
    is_cold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InHand:
    """What a shopper has still to do for an order, and since when it is at its stage. Lines and units as taken over."""

    id: int
    stage: str
    since: datetime
    drop: Point | None
    line_count: int
    unit_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """An order that is to be picked, and about which its shopper has done nothing for a while."""

    store_id: int
    store_order_id: int
    shopper_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedOrder:
    """A delivered order and when it passed each stage; None where that was not noted.

    Its lines and units are those of the shopper who delivered it, without what an earlier one had done.
    """

    id: int
    drop: Point
    line_count: int
    unit_count: int
    window_starts_at: datetime
    window_ends_at: datetime
    assigned_at: datetime | None
    picking_started_at: datetime | None
    picked_at: datetime | None
    delivery_started_at: datetime | None
    delivered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLine:
    """A line of a confirmed order, as it is projected."""

    line_id: int
    item_id: int
    name: str
    department: str
    aisle: str
    rank: int
    quantity: Decimal
    cost_unit: str
    sold_by: str
    unit_price_cents: int
    note: str
    replacement_policy: str
    replacement_item_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofInput:
    """What the shopper shows for a delivery: the customer's ``pin``, or the bytes of a ``photo``."""

    kind: Literal["pin", "photo"]
    pin: str = ""
    photo: bytes = b""
