"""Bring the customer's order to where its store order is.

Events come late, twice and in any order. So an event is only a reason to look: what is told is the
store order as it stands now, by the steps an order goes through, each of which is nothing when it
was taken before.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

import sharding
from apps.common.money import Money
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus, Status
from apps.fulfilment.services import edits, leaving
from apps.inventory import services as inventory
from apps.orders import selectors as order_selectors
from apps.orders import services as orders
from apps.orders.errors import IllegalTransition
from apps.orders.types import PickedLine, Proposed
from apps.stores import selectors as stores

logger = logging.getLogger(__name__)

TOLD = (LineStatus.FOUND, LineStatus.TO_REFUND)
_ENDED = ("canceled", "returned")


def report(*, store_order_id: int, now: datetime) -> None:
    """Take the customer's order to the stage of its store order.

    What follows from a delivery (the money) is the order's own matter: nobody here waits for a bank.
    Raises what the order's services do; calling again goes on from there.
    """
    row = models.StoreOrder.objects.filter(pk=store_order_id).first()
    if row is None or row.status == Status.CANCELED:
        return
    if row.status == Status.WAITING:
        _move(row, "brand_new", now)
        return
    if not _bring_to_picking(row, now):
        return
    tell_edits(store_order_id=store_order_id, now=now)
    if domain.has_reached(row.status, Status.CHECKOUT) and not _tell_what_was_found(row, now):
        return
    if row.receipt_passed_at is not None:
        _move(row, "bags_check", now)
    if domain.has_reached(row.status, Status.DELIVERING):
        _move(row, "delivering", now)
    if domain.has_reached(row.status, Status.DELIVERED):
        _move(row, "delivered", now)


def report_line(*, store_order_id: int, line_id: int, now: datetime) -> None:
    """Tell the customer's order what became of one line, as it stands now."""
    row = models.StoreOrder.objects.filter(pk=store_order_id).first()
    if row is None or row.status in (Status.CANCELED, Status.WAITING):
        return  # or taken back since: whoever goes on with it checks every line out
    if not _bring_to_picking(row, now):
        return
    tell_edits(store_order_id=store_order_id, now=now)
    line = row.lines.get(line_id=line_id)
    if line.status not in TOLD:
        return  # asked about since, which the customer's shard knows before we do; or they wanted more of it
    _told(
        row,
        lambda: orders.record_line(
            order_id=row.order_id,
            line_id=line_id,
            status=line.status,
            found_quantity=line.found_quantity,
            reason=line.refund_reason[:20],
            actor=_actor(row),
            now=now,
        ),
    )


def report_proposal(*, proposal_id: int, now: datetime) -> None:
    """Let the customer be asked about a proposal, or not any more, as it stands now."""
    proposal = models.Proposal.objects.filter(pk=proposal_id).select_related("store_order").first()
    if proposal is None:
        return
    row = proposal.store_order
    if row.status not in (Status.CANCELED, Status.WAITING):
        _bring_to_picking(row, now)
    tell_edits(store_order_id=row.pk, now=now)  # the line may be one that was added, or be of more by now
    currency = row.currency
    orders.record_proposal(
        order_id=row.order_id,
        line_id=proposal.line_id,
        proposed=Proposed(
            proposal_id=proposal.pk,
            item_id=proposal.item_id,
            name=proposal.name,
            code=proposal.code,
            cost_unit=proposal.cost_unit,
            sold_by=proposal.sold_by,
            quantity=proposal.quantity,
            unit_price=Money(proposal.unit_price_cents, currency),
            list_price=Money(proposal.list_price_cents, currency),
            unit_grams=proposal.unit_grams,
            tax_category=proposal.tax_category,
            deposit=Money(proposal.deposit_cents, currency),
        ),
        is_withdrawn=proposal.is_withdrawn,
        actor=f"shopper:{proposal.shopper_id}",
        now=now,
    )


