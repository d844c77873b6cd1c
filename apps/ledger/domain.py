"""Who gets which part of an order's money.

| kind of money line | debit | credit |
|---|---|---|
| item | customer | store_payable, and of it the commission: platform_revenue |
| deposit | customer | store_payable |
| fee | customer | platform_revenue |
| tax | customer | tax |
| tip | customer | tip |
| discount (negative) | platform_revenue | customer |
| forgiven (negative) | written_off | customer |

A line of the opposite sign goes the other way.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from apps.ledger.types import Account, Cause, Line

COMMISSION = "commission"
"""Kind of the lines that are the platform's part of items."""

CREDITED: dict[str, Account] = {
    "item": Account.STORE_PAYABLE,
    COMMISSION: Account.PLATFORM_REVENUE,
    "deposit": Account.STORE_PAYABLE,
    "fee": Account.PLATFORM_REVENUE,
    "tax": Account.TAX,
    "tip": Account.TIP,
    "discount": Account.PLATFORM_REVENUE,
    "forgiven": Account.WRITTEN_OFF,
}
"""The account that a kind of money line is owed to."""

GOODWILL = "goodwill"
"""Kind of money that is given back for no line in particular."""

TIP_LOWERED = "tip_lowered"
"""Kind of the part of a tip that its customer takes back, for a reason that was looked at."""

RETURNED: dict[str, Account] = {
    **CREDITED,
    "tip": Account.PLATFORM_REVENUE,
    TIP_LOWERED: Account.SHOPPER_PAYABLE,
    GOODWILL: Account.PLATFORM_REVENUE,
}
"""The account that pays when money of that kind is given back. A shopper keeps a tip that was passed on, unless the
customer lowers it."""

CLEARING = (Account.CUSTOMER, Account.TIP)
"""These are at zero when an order is closed."""

BASIS_POINTS = 10_000


DISPUTES: dict[Cause, tuple[Account, Account]] = {
    Cause.DISPUTED: (Account.DISPUTED, Account.PROVIDER_CASH),
    Cause.DISPUTE_WON: (Account.PROVIDER_CASH, Account.DISPUTED),
    Cause.DISPUTE_LOST: (Account.PLATFORM_REVENUE, Account.DISPUTED),
}
"""Debit and credit of each step of a dispute. Until somebody says otherwise the platform pays for a lost one."""

PAYABLE = {"store": Account.STORE_PAYABLE, "shopper": Account.SHOPPER_PAYABLE}
"""The account of what is owed to each kind of party."""


def party_line(cause: Cause, party_kind: str) -> tuple[Account, Account]:
    """Debit and credit of what happens between us and a store or a shopper."""
    payable = PAYABLE[party_kind]
    return {
        Cause.EARNED: (Account.PLATFORM_REVENUE, payable),
        Cause.TRANSFERRED: (payable, Account.PROVIDER_CASH),
        Cause.TAKEN_BACK: (Account.PROVIDER_CASH, payable),
    }[cause]


def commission(item_cents: int, basis_points: int) -> int:
    """The platform's part of what items cost, half a cent rounding up."""
    return (item_cents * basis_points * 2 + BASIS_POINTS) // (2 * BASIS_POINTS)


def sale(cents_by_kind: Mapping[str, int], *, basis_points: int) -> list[Line]:
    """The lines of a delivered order. Raises ``KeyError`` for a kind without an account."""
    owed = Counter(dict(cents_by_kind))
    part = commission(owed["item"], basis_points)
    owed["item"] -= part
    owed[COMMISSION] += part
    return [_line(Account.CUSTOMER, CREDITED[kind], cents, kind) for kind, cents in owed.items() if cents]


def share_back(cents: int, *, sold: Mapping[str, int], kind: str, returned: Mapping[str, int]) -> list[Line]:
    """Of ``cents`` given back of one kind, the lines; of items the commission goes back in the same proportion.

    ``sold`` and ``returned`` are cents by kind so far, so that the last refund leaves no cent of commission behind.
    """
    if kind != "item":
        return [_line(RETURNED[kind], Account.CUSTOMER, cents, kind)]
    whole = sold.get("item", 0) + sold.get(COMMISSION, 0)
    before = returned.get("item", 0) + returned.get(COMMISSION, 0)
    after = sold.get(COMMISSION, 0) * (before + cents) // whole if whole else 0
    part = after - returned.get(COMMISSION, 0)
    both = {kind: cents - part, COMMISSION: part}
    return [_line(RETURNED[name], Account.CUSTOMER, share, name) for name, share in both.items() if share]


def left(sums: Mapping[str, int]) -> dict[str, int]:
    """Of what was sold less what was given back, by kind, the amounts that can still be given back."""
    owed = {kind: sums.get(kind, 0) for kind in ("item", "fee", "tip", "tax", "deposit")}
    owed["item"] += sums.get(COMMISSION, 0)
    owed["tip"] += sums.get(TIP_LOWERED, 0)
    taken_off = -sum(sums.get(kind, 0) for kind in ("discount", "forgiven", GOODWILL))
    taken_off -= sum(min(0, cents) for cents in owed.values())
    for kind, cents in owed.items():
        part = min(max(cents, 0), max(taken_off, 0))
        owed[kind] = max(cents, 0) - part
        taken_off -= part
    return {kind: cents for kind, cents in owed.items() if cents}


def summed(lines: Iterable[Line]) -> dict[Account, int]:
    """What ``lines`` do to each account; all together come to zero."""
    moved: Counter[Account] = Counter()
    for line in lines:
        moved[line.debit] += line.cents
        moved[line.credit] -= line.cents
    return dict(moved)


def _line(debit: Account, credit: Account, cents: int, kind: str) -> Line:
    if cents < 0:
        debit, credit, cents = credit, debit, -cents
    return Line(debit=debit, credit=credit, cents=cents, kind=kind)
