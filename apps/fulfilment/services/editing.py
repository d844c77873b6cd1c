"""The customer changes what is to be picked, until the shopper has checked out.

The store's shard decides, in one transaction: it knows what is in the bag and how far the shopper is, and stock is
kept there. Before it, the change is priced and the card authorised for the difference (``orders.plan_edit``); after
it, the customer's order follows (``orders.apply_edit``), at once or, after a crash, by the event.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime

import sharding
from apps.catalog import selectors as catalog
from apps.catalog.types import Handling
from apps.common import outbox
from apps.common.api.idempotency import fingerprint
from apps.common.errors import IdempotencyConflict
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus, Status
from apps.fulfilment.errors import AlcoholTooLate, NotAtStoreYet
from apps.fulfilment.events import ListEdited
from apps.fulfilment.services import edits, lines, replacing, reporting
from apps.inventory import services as inventory
from apps.inventory.errors import ReservationConsumed, ReservationGone, ReservationNotCommitted, ReservationNotFound
from apps.orders import selectors as order_selectors
from apps.orders import services as orders
from apps.orders.errors import EditOverlaps, LineAlreadyPicked, QuestionOpen, TooLateToEdit
from apps.orders.types import Edit, EditedLine, LineReason, LineWish
from apps.payments.errors import PaymentConflict

_TRIES = 6
"""Of those who change one order at the same moment, each try lets one through."""


def edit(
    *,
    order_id: int,
    customer_id: int,
    wishes: Collection[LineWish],
    idempotency_key: str,
    now: datetime,
    birth_date: date | None = None,
) -> None:
    """Make the order be of these quantities: more of a line, less, none of it, or another item. The rest stays.

    All or nothing. Sent again with the same key it changes nothing more. What is to become more has to be picked
    (again); what is in the bag cannot become less. The shopper's list has the change when this returns.

    Raises:
        OrderNotFound: no such order, or not this customer's.
        IdempotencyConflict: the key was used for another change of this order.
        NotAtStoreYet: it was confirmed a moment ago.
        TooLateToEdit, LineAlreadyPicked, QuestionOpen: the shopper was faster.
        AlcoholTooLate: there was none in it before, and a shopper has taken it.
        EditOverlaps: too many changes at this moment.
        OutOfStock, and the other refusals of ``orders.plan_edit``.
    """
    store_id = order_selectors.order(order_id=order_id, customer_id=customer_id).store_id
    key, asked = fingerprint(idempotency_key), fingerprint(*sorted((w.item_id, w.quantity.normalize()) for w in wishes))
    for _ in range(_TRIES):
        row = models.StoreOrder.objects.filter(store_id=store_id, order_id=order_id).first()
        if row is None:
            raise NotAtStoreYet("Your order is just on its way to the store; try again in a moment.")
        reporting.tell_edits(store_order_id=row.pk, now=now)
        earlier = row.order_edits.filter(key=key).first()
        if earlier is not None:
            if earlier.fingerprint != asked:
                raise IdempotencyConflict("This idempotency key was used before for another change.")
            return
        _check_status(row)
        try:
            planned = orders.plan_edit(
                order_id=order_id, wishes=wishes, actor=f"customer:{customer_id}", birth_date=birth_date, now=now
            )
            if planned is not None:
                _agree(row, planned, key=key, asked=asked, now=now)
        except (EditOverlaps, PaymentConflict):
            continue  # somebody else changes it: look again
        reporting.tell_edits(store_order_id=row.pk, now=now)
        return
    raise EditOverlaps("Your order is being changed elsewhere at this moment; look at it again.")


@sharding.repeatable
def _agree(row: models.StoreOrder, edit: Edit, *, key: str, asked: str, now: datetime) -> None:
    """List, reservation and the row that tells the customer's order, together or not at all."""
    store_id = row.store_id
    handling = _handling(row, edit)
    target = sharding.home("store", store_id)
    with sharding.atomic(target):
        mine = models.StoreOrder.objects.filter(pk=row.pk)
        row = mine.select_for_update(no_key=True).get()  # picks and check-outs wait for us
        _check_status(row)
        if row.edits != edit.number - 1:
            raise EditOverlaps("Somebody else has changed this order a moment ago.")
        if handling.has_alcohol and not row.has_alcohol and row.status != Status.WAITING:
            raise AlcoholTooLate("A shopper has taken this order already; alcohol cannot be added to it any more.")
        listed = {line.line_id: line for line in row.lines.order_by("pk")}
        for line in edit.lines:
            listed[line.line_id] = _set(row, listed.get(line.line_id), line)
        models.PickLine.objects.bulk_create([line for line in listed.values() if line.pk is None])
        _change_reservation(row, edit)
        models.OrderEdit.objects.create(
            store_order=row,
            store_id=store_id,
            number=edit.number,
            key=key,
            fingerprint=asked,
            content=edits.written(edit),
            at=now,
        )
        mine.update(edits=edit.number, **_load(row, list(listed.values()), handling))
        event = ListEdited(store_order_id=row.pk, order_id=row.order_id, store_id=store_id, number=edit.number)
        outbox.emit(event, using=target.alias)