def tell_edits(*, store_order_id: int, now: datetime) -> None:
    """Write the changes of the list that the store has agreed to into the customer's order; repeating is harmless."""
    row = models.StoreOrder.objects.get(pk=store_order_id)
    if not row.edits:
        return
    known = order_selectors.edits(order_id=row.order_id)
    for edit in row.order_edits.filter(number__gt=known).order_by("number"):
        orders.apply_edit(order_id=row.order_id, edit=edits.read(edit), now=now)


def _bring_to_picking(row: models.StoreOrder, now: datetime) -> bool:
    """False for an order that was canceled on its own shard; word of that is on its way here."""
    if not _move(row, "acknowledged", now):
        return False
    if domain.has_reached(row.status, Status.PICKING):
        return _move(row, "picking", now)
    return True


def _tell_what_was_found(row: models.StoreOrder, now: datetime) -> bool:
    """False for an order that has ended instead."""
    lines = _lines(row)
    picked = [
        PickedLine(
            line_id=line.line_id,
            status=line.status,
            found_quantity=line.found_quantity,
            reason=line.refund_reason[:20],
            proposal_id=line.replaced_by_id,
        )
        for line in lines
    ]
    if not _told(row, lambda: orders.finalise(order_id=row.order_id, lines=picked, actor=_actor(row), now=now)):
        return False
    short = orders.cover(order_id=row.order_id, can_wait=row.status == Status.CHECKOUT, now=now)
    if short and leaving.leave_behind(store_order_id=row.pk, line_ids=short, now=now):
        orders.leave_behind(order_id=row.order_id, line_ids=short, now=now)
        lines = _lines(row)
    elif short:
        orders.forgive(order_id=row.order_id, now=now)
    _take_off_the_shelf(row, lines, now)
    return True


def _lines(row: models.StoreOrder) -> list[models.PickLine]:
    return list(row.lines.select_related("replaced_by").order_by("pk"))


@sharding.repeatable
def _take_off_the_shelf(row: models.StoreOrder, lines: Sequence[models.PickLine], now: datetime) -> None:
    """The goods leave the stock, and what was there is counted with it: once, as the stock is.

    A replaced line's own item was not there, whatever lies in the bag for it.
    """
    timezone = stores.store(store_id=row.store_id).timezone
    with sharding.atomic(sharding.home("store", row.store_id)):
        is_new = inventory.consume(
            store_id=row.store_id,
            order_id=row.order_id,
            taken=domain.taken(map(_goods, lines)),
            now=now,
        )
        if is_new:
            inventory.note_outcomes(
                store_id=row.store_id,
                outcomes={
                    line.item_id: domain.outcome(
                        line.status, line.found_quantity, ordered=line.quantity, sold_by=line.sold_by
                    )
                    for line in lines
                    if line.refund_reason not in domain.NOT_THE_SHELFS_FAULT
                },
                timezone=timezone,
                at=row.picked_at or now,
            )


def _goods(line: models.PickLine) -> tuple[int, str, Decimal]:
    """Item, status and quantity of what lies in the bag for a line; what the catalogue does not know left no shelf."""
    other = line.replaced_by
    if other is None or other.item_id is None:
        return line.item_id, line.status, line.found_quantity
    return other.item_id, LineStatus.FOUND, other.quantity


def _move(row: models.StoreOrder, to: str, now: datetime) -> bool:
    """Take one step, if it was not taken before. False when the order has ended instead."""
    return _told(row, lambda: orders.transition(order_id=row.order_id, to=to, actor=_actor(row), now=now))


def _told(row: models.StoreOrder, tell: Callable[[], object]) -> bool:
    """False when the order takes no such word, as it has ended on its own shard; word of that is on its way here."""
    try:
        tell()
    except IllegalTransition:
        if order_selectors.order_for_staff(order_id=row.order_id).status not in _ENDED:
            raise
        logger.info("fulfilment.order_ended_meanwhile order=%s", row.order_id)
        return False
    return True


def _actor(row: models.StoreOrder) -> str:
    return f"shopper:{row.shopper_id}" if row.shopper_id else "dispatch"
