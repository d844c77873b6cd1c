"""The one way of assignments from state to state."""

from typing import Any

from django.db.models import QuerySet

from apps.common import states
from apps.shoppers import domain, models


def assignments(rows: QuerySet[models.Assignment], to: domain.AssignmentState, **changes: Any) -> int:
    """Move those of ``rows`` that may go there, in one guarded UPDATE with its ``changes``; how many moved."""
    return rows.filter(state__in=states.before(domain.ASSIGNMENT_TRANSITIONS, to)).update(state=to, **changes)
