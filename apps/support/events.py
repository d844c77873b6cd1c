"""What customers say after a delivery, told from their shard."""

from dataclasses import dataclass
from typing import ClassVar

from apps.common.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRated(Event):
    """A rating as it stands at its ``version``: given, changed, or (``counts``) seen otherwise after a report.

    ``delivered_at`` is ISO 8601.
    """

    name: ClassVar[str] = "support.order_rated"
    order_id: int
    customer_id: int
    shopper_id: int
    stars: int
    counts: bool
    version: int
    delivered_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueOpened(Event):
    """A customer reported something; the rules have looked at it already, and may have decided it."""

    name: ClassVar[str] = "support.issue_opened"
    issue_id: int
    order_id: int
    customer_id: int
