"""The one way of batches, their stops and their offers from state to state.

Each function moves those of ``rows`` that may go there by the table of states, in one guarded UPDATE with the
``changes`` that go with it, and says how many moved: of two who move a row at once the second moves nothing.
"""

from typing import Any

from django.db.models import QuerySet

from apps.common import states
from apps.dispatch import domain, models
from apps.dispatch.domain import BatchStatus, OfferStatus, StopState


def batches(rows: QuerySet[models.Batch], to: BatchStatus, **changes: Any) -> int:
    return rows.filter(status__in=states.before(domain.BATCH_TRANSITIONS, to)).update(status=to, **changes)


def offers(rows: QuerySet[models.Offer], to: OfferStatus, **changes: Any) -> int:
    return rows.filter(status__in=states.before(domain.OFFER_TRANSITIONS, to)).update(status=to, **changes)


def stops(rows: QuerySet[models.BatchStop], to: StopState) -> int:
    return rows.filter(state__in=states.before(domain.STOP_TRANSITIONS, to)).update(state=to)
