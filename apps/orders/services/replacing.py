"""Ask the customer whether something else may be brought, and hear the answer.

The store's shard knows what the shopper proposes, the customer's what became of it: word goes to and fro by events,
told again until it is heard. Everything here is done with the order locked, and may be repeated.
"""

import logging
from datetime import datetime
from typing import Any

import sharding
from apps.catalog import selectors as catalog
from apps.catalog.errors import ItemNotFound
from apps.common import outbox
from apps.common.events import Event
from apps.common.money import Money
from apps.orders import domain, models, replacements
from apps.orders.domain import LineStatus, Status
from apps.orders.errors import (
    AlreadyAnswered,
    LineNotFound,
    LineNotReplaceable,
    OrderNotFound,
    ReplacementNotFound,
    ReplacementUnsuitable,
)
from apps.orders.events import LineWishChanged
from apps.orders.services import answers, moving, picking
from apps.orders.types import LineReason, Proposed, ReplacementStatus

logger = logging.getLogger(__name__)

SWEEP_LIMIT = 200
SYSTEM = "system"


@sharding.repeatable
def record_proposal(
    *, order_id: int, line_id: int, proposed: Proposed, is_withdrawn: bool, actor: str, now: datetime
) -> str:
    """Ask the customer about ``proposed``, or ask no longer when it ``is_withdrawn``; the question's status.

    Where the customer asked for that very item while the order was being picked, it is approved at once, for no more
    than they were shown then. An order that is not being picked (any more) is asked nothing: the proposal counts as
    withdrawn. Repeating is harmless, in any order. Raises ``OrderNotFound``, ``LineNotFound``.
    """
    with sharding.atomic(sharding.alias_of_id("customer", order_id)) as alias:
        order = picking.locked(order_id)
        row = order.replacements.filter(proposal_id=proposed.proposal_id).select_related("order", "line").first()
        is_over = is_withdrawn or order.status not in domain.BEING_PICKED
        if row is None:
            row = _question(order, line_id, proposed, actor, now)
            if is_over:
                row.save()
                event = answers.transition(row, ReplacementStatus.WITHDRAWN, by=actor, now=now)
                outbox.emit(*([event] if event else []), using=alias)
            else:
                _ask(order, row, actor, now)
        elif is_over:
            _settle(order, row, ReplacementStatus.WITHDRAWN, by=actor, now=now)
    return row.status


@sharding.repeatable
def answer_replacement(*, order_id: int, customer_id: int, replacement_id: int, approve: bool, now: datetime) -> str:
    """The customer's yes or no to a question; how it then stands. A no means that the line is not paid for.

    The same answer again changes nothing. Raises ``OrderNotFound`` for anyone else's order, ``ReplacementNotFound``,
    and ``AlreadyAnswered`` where the question had another answer by then.
    """
    to = ReplacementStatus.APPROVED if approve else ReplacementStatus.REJECTED
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = _theirs(order_id, customer_id)
        row = order.replacements.filter(pk=replacement_id).select_related("order", "line").first()
        if row is None:
            raise ReplacementNotFound("There is no such question about this order.")
        if not _settle(order, row, to, by=f"customer:{customer_id}", now=now) and row.status != to:
            raise AlreadyAnswered(f"This question is closed: {_SAID[ReplacementStatus(row.status)]}.")
    return row.status


