"""The one way of a pick line from outcome to outcome."""

from typing import Any

from django.db.models import QuerySet

from apps.common import states
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus


def move(rows: QuerySet[models.PickLine], to: LineStatus, **changes: Any) -> int:
    """Move those of ``rows`` that may become so, or are so, in one guarded UPDATE with its ``changes``; how many.

    What replaced a line, was found of it or why it was refunded is forgotten, unless the changes say it. The caller has
    the store order locked.
    """
    forgotten = {"found_quantity": 0, "refund_reason": "", "replaced_by": None}
    sources = {*states.before(domain.LINE_TRANSITIONS, to), to}
    return rows.filter(status__in=sources).update(status=to, **{**forgotten, **changes})
