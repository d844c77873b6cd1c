"""What happens to batches and offers, told from the store's shard."""

from dataclasses import dataclass
from typing import ClassVar

from apps.common.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAccepted(Event):
    name: ClassVar[str] = "dispatch.offer_accepted"
    offer_id: int
    batch_id: int
    store_id: int
    shopper_id: int
    order_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferClosed(Event):
    """An offer ended without being accepted. ``outcome``: declined, expired or withdrawn."""

    name: ClassVar[str] = "dispatch.offer_closed"
    offer_id: int
    batch_id: int
    store_id: int
    shopper_id: int
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReopened(Event):
    """The batch was taken back from a shopper, who is paid ``work_cents`` for what they did under ``offer_id``."""

    name: ClassVar[str] = "dispatch.batch_reopened"
    batch_id: int
    store_id: int
    shopper_id: int
    work_cents: int = 0
    offer_id: int = 0
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCanceled(Event):
    """Nothing is left to do in the batch; ``shopper_id`` is who had accepted it, and is paid as above."""

    name: ClassVar[str] = "dispatch.batch_canceled"
    batch_id: int
    store_id: int
    shopper_id: int | None
    work_cents: int = 0
    offer_id: int = 0
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCompleted(Event):
    """Every order that was left in the batch is delivered. ``peak_cents`` are among ``pay_cents``."""

    name: ClassVar[str] = "dispatch.batch_completed"
    batch_id: int
    store_id: int
    shopper_id: int
    pay_cents: int
    currency: str
    peak_cents: int = 0