def _check_status(row: models.StoreOrder) -> None:
    if row.status == Status.CANCELED:
        raise TooLateToEdit("This order was canceled.")
    if row.status not in domain.EDITABLE:
        raise TooLateToEdit("Your shopper has checked out; the order can no longer be changed.")


def _set(row: models.StoreOrder, line: models.PickLine | None, edited: EditedLine) -> models.PickLine:
    """The line as it is to be: saved, unless it is new."""
    if line is None:
        details = edited.details or {}
        shown = {name: details[name] for name in _SHOWN}
        return models.PickLine(
            store_order=row,
            store_id=row.store_id,
            line_id=edited.line_id,
            item_id=edited.item_id,
            quantity=edited.quantity,
            **shown,
        )
    is_in_the_bag = line.status == LineStatus.FOUND and edited.quantity < line.quantity
    is_settled = line.status in (LineStatus.TO_REFUND, LineStatus.REPLACED)
    if not line.is_taken_out and (is_in_the_bag or is_settled):
        raise LineAlreadyPicked(f"Your shopper has dealt with {line.name} already.")
    if replacing.is_asked_about(row, line.line_id):
        raise QuestionOpen(f"Your shopper asks you about {line.name}: answer that first.")
    mine = row.lines.filter(pk=line.pk)
    if not edited.quantity:
        lines.move(mine, LineStatus.TO_REFUND, refund_reason=LineReason.TAKEN_OUT)
    elif line.found_quantity < edited.quantity:
        lines.move(mine, LineStatus.NOT_PICKED, quantity=edited.quantity)
    else:
        mine.update(quantity=edited.quantity)
    return mine.get()


_SHOWN = (
    *("name", "department", "aisle", "rank", "cost_unit", "sold_by", "unit_price_cents", "note"),
    "replacement_policy",
)


def _change_reservation(row: models.StoreOrder, edit: Edit) -> None:
    deltas = {line.item_id: line.quantity - line.before for line in edit.lines}
    try:
        inventory.change(store_id=row.store_id, order_id=row.order_id, deltas=deltas)
    except (ReservationNotCommitted, ReservationNotFound) as early:
        raise NotAtStoreYet("Your order is just on its way to the store; try again in a moment.") from early
    except (ReservationGone, ReservationConsumed) as late:
        raise TooLateToEdit("This order can no longer be changed.") from late


def _handling(row: models.StoreOrder, edit: Edit) -> Handling:
    """What it takes to carry the order once it is changed."""
    quantities = {line.item_id: line.quantity for line in row.lines.all() if not line.is_taken_out}
    quantities |= {line.item_id: line.quantity for line in edit.lines}
    wanted = [(item_id, quantity) for item_id, quantity in quantities.items() if quantity]
    return catalog.handling(store_id=row.store_id, quantities=wanted)


def _load(row: models.StoreOrder, listed: Sequence[models.PickLine], handling: Handling) -> dict[str, object]:
    """What dispatch reckons with. What an earlier shopper had done is less where a line has to be picked again."""
    wanted = [line for line in listed if not line.is_taken_out]
    done = [(line.sold_by, line.quantity) for line in wanted if line.status != LineStatus.NOT_PICKED]
    return {
        "line_count": len(wanted),
        "unit_count": domain.unit_count((line.sold_by, line.quantity) for line in wanted),
        "lines_done": min(row.lines_done, len(done)),
        "units_done": min(row.units_done, domain.unit_count(done)),
        "grams": int(handling.kilograms * 1000),
        "has_alcohol": handling.has_alcohol,
        "is_cold": handling.is_cold,
    }
