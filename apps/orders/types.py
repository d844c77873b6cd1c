"""Orders as other apps see them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from apps.catalog.types import Item
from apps.common.geo import Point
from apps.common.money import Money
from apps.pricing.types import Charge


class LineReason(StrEnum):
    """Why a line is not brought."""

    OUT_OF_STOCK = "out_of_stock"
    POOR_QUALITY = "poor_quality"
    """What lies there, nobody would want."""
    WRONG_PRICE = "wrong_price"
    """The shelf asks for more than the order says."""
    OTHER = "other"
    NOT_REPLACED = "not_replaced"
    """It was out, and what was proposed instead was turned down; no shopper says this."""
    TAKEN_OUT = "taken_out"
    """The customer took it out again; no shopper says this."""
    NOT_PAID_FOR = "not_paid_for"
    """The customer's card would not pay for it, so it stays in the store; no shopper says this either."""


class ReplacementStatus(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    AUTO_APPROVED = "auto_approved"
    """The customer did not answer, and had said beforehand that it may be replaced so."""
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a placement stands. ``action_url`` is where the customer's bank wants to see them (3-D Secure)."""

    order_id: int
    status: str
    action_url: str | None = None
    rejected_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an order would cost if it were placed now. ``hold`` is what the card would be authorised for."""

    charges: tuple[Charge, ...]
    total: Money
    hold: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What a shopper offers instead of a line. Without ``item_id`` it is none of the store's items known to us."""

    proposal_id: int
    """The store's number of it, by which it is known on both sides."""
    item_id: int | None
    name: str
    code: str
    """The number on its label; empty where nobody read one."""
    cost_unit: str
    sold_by: str
    quantity: Decimal
    unit_price: Money
    list_price: Money
    unit_grams: int
    tax_category: str
    """Empty: that of the line."""
    deposit: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """One question about a line, and its answer: what a receipt says of ordered and delivered, price, why and who."""

    id: int
    line_id: int
    status: str
    item_id: int | None
    name: str
    code: str
    quantity: Decimal
    cost_unit: str
    sold_by: str
    unit_price: Money
    shown: Money
    """Price and deposit together, as the question showed them; tax comes on top."""
    ordered: Money
    """What the line would have cost, reckoned alike."""
    charged: Money | None
    """What it costs; None unless it was accepted."""
    asked_at: datetime
    answer_by: datetime
    answered_at: datetime | None
    proposed_by: str
    answered_by: str
    """``customer:7``, ``system`` for what nobody answered, or who withdrew it; empty while it is open."""
    alternative_item_id: int | None
    """What the customer asked for instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """An item that a customer may ask for instead of a line: how much of it, and its price with its deposit."""

    item: Item
    quantity: Decimal
    cost: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a question, and how its line stands; ``wish_version`` counts the customer's changes of mind."""

    status: str
    line_status: str
    wish_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    id: int
    position: int
    item_id: int
    name: str
    department: str
    aisle: str
    rank: int
    quantity: Decimal
    found_quantity: Decimal | None
    cost_unit: str
    sold_by: str
    unit_price: Money
    note: str
    list_price: Money
    """On the shelf; more than ``unit_price`` in a sale."""
    replacement_policy: str
    replacement_item_id: int | None
    """The one to bring instead, where the policy is ``item``."""
    pieces: int | None
    """Asked for, of something weighed; ``quantity`` is what they usually weigh."""
    status: str
    reason: str
    """Why it is not brought (``LineReason``); empty for others."""
    is_partial: bool
    """Less was found than was ordered; of something weighed, by more than scales and knives differ."""
    is_taken_out: bool
    """The customer took it out of the order: it costs nothing and nobody looks for it."""
    replacement: Replacement | None = None
    """What is delivered instead, of a line that is ``replaced``."""
    takes_wishes: bool = False
    """The customer may still say which item they want instead."""
    is_asked_about: bool = False
    """A question about it waits for the customer's answer."""

    @property
    def delivered(self) -> "OrderLine | Replacement":
        """What is brought for it, by name and as it is sold: itself, or its replacement."""
        return self.replacement or self


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """One money line of the receipt; an order's total is the sum of these and nothing else."""

    kind: str
    code: str
    """The stage of the pricing that made it, such as ``sale``, ``small_basket`` or a coupon's code."""
    label: str
    amount: Money
    line_id: int | None
    phase: str
    reason: str
    actor: str
    base: Money | None = None
    """What it is a percentage of: taxes and the surge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundLine:
    """What to give back for one line: so much of it (goods, deposit and tax), or an amount with all of that in it."""

    line_id: int
    quantity: Decimal | None = None
    amount: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money the customer gets back, decided by ``actor``; ``status`` says whether they have it."""

    number: int
    amount: Money
    reason: str
    status: str
    actor: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    sequence: int
    name: str
    from_status: str
    to_status: str
    actor: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``total`` is the final total once picking is over, the estimate before; ``captured`` what was really charged."""

    id: int
    customer_id: int
    store_id: int
    status: str
    status_title: str
    sequence: int
    rejected_code: str
    window_id: int
    window_starts_at: datetime
    window_ends_at: datetime
    window_minutes: int
    """Shopper-minutes it takes out of its window."""
    address: "DropOff | None"
    tip: Money
    """As it is now: chosen when ordering, and raised or lowered since."""
    estimate: Money
    total: Money
    authorised: Money
    captured: Money | None
    refunded: Money
    """Decided to be given back, whether or not the customer has it already."""
    pin: str
    is_cancelable: bool
    """By its customer; ``selectors.cancellation`` says what it costs."""
    is_cancelable_for_customer: bool
    """By its store or by support."""
    is_reschedulable: bool
    """It may get another window, as long as its present one is not past its cut-off."""
    is_editable: bool
    """Its lines may still be changed, as long as its shopper has not checked out."""
    placed_at: datetime
    pay_by: datetime
    """How long a silent payment provider is waited for."""
    confirmed_at: datetime | None
    delivered_at: datetime | None
    lines: tuple[OrderLine, ...]
    adjustments: tuple[Adjustment, ...]
    events: tuple[OrderEvent, ...]
    replacements: tuple[Replacement, ...] = ()
    """Every question that was asked, oldest first."""

    @property
    def questions(self) -> tuple[Replacement, ...]:
        """Those that wait for the customer's answer."""
        return tuple(one for one in self.replacements if one.status == ReplacementStatus.PROPOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Whether the customer may cancel their order now, and what it costs them."""

    is_possible: bool
    fee: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The tip of a delivered order, all of which is the shopper's."""

    amount: Money
    paid: Money
    """What the order itself came to, of which a tip may be a percentage."""
    most: Money
    raisable_until: datetime
    is_raisable: bool
    is_under_way: bool
    """More is being charged; the provider has not answered yet."""
    declined_code: str
    """Why the last raise was not charged, in the provider's words; empty where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSummary:
    id: int
    store_id: int
    status: str
    status_title: str
    placed_at: datetime
    window_starts_at: datetime
    window_ends_at: datetime
    total: Money
    line_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    orders: tuple[OrderSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DropOff:
    """Where the order goes, as the customer wrote it when ordering."""

    name: str
    line1: str
    line2: str
    city: str
    state: str
    postcode: str
    instructions: str
    point: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedLine:
    """What became of a line in the store: ``found`` with the quantity taken, ``replaced``, or ``to_refund`` and why."""

    line_id: int
    status: str
    found_quantity: Decimal
    reason: str = ""
    proposal_id: int | None = None
    """The one it is replaced by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWish:
    """How much of an item an order is to be of, in its ``cost_unit``; zero takes it out."""

    item_id: int
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedLine:
    """A line as an edit makes it. ``details`` are the columns of a line that is new, None for one that was there."""

    line_id: int
    item_id: int
    before: Decimal
    """What the order was of before: 0 for a new line and one that was taken out."""
    quantity: Decimal
    details: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The ``number``th change of an order's lines, priced and covered by what the card was authorised for."""

    number: int
    lines: tuple[EditedLine, ...]
    authorise_cents: int
    """What the card is authorised for, all holds together."""
    minimum_age: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What a sweep of one shard moved on, and the orders that need a person."""

    advanced: int
    stuck: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLine:
    """What became of one line. ``amount`` is ``delivered`` times ``unit_price``, the shelf price; sales are charges."""

    line_id: int
    name: str
    note: str
    ordered: Decimal
    delivered: Decimal
    cost_unit: str
    sold_by: str
    unit_price: Money
    amount: Money
    outcome: str
    """``found``, ``short`` (less than was ordered), ``refunded`` (none of it), ``replaced``; else the line's status."""
    reason: str
    actor: str
    """Who saw to it, such as ``shopper:7``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCharge:
    """What was added or taken off in one stage of the pricing, after the items."""

    stage: str
    """``sale``, ``discount`` (a promotion), ``fee``, ``deposit``, ``tax``, ``surge``, ``tip``; else its kind."""
    kind: str
    code: str
    label: str
    amount: Money
    line_name: str
    """The item it is about; empty where it is about all of them."""
    percent: Decimal | None
    """Of a tax: its rate."""
    base: Money | None
    """What it is a percentage of, where that is known."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPayment:
    """One step of paying. No card is shown that was removed meanwhile: brand and last4 are empty then."""

    step: str
    status: str
    brand: str
    last4: str
    authorised: Money
    captured: Money
    refunded: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was delivered and paid: ``lines`` and ``charges`` come to ``total``, which is what the ledger has."""

    order_id: int
    customer_id: int
    store_id: int
    status: str
    placed_at: datetime
    delivered_at: datetime | None
    window_starts_at: datetime
    window_ends_at: datetime
    address: "DropOff | None"
    """None once the customer has been erased."""
    lines: tuple[ReceiptLine, ...]
    charges: tuple[ReceiptCharge, ...]
    total: Money
    payments: tuple[ReceiptPayment, ...]
    authorised: Money
    captured: Money
    outstanding: Money
    """Of the total, what is still to be charged."""
    refunds: tuple[Refund, ...]
    refunded: Money
    """Decided to be given back, whether or not the customer has it already; failed ones are not in it."""
