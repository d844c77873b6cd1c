"""The one way of a replacement from status to status."""

from datetime import datetime
from typing import Any

from apps.orders import domain, models
from apps.orders.events import ReplacementAnswered
from apps.orders.types import ReplacementStatus


def transition(
    row: models.Replacement, to: ReplacementStatus, *, by: str, now: datetime, **changes: Any
) -> ReplacementAnswered | None:
    """Give the question its answer, in the caller's transaction; the event to tell, None where it had one.

    The update is guarded by the status, so of two answers at once one counts. ``row`` is as it then stands.
    """
    sources = [status for status, following in domain.REPLACEMENT_TRANSITIONS.items() if to in following]
    columns = {"status": to, "answered_by": by, "answered_at": now, **changes}
    guarded = models.Replacement.objects.filter(customer_id=row.customer_id, pk=row.pk, status__in=sources)
    if not guarded.update(**columns):
        row.refresh_from_db()
        return None
    for column, value in columns.items():
        setattr(row, column, value)
    return ReplacementAnswered(
        order_id=row.order_id,
        customer_id=row.customer_id,
        store_id=row.order.store_id,
        line_id=row.line_id,
        proposal_id=row.proposal_id,
        status=row.status,
    )


def withdraw_all(order: models.Order, *, by: str, now: datetime) -> list[ReplacementAnswered]:
    """Close every open question of an order that is not being picked any more; the events to tell."""
    rows = order.replacements.filter(status=ReplacementStatus.PROPOSED).select_related("order").order_by("pk")
    answered = (transition(row, ReplacementStatus.WITHDRAWN, by=by, now=now) for row in rows)
    return [event for event in answered if event is not None]
