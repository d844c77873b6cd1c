"""A report comes to its end: by the rules, by a person, or because its customer takes it back."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from django.db.models import Sum

import sharding
from apps.common.money import Money
from apps.orders import selectors as order_selectors
from apps.orders import services as orders
from apps.orders.errors import NotPaidYet, NotRefundable
from apps.orders.types import RefundLine
from apps.support import domain, models, selectors, types
from apps.support.domain import Fault, Kind, Reason, Status, Waits
from apps.support.errors import DecisionInvalid, IssueNotFound
from apps.support.services import cases, claims, moving, rating

RULES_ACTOR = "rules"


def uphold(
    *,
    issue_id: int,
    user_id: int,
    reason: str,
    now: datetime,
    quantity: Decimal | None = None,
    amount: Money | None = None,
    fault: str = "",
    note: str = "",
) -> types.Issue:
    """The customer is right: give back ``quantity`` of the line (unsaid: all that was reported), or, where the report

    is about no line, ``amount``. The money is sent right after. Said of a report that is refunded it changes nothing.

    Raises:
        IssueNotFound
        DecisionInvalid: no such reason or fault, or a quantity or amount that the report cannot have.
        NotRefundable: more than was paid and not given back; nothing is decided.
        IllegalStep: it was declined or withdrawn.
    """
    if reason not in domain.UPHELD:
        raise DecisionInvalid(f"The reason is one of {', '.join(domain.UPHELD)}.")
    said = domain.checked_words(note)

    def decide(row: models.OrderIssue) -> None:
        if row.line_id is None and (amount is None or quantity is not None):
            raise DecisionInvalid("Say which amount goes back: this report is about no item.")
        if row.line_id is not None and amount is not None:
            raise DecisionInvalid("Say how much of the item goes back, not an amount.")
        if quantity is not None and not 0 < quantity <= (row.quantity or 0):
            raise DecisionInvalid(f"More than 0 and at most {row.quantity} were reported.")
        _refund(
            row,
            quantity=row.quantity if quantity is None else quantity,
            amount=amount,
            actor=f"staff:{user_id}",
            reason=Reason(reason),
            fault=_fault(fault) or Fault(row.fault),
            note=said,
            now=now,
        )

    return _changed(issue_id, Status.RESOLVED_REFUND, decide)


def decline(*, issue_id: int, user_id: int, reason: str, now: datetime, fault: str = "", note: str = "") -> types.Issue:
    """The customer is not right. No money moves, so ``reopen`` undoes it. Said twice it is done once.

    Raises ``IssueNotFound``, ``DecisionInvalid`` (no such reason, or ``other`` without a note) and ``IllegalStep``.
    """
    said = domain.checked_words(note)
    if reason not in domain.DECLINED:
        raise DecisionInvalid(f"The reason is one of {', '.join(domain.DECLINED)}.")
    if reason == Reason.OTHER and not said:
        raise DecisionInvalid("Write down the other reason.")

    def decide(row: models.OrderIssue) -> None:
        moving.transition(
            row,
            to=Status.DECLINED,
            actor=f"staff:{user_id}",
            now=now,
            reason=reason,
            note=said,
            fault=_fault(fault) or row.fault,
        )

    return _changed(issue_id, Status.DECLINED, decide)


def reopen(*, issue_id: int, user_id: int, now: datetime, note: str = "") -> types.Issue:
    """Undo that a report was declined. Said of an open one it changes nothing.

    Raises ``IssueNotFound``, ``IllegalStep`` and, where other reports are about the same by now, ``AlreadyReported``.
    """
    said = domain.checked_words(note)

    def decide(row: models.OrderIssue) -> None:
        order = order_selectors.order_for_staff(order_id=row.order_id)
        claims.refuse_twice(row, found=next((one.found_quantity for one in order.lines if one.id == row.line_id), None))
        moving.transition(row, to=Status.OPENED, actor=f"staff:{user_id}", now=now, note=said)

    return _changed(issue_id, Status.OPENED, decide)


def withdraw(*, issue_id: int, customer_id: int, now: datetime) -> types.Issue:
    """Its customer takes an open report back. Said twice it is done once. Raises ``IssueNotFound``, ``IllegalStep``."""

    def decide(row: models.OrderIssue) -> None:
        moving.transition(row, to=Status.WITHDRAWN, actor=f"customer:{customer_id}", now=now)

    return _changed(issue_id, Status.WITHDRAWN, decide, customer_id=customer_id)


@sharding.repeatable
def decide_waiting(*, order_id: int, customer_id: int, now: datetime) -> int:
    """Let the rules look again at what waited for the order's charge; how many there were. Repeating is harmless.

    1 query where there are none.
    """
    waiting = models.OrderIssue.objects.filter(
        customer_id=customer_id, order_id=order_id, status=Status.OPENED, waits_for=Waits.NOT_CHARGED
    )
    if not waiting.exists():
        return 0
    with sharding.atomic(sharding.home("customer", customer_id)) as alias:
        cases.lock(customer_id)
        rows = list(waiting.order_by("pk"))
        for row in rows:
            by_rules(row, now=now)
        rating.look_again(customer_id=customer_id, order_id=order_id, using=alias)
    return len(rows)


def by_rules(row: models.OrderIssue, *, now: datetime) -> None:
    """Decide an open report where ``domain.waits_for`` finds nothing against it, else note what it waits for.

    In the caller's transaction, under the customer's lock.
    """
    waits = _waits_for(row, now=now)
    if waits is None:
        _refund(
            row,
            quantity=row.quantity,
            amount=None,
            actor=RULES_ACTOR,
            reason=Reason.BY_RULES,
            fault=Fault(row.fault),
            note="",
            now=now,
        )
    elif waits != row.waits_for:
        models.OrderIssue.objects.filter(customer_id=row.customer_id, pk=row.pk).update(waits_for=waits)


def _waits_for(row: models.OrderIssue, *, now: datetime) -> Waits | None:
    mine = models.OrderIssue.objects.filter(customer_id=row.customer_id)
    lately = mine.filter(opened_at__gt=now - domain.RULES.reports_within).exclude(status=Status.WITHDRAWN)
    at_once = mine.filter(order_id=row.order_id, reason=Reason.BY_RULES)
    try:
        cents = 0 if row.line_id is None else orders.quote_refund(order_id=row.order_id, lines=_lines(row)).cents
    except NotPaidYet:
        return Waits.NOT_CHARGED
    except NotRefundable:
        return Waits.NOTHING_LEFT
    return domain.waits_for(
        domain.Claim(
            kind=Kind(row.kind),
            has_line=row.line_id is not None,
            photos=row.photos.count(),
            cents=cents,
            cents_before=at_once.aggregate(cents=Sum("refund_cents", default=0))["cents"],
            reports=lately.count(),
        )
    )


def _refund(
    row: models.OrderIssue,
    *,
    quantity: Decimal | None,
    amount: Money | None,
    actor: str,
    reason: Reason,
    fault: Fault,
    note: str,
    now: datetime,
) -> None:
    """Decide and give back, in one transaction: neither is there without the other."""
    refund = orders.refund(
        order_id=row.order_id,
        key=f"issue-{row.pk}",
        reason=row.kind,
        actor=actor,
        now=now,
        lines=_lines(row, quantity),
        amount=amount,
    )
    moving.transition(
        row,
        to=Status.RESOLVED_REFUND,
        actor=actor,
        now=now,
        reason=reason,
        note=note,
        fault=fault,
        refund_quantity=quantity,
        refund_cents=refund.amount.cents,
    )


@sharding.repeatable
def _changed(
    issue_id: int, to: Status, decide: Callable[[models.OrderIssue], None], *, customer_id: int | None = None
) -> types.Issue:
    """``decide`` about the report under its customer's lock, unless it is ``to`` already."""
    row = models.OrderIssue.objects.filter(pk=issue_id).first()
    if row is None or customer_id not in (None, row.customer_id):
        raise IssueNotFound("There is no such report.")
    with sharding.atomic(sharding.alias_of_id("customer", issue_id)) as alias:
        cases.lock(row.customer_id)
        row.refresh_from_db()
        if row.status != to:
            decide(row)
            rating.look_again(customer_id=row.customer_id, order_id=row.order_id, using=alias)
    return selectors.issue_for_staff(issue_id=issue_id)


def _lines(row: models.OrderIssue, quantity: Decimal | None = None) -> tuple[RefundLine, ...]:
    if row.line_id is None:
        return ()
    return (RefundLine(line_id=row.line_id, quantity=quantity or row.quantity),)


def _fault(said: str) -> Fault | None:
    if said and said not in set(Fault):
        raise DecisionInvalid(f"It is the fault of one of {', '.join(Fault)}.")
    return Fault(said) if said else None
