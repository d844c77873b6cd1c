"""Bring the customer's order to where its store order is.

Events come late, twice and in any order. So an event is only a reason to look: what is told is the
store order as it stands now, by the steps an order goes through, each of which is nothing when it
was taken before.
"""

import logging
from datetime import datetime
from decimal import Decimal

from apps.common.money import Money
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus, Status
from apps.inventory import services as inventory
from apps.orders import selectors as order_selectors
from apps.orders import services as orders
from apps.orders.errors import IllegalTransition
from apps.orders.types import PickedLine, Proposed

logger = logging.getLogger(__name__)

TOLD = (LineStatus.FOUND, LineStatus.TO_REFUND)


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
    if domain.has_reached(row.status, Status.CHECKOUT):
        _tell_what_was_found(row, now)
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
    line = row.lines.get(line_id=line_id)
    if line.status not in TOLD:
        return  # asked about since: the customer's shard knows before we do
    orders.record_line(
        order_id=row.order_id,
        line_id=line_id,
        status=line.status,
        found_quantity=line.found_quantity,
        actor=_actor(row),
        now=now,
    )


def report_proposal(*, proposal_id: int, now: datetime) -> None:
    """Let the customer be asked about a proposal, or not any more, as it stands now."""
    proposal = models.Proposal.objects.filter(pk=proposal_id).select_related("store_order").first()
    if proposal is None:
        return
    row = proposal.store_order
    if row.status not in (Status.CANCELED, Status.WAITING):
        _bring_to_picking(row, now)
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


def _bring_to_picking(row: models.StoreOrder, now: datetime) -> bool:
    """False for an order that was canceled on its own shard; word of that is on its way here."""
    if not _move(row, "acknowledged", now):
        return False
    if domain.has_reached(row.status, Status.PICKING):
        return _move(row, "picking", now)
    return True


def _tell_what_was_found(row: models.StoreOrder, now: datetime) -> None:
    lines = list(row.lines.select_related("replaced_by").order_by("pk"))
    orders.finalise(
        order_id=row.order_id,
        lines=[
            PickedLine(
                line_id=line.line_id,
                status=line.status,
                found_quantity=line.found_quantity,
                proposal_id=line.replaced_by_id,
            )
            for line in lines
        ],
        actor=_actor(row),
        now=now,
    )
    inventory.consume(
        store_id=row.store_id,
        order_id=row.order_id,
        taken=domain.taken(map(_goods, lines)),
        now=now,
    )


def _goods(line: models.PickLine) -> tuple[int, str, Decimal]:
    """Item, status and quantity of what lies in the bag for a line; what the catalogue does not know left no shelf."""
    other = line.replaced_by
    if other is None or other.item_id is None:
        return line.item_id, line.status, line.found_quantity
    return other.item_id, LineStatus.FOUND, other.quantity


def _move(row: models.StoreOrder, to: str, now: datetime) -> bool:
    """Take one step, if it was not taken before. False when the order was canceled instead."""
    try:
        orders.transition(order_id=row.order_id, to=to, actor=_actor(row), now=now)
    except IllegalTransition:
        if order_selectors.order_for_staff(order_id=row.order_id).status != "canceled":
            raise
        logger.info("fulfilment.order_canceled_meanwhile order=%s", row.order_id)
        return False
    return True


def _actor(row: models.StoreOrder) -> str:
    return f"shopper:{row.shopper_id}" if row.shopper_id else "dispatch"