def choose_instead(*, order_id: int, customer_id: int, line_id: int, item_id: int, now: datetime) -> None:
    """The customer wants that item of the store where the line's is out; an open question about the line is a no then.

    The shopper is told, and what they bring of it needs no further answer, for no more than it costs now. Choosing the
    same item again changes nothing.

    Raises:
        OrderNotFound, LineNotFound: not this customer's, or not on the order.
        LineNotReplaceable: the line was found, is replaced or was taken out, or picking is over.
        ReplacementUnsuitable: the store has no such item, it is the line's own, or it is alcohol and the line is not.
    """
    order = models.Order.objects.filter(pk=order_id, customer_id=customer_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    try:
        item = catalog.item(store_id=order.store_id, item_id=item_id)
    except ItemNotFound as gone:
        raise ReplacementUnsuitable("This store does not sell that item; choose another one.") from gone
    if item.alcoholic and not order.minimum_age:
        raise ReplacementUnsuitable("Alcohol cannot take the place of something else; choose another item.")
    line = order.lines.filter(pk=line_id).first()
    if line is None:
        raise LineNotFound(f"Order {order_id} has no line {line_id}.")
    if line.item_id == item_id:
        raise ReplacementUnsuitable("That is the item which is out; choose another one.")
    quantity = replacements.quantity_of(item, line.quantity, sold_by=line.sold_by, pieces=line.pieces)
    shown = replacements.cost(item.price, item.deposit, quantity)
    _wish(order_id, customer_id, line_id, item_id=item_id, name=item.name, shown=shown, now=now)


def expire_replacements(*, using: str, now: datetime) -> int:
    """Answer the questions of one customer shard whose time is over, by what was said when ordering; how many it was.

    Each in a transaction of its own; one that fails is tried again by the next sweep.
    """
    due = sharding.owned(models.Replacement.objects, using).filter(
        status=ReplacementStatus.PROPOSED, answer_by__lte=now
    )
    answered = 0
    for order_id, replacement_id in list(due.order_by("answer_by").values_list("order_id", "pk")[:SWEEP_LIMIT]):
        try:
            answered += _expire(order_id, replacement_id, now)
        except Exception:
            logger.exception("orders.replacement_expiry_failed %s", replacement_id)
    return answered


_SAID = {
    ReplacementStatus.APPROVED: "you have approved the replacement",
    ReplacementStatus.AUTO_APPROVED: "the time for an answer was over, and it was replaced as you had said",
    ReplacementStatus.REJECTED: "the replacement was turned down",
    ReplacementStatus.WITHDRAWN: "the shopper has withdrawn it",
    ReplacementStatus.PROPOSED: "it is still open",
}


@sharding.repeatable
def _expire(order_id: int, replacement_id: int, now: datetime) -> bool:
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = picking.locked(order_id)
        row = order.replacements.select_related("order", "line").get(pk=replacement_id)
        to = replacements.unanswered(
            row.line.replacement_policy,
            wished_item_id=row.line.replacement_item_id,
            item_id=row.item_id,
            ordered=Money(row.ordered_cents, order.currency),
            deposit=Money(row.deposit_cents, order.currency).times(row.quantity),
        )
        return row.answer_by <= now and _settle(order, row, to, by=SYSTEM, now=now)


@sharding.repeatable
def _wish(
    order_id: int, customer_id: int, line_id: int, *, item_id: int, name: str, shown: Money, now: datetime
) -> None:
    customer = f"customer:{customer_id}"
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = _theirs(order_id, customer_id)
        line = order.lines.get(pk=line_id)
        if line.wish_version and line.replacement_item_id == item_id:
            return
        if order.status not in domain.WISHABLE or not domain.takes_wishes(line.status, line.reason):
            raise LineNotReplaceable("Your shopper is done with this item; it cannot be changed any more.")
        line.replacement_policy, line.replacement_item_id = "item", item_id
        line.wish_version += 1
        line.wished_cents = shown.cents
        picking.become(line, LineStatus.NOT_PICKED)
        line.save()
        asked = order.replacements.filter(line=line, status=ReplacementStatus.PROPOSED).select_related("order", "line")
        for row in asked:
            _settle(order, row, ReplacementStatus.REJECTED, by=customer, now=now, alternative_item_id=item_id)
        wish = LineWishChanged(
            order_id=order_id,
            store_id=order.store_id,
            line_id=line_id,
            replacement_policy=line.replacement_policy,
            replacement_item_id=item_id,
            wish_version=line.wish_version,
        )
        _note(order, "chosen", customer, now, {"line": str(line_id), "name": line.name, "instead": name}, [wish])
        if order.status in domain.BEING_PICKED:
            picking.follow_questions(order, actor=customer, now=now)


def _question(order: models.Order, line_id: int, proposed: Proposed, actor: str, now: datetime) -> models.Replacement:
    """The question, not saved yet."""
    line = order.lines.filter(pk=line_id).first()
    if line is None:
        raise LineNotFound(f"Order {order.pk} has no line {line_id}.")
    ordered = replacements.cost(
        Money(line.unit_price_cents, order.currency), Money(line.deposit_cents, order.currency), line.quantity
    )
    return models.Replacement(
        order=order,
        customer_id=order.customer_id,
        line=line,
        proposal_id=proposed.proposal_id,
        status=ReplacementStatus.PROPOSED,
        item_id=proposed.item_id,
        name=proposed.name,
        code=proposed.code,
        cost_unit=proposed.cost_unit,
        sold_by=proposed.sold_by,
        quantity=proposed.quantity,
        unit_price_cents=proposed.unit_price.cents,
        list_price_cents=proposed.list_price.cents,
        unit_grams=proposed.unit_grams,
        tax_category=proposed.tax_category or line.tax_category,
        deposit_cents=proposed.deposit.cents,
        shown_cents=replacements.cost(proposed.unit_price, proposed.deposit, proposed.quantity).cents,
        ordered_cents=ordered.cents,
        proposed_by=actor,
        asked_at=now,
        answer_by=now + domain.ANSWER_TIME,
    )


def _ask(order: models.Order, row: models.Replacement, actor: str, now: datetime) -> None:
    """Put the question; where the customer asked for just this, take it as approved."""
    row.save()
    line = row.line
    picking.become(line, LineStatus.NOT_PICKED)
    line.save()
    _note(order, ReplacementStatus.PROPOSED, actor, now, _about(row))
    picking.follow_questions(order, actor=actor, now=now)
    if line.wished_cents is not None and line.replacement_item_id == row.item_id:
        customer = f"customer:{order.customer_id}"
        most = min(row.shown_cents, line.wished_cents)
        _settle(order, row, ReplacementStatus.APPROVED, by=customer, now=now, charged_cents=most)


def _settle(
    order: models.Order, row: models.Replacement, to: ReplacementStatus, *, by: str, now: datetime, **changes: Any
) -> bool:
    """Answer the question and bring its line to where that leads. False, and nothing happens, if it had an answer."""
    if to in replacements.ACCEPTED and "charged_cents" not in changes:
        shown, ordered = Money(row.shown_cents, order.currency), Money(row.ordered_cents, order.currency)
        changes["charged_cents"] = replacements.charged(to, shown=shown, ordered=ordered).cents
    event = answers.transition(row, to, by=by, now=now, **changes)
    if event is None:
        return False
    line = row.line
    if to in replacements.ACCEPTED:
        picking.replaced_by(line, row)
        line.save()
    elif to is ReplacementStatus.REJECTED and row.alternative_item_id is None:
        picking.become(line, LineStatus.TO_REFUND, found=domain.NOTHING, reason=LineReason.NOT_REPLACED)
        line.save()
    _note(order, to, by, now, _about(row), [event])
    if order.status in domain.BEING_PICKED:
        picking.follow_questions(order, actor=by, now=now)
    return True


def _about(row: models.Replacement) -> dict[str, Any]:
    return {
        "replacement": str(row.pk),
        "line": str(row.line_id),
        "name": row.line.name,
        "instead": row.name,
        "shown_cents": row.shown_cents,
        "charged_cents": row.charged_cents,
    }


def _note(
    order: models.Order, what: str, actor: str, now: datetime, data: dict[str, Any], also: list[Event] | None = None
) -> None:
    """Write it into the order's history, as a step that leaves the status as it is."""
    order.sequence += 1
    models.Order.objects.filter(pk=order.pk).update(sequence=order.sequence)
    name = f"{domain.REPLACEMENT}{what}"
    moving.note(order, before=Status(order.status), actor=actor, now=now, name=name, data=data, also=also or ())


def _theirs(order_id: int, customer_id: int) -> models.Order:
    order = picking.locked(order_id)
    if order.customer_id != customer_id:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order
