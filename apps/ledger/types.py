"""The accounts of an order, and what moves between them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Account(StrEnum):
    """Debit is plus, credit is minus: what we own and are owed is positive, what we owe is negative."""

    CUSTOMER = "customer"
    """What the customer still owes us (minus: we them). Zero once an order is closed."""
    TIP = "tip"
    """Tips on their way from the customer to the shopper. Zero once an order is closed."""
    DISPUTED = "disputed"
    """What the provider took back until a dispute is decided. Zero once it is."""
    PROVIDER_CASH = "provider_cash"
    """Money at the payment provider."""
    STORE_PAYABLE = "store_payable"
    """The store's share: goods less the commission, and the deposits it has to give back."""
    SHOPPER_PAYABLE = "shopper_payable"
    PLATFORM_REVENUE = "platform_revenue"
    WRITTEN_OFF = "written_off"
    """What customers' cards would not pay: the platform's cost, apart from what it gives away on purpose."""
    TAX = "tax"
    """To be paid to the tax office: the marketplace files it, not the store."""


class Cause(StrEnum):
    SOLD = "sold"
    """Delivered: the final lines are owed."""
    CAPTURED = "captured"
    """The provider has taken the customer's money."""
    TIP_PASSED_ON = "tip_passed_on"
    CREDITED = "credited"
    """Decided that the customer gets money back."""
    REFUNDED = "refunded"
    """The provider has given it back."""
    REFUND_FAILED = "refund_failed"
    """It came back to us: the customer's bank would not have it."""
    DISPUTED = "disputed"
    """The customer's bank took it back, until it is decided."""
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    EARNED = "earned"
    """The platform owes a shopper their pay."""
    TRANSFERRED = "transferred"
    """Sent to whom it is owed."""
    TAKEN_BACK = "taken_back"
    """Sent and taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``cents`` (never less than one) go from account ``credit`` to account ``debit``; ``kind`` says for what."""

    debit: Account
    credit: Account
    cents: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the ledger as it was written."""

    id: int
    order_id: int
    cause: str
    step: str
    version: int
    kind: str
    debit: str
    credit: str
    cents: int
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """Where the accounts of one order stand."""

    order_id: int
    cents: dict[str, int]
    """By account; those that never moved are missing."""
    sold_cents: dict[str, int]
    """What was sold, by the kind of money line."""
    entries: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CashMove:
    """What one step did to the money at the provider; ``cents`` are negative where it left."""

    customer_id: int
    order_id: int
    cause: str
    step: str
    version: int
    cents: int
    at: datetime

    @property
    def key(self) -> tuple[int, str, str, int]:
        return self.order_id, self.cause, self.step, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What was booked for one order, or of several orders together the sum of what is alike."""

    order_id: int
    cause: str
    kind: str
    debit: str
    credit: str
    cents: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyMove:
    """Money sent to a store or shopper, or (below zero) taken back, as it was booked."""

    transfer_id: int
    cause: str
    cents: int
    at: datetime
