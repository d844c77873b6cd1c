"""What we need of a payment provider, and nothing more.

No card number passes through here: cards are typed into the provider's own page (or its own script)
and come to us as ids. Implementations: ``stripe_gateway`` (Stripe, and the sandbox that plays it)
and ``fake`` (in this process, for tests).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from celery import current_task
from django.conf import settings
from django.utils.module_loading import import_string

from apps.common.money import Money
from apps.payments.errors import CalledInTransaction
from sharding import transactions

IntentStatus = Literal["requires_action", "authorised", "captured", "canceled", "declined", "processing"]
MovementCause = Literal[
    "captured", "refunded", "refund_failed", "disputed", "dispute_won", "transferred", "taken_back", "other"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Which try at which payment an intent belongs to; the provider keeps it with the intent."""

    customer_id: int
    order_id: int
    step: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The provider's present view of one payment."""

    id: str
    status: IntentStatus
    received_cents: int = 0
    action_url: str = ""
    failure_code: str = ""
    capture_before: datetime | None = None
    reference: Reference | None = None

    @property
    def is_open(self) -> bool:
        """It holds money of the customer's, or will once they have answered their bank."""
        return self.status in ("requires_action", "authorised", "processing")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """The provider's present view of one refund of money that was taken."""

    id: str
    status: Literal["pending", "succeeded", "failed"]
    cents: int
    number: int | None = None
    """Our number of it among the payment's refunds; None for one that was made by hand at the provider."""
    failure_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """The provider's present view of one dispute: ``cents`` were taken back from us until it is decided."""

    id: str
    status: Literal["open", "won", "lost"]
    cents: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that came to our account at the provider, or left it."""

    id: str
    cause: MovementCause
    cents: int
    """Negative where it left."""
    at: datetime
    source: str
    """The intent that was captured, the refund that was made, or whatever else it was."""
    reference: Reference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCheck:
    """Whether a saved card will pay later without its holder; nothing is held."""

    id: str
    status: Literal["ready", "requires_action", "declined"]
    action_url: str = ""
    failure_code: str = ""
    reference: Reference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who is paid: a store or a shopper."""

    kind: str
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccount:
    """The provider's present view of an account that is paid."""

    id: str
    status: Literal["pending", "enabled", "restricted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The provider's present view of money sent to an account."""

    id: str
    cents: int
    reversed_cents: int = 0
    transfer: int | None = None
    """Our number of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOut:
    """The provider's present view of money on its way from an account to its owner's bank."""

    id: str
    cents: int
    status: Literal["pending", "paid", "failed", "canceled"]
    created_at: datetime
    arrives_at: datetime
    failure_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that the provider knows of one payment, in cents: what it was for, was taken and was given back."""

    intent: Intent
    amount_cents: int
    returned_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCard:
    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPage:
    """A page of the provider's on which one customer saves one card."""

    id: str
    url: str
    customer: str
    card: SavedCard | None
    """None until the customer has finished."""


class PaymentGateway(Protocol):
    """``customer``, ``card``, ``intent`` are the provider's ids; ``key`` makes a repeated call harmless.

    Every method raises ``ProviderUnavailable`` when the answer is missing or useless and
    ``GatewayRefused`` when we asked something wrong.
    """

    def create_customer(self, *, customer_id: int, key: str) -> str: ...

    def card_page(self, *, customer: str, customer_id: int, success_url: str, cancel_url: str) -> CardPage: ...

    def retrieve_card_page(self, page: str) -> CardPage:
        """Raises ``UnknownObject``."""
        ...

    def attach(self, *, customer: str, card: str) -> SavedCard:
        """Keep the card for the customer. Raises ``CardDeclined``, and ``UnknownObject`` for one that is not theirs."""
        ...

    def authorise(
        self, *, customer: str, card: str, amount: Money, reference: Reference, return_url: str, key: str
    ) -> Intent:
        """Hold ``amount`` without taking it. A refusal by the bank is an answer: status ``declined``.

        Without a ``return_url`` the customer is not there to answer their bank: what it then asks for is a refusal.
        """
        ...

    def check(self, *, customer: str, card: str, reference: Reference, return_url: str, key: str) -> CardCheck:
        """Ask the card's bank whether it will pay later, the customer not being there."""
        ...

    def retrieve_check(self, check: str) -> CardCheck:
        """Raises ``UnknownObject``."""
        ...

    def charge(self, *, customer: str, card: str, amount: Money, reference: Reference, key: str) -> Intent:
        """Take ``amount`` at once, the customer not being there. A refusal is an answer: status ``declined``.

        ``failure_code`` is then ``authentication_required`` where the bank wants to see its customer.
        """
        ...

    def find(self, *, customer: str, reference: Reference) -> Intent | None:
        """The intent that an ``authorise`` or a ``charge`` of that reference made, if it made one."""
        ...

    def retrieve(self, intent: str) -> Intent: ...

    def capture(self, intent: str, *, amount: Money, key: str) -> Intent:
        """Take ``amount``, release the rest. Raises ``UnexpectedState``."""
        ...

    def cancel(self, intent: str, *, key: str) -> Intent:
        """Release what is held. Raises ``UnexpectedState``."""
        ...

    def refund(self, intent: str, *, amount: Money, reference: Reference, number: int, key: str) -> GivenBack:
        """Give back ``amount``. Raises ``UnexpectedState`` for more than was taken and not given back."""
        ...

    def refunds(self, intent: str) -> tuple[GivenBack, ...]:
        """All refunds of money that was taken from this intent; a hold that was released is none."""
        ...

    def disputes(self, intent: str) -> tuple[Disputed, ...]:
        """All disputes about an intent in which money was taken back."""
        ...

    def create_account(self, *, party: Party, key: str) -> ProviderAccount: ...

    def account(self, account: str) -> ProviderAccount:
        """Raises ``UnknownObject``."""
        ...

    def account_page(self, account: str, *, return_url: str, refresh_url: str) -> str:
        """Address of a page, for a few minutes, on which the account's owner tells what is missing."""
        ...

    def transfer(self, account: str, *, amount: Money, transfer: int, key: str) -> Sent:
        """Send ``amount``. Raises ``TransferRefused``: too little is available, or the account may not be paid."""
        ...

    def find_transfer(self, account: str, *, transfer: int) -> Sent | None:
        """What a ``transfer`` of that number sent, if it sent anything."""
        ...

    def retrieve_transfer(self, sent: str) -> Sent:
        """Raises ``UnknownObject``."""
        ...

    def take_back(self, sent: str, *, amount: Money, key: str) -> Sent:
        """Take ``amount`` of it back. Raises ``UnexpectedState`` for more than is left."""
        ...

    def payouts(self, account: str) -> tuple[PaidOut, ...]:
        """What the provider last paid from the account to its owner's bank, newest first, 100 at most."""
        ...

    def summaries(self, *, after: str = "") -> tuple[Summary, ...]:
        """The next page of all payments, newest first, older than the intent ``after``."""
        ...

    def movements(self, *, after: str = "") -> tuple[Movement, ...]:
        """The next page of everything that moved money, newest first, older than the movement ``after``."""
        ...


_in_use: dict[float, PaymentGateway] = {}
_instead: PaymentGateway | None = None


def current() -> PaymentGateway:
    """The gateway, for one call now. Raises ``CalledInTransaction`` while this thread has a transaction open.

    Someone waiting for a page gets an answer, or none, in 2 seconds; a worker has more patience.
    """
    alias = transactions.open_elsewhere(None)
    if alias is not None:
        raise CalledInTransaction(f"a transaction is open on {alias}; call the payment provider outside of it")
    if _instead is not None:
        return _instead
    timeout = settings.STRIPE_WORKER_TIMEOUT_SECONDS if current_task else settings.STRIPE_TIMEOUT_SECONDS
    if timeout not in _in_use:
        _in_use[timeout] = import_string(settings.PAYMENT_GATEWAY)(timeout=timeout)
    return _in_use[timeout]


@contextmanager
def replaced_by(gateway: PaymentGateway) -> Iterator[None]:
    """Use another gateway within the block, in every thread: for tests."""
    global _instead
    before, _instead = _instead, gateway
    try:
        yield
    finally:
        _instead = before
