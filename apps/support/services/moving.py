"""The one way of a report from status to status."""

from datetime import datetime
from typing import Any

from apps.common import states
from apps.support import domain, models
from apps.support.domain import Status
from apps.support.errors import IllegalStep


def transition(
    row: models.OrderIssue,
    *,
    to: Status,
    actor: str,
    now: datetime,
    reason: str = "",
    note: str = "",
    **columns: Any,
) -> None:
    """Take the step and write its history, in the caller's transaction; ``row`` is changed with it. 2 queries.

    Guarded by the status and sequence of ``row``: raises ``IllegalStep`` where the table has no such step, and where
    somebody was faster.
    """
    before = Status(row.status)
    if before not in states.before(domain.TRANSITIONS, to):
        raise IllegalStep(f"This report is {domain.TITLES[before].lower()}; it cannot become {to}.")
    changes = {
        **columns,
        "status": to,
        "sequence": row.sequence + 1,
        "reason": reason,
        "waits_for": "",
        "decided_at": None if to is Status.OPENED else now,
    }
    guarded = models.OrderIssue.objects.filter(
        customer_id=row.customer_id, pk=row.pk, status=before, sequence=row.sequence
    )
    if not guarded.update(**changes):
        raise IllegalStep("This report was decided meanwhile; look at it again.")
    for column, value in changes.items():
        setattr(row, column, value)
    note_step(row, before=before, actor=actor, now=now, reason=reason, note=note)


def note_step(
    row: models.OrderIssue, *, before: Status | None, actor: str, now: datetime, reason: str = "", note: str = ""
) -> None:
    """Write the step ``row.sequence`` into the report's history. 1 query."""
    models.IssueEvent.objects.create(
        customer_id=row.customer_id,
        issue=row,
        sequence=row.sequence,
        from_status=before or "",
        to_status=row.status,
        actor=actor,
        reason=reason,
        note=note,
        at=now,
    )
