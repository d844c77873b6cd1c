"""What a letter is made of, and what others learn of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    label: str
    amount: str = ""
    detail: str = ""
    """Smaller, below the label."""
    is_total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a composer fills in; the sentences around it are in ``wording``, in each language."""

    values: Mapping[str, str]
    """By the names in the braces of that kind's wording."""
    link: str
    """Where its button leads."""
    account_link: str
    """Where the customer says what they want to be told."""
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One thing to tell one customer. What it says is not kept: it is composed when it is sent."""

    id: int
    customer_id: int
    kind: str
    key: str
    status: str
    tries: int
    copies: int
    """How often it may have reached them, 2 at most."""
    reason: str
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    language: str
    muted: frozenset[str]
    """Kinds that are not sent."""
    is_reachable: bool
    """False once their address was refused for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run over a shard did; ``is_broken`` where the mail server did not answer."""

    sent: int
    is_broken: bool
