"""The one way of a store order from state to state, and what its shopper may do of it."""

from datetime import datetime
from typing import Any, NoReturn

from django.db.models import QuerySet

from apps.fulfilment import domain, models
from apps.fulfilment.domain import Status
from apps.fulfilment.errors import OrderWasCanceled, StoreOrderNotFound, WrongStage

_MISSING = "There is no such order among yours."


def move(rows: QuerySet[models.StoreOrder], to: Status, **changes: Any) -> int:
    """Move those of ``rows`` that may go there, in one guarded UPDATE with its ``changes``; how many moved."""
    return rows.filter(status__in=domain.before(to)).update(status=to, **changes)


def advance(*, store_order_id: int, shopper_id: int, to: Status, now: datetime, **changes: Any) -> bool:
    """Move the shopper's order to ``to``, in the caller's transaction. False when it is there, or past it.

    Raises:
        StoreOrderNotFound: not this shopper's.
        OrderWasCanceled, WrongStage: it cannot go there from where it stands.
    """
    mine = models.StoreOrder.objects.filter(pk=store_order_id, shopper_id=shopper_id)
    if move(mine, to, progress_at=now, **changes):
        return True
    row = mine.first()
    if row is None:
        raise StoreOrderNotFound(_MISSING)
    if domain.has_reached(row.status, to):
        return False
    refuse(row, f"{to} cannot follow {row.status}.")


def refuse(row: models.StoreOrder, why: str) -> NoReturn:
    if row.status == Status.CANCELED:
        raise OrderWasCanceled("The customer canceled this order; put the goods back.")
    raise WrongStage(why)


def locked(*, store_order_id: int, shopper_id: int) -> models.StoreOrder:
    """The shopper's order, held until the transaction ends; raises ``StoreOrderNotFound`` for anyone else's."""
    mine = models.StoreOrder.objects.filter(pk=store_order_id, shopper_id=shopper_id)
    row = mine.select_for_update(no_key=True).first()
    if row is None:
        raise StoreOrderNotFound(_MISSING)
    return row
