"""What must hold of an order with replacements once everything is told. Each broken promise is one line of text."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from apps.common.models import OutboxMessage, QuarantinedMessage
from apps.fulfilment import models as store
from apps.inventory import models as inventory
from apps.orders import domain, models
from apps.orders.types import ReplacementStatus
from tests.fulfilment.replacing import Picking

ACCEPTED = {ReplacementStatus.APPROVED, ReplacementStatus.AUTO_APPROVED}


def violations(picking: Picking) -> list[str]:
    order = models.Order.objects.get(pk=picking.order_id)
    return [*_messages(picking), *_questions(order, picking), *_lines(order, picking), *_money(order), *_stock(picking)]


def _messages(picking: Picking) -> Iterator[str]:
    for alias in picking.shards:
        yield from (f"{alias}: {m} was not delivered" for m in OutboxMessage.objects.using(alias))
        yield from (f"{alias}: {m} is in quarantine" for m in QuarantinedMessage.objects.using(alias))


def _questions(order: models.Order, picking: Picking) -> Iterator[str]:
    """Both shards say the same of each proposal; nobody is asked about an order that is not being picked."""
    asked = {row.proposal_id: row.status for row in order.replacements.all()}
    proposed = {row.pk: row.status for row in store.Proposal.objects.filter(store_order_id=picking.store_order_id)}
    if asked != proposed:
        yield f"{order}: the customer's shard says {asked}, the store's {proposed}"
    open_ones = [status for status in asked.values() if status == ReplacementStatus.PROPOSED]
    if open_ones and order.status not in domain.BEING_PICKED:
        yield f"{order}: {len(open_ones)} questions are open"
    events = list(order.events.order_by("sequence"))
    if [event.sequence for event in events] != list(range(1, order.sequence + 1)):
        yield f"{order}: its history has gaps"
    told = Counter(event.name for event in events)
    for status in {*ACCEPTED, ReplacementStatus.REJECTED}:
        count = sum(one == status for one in asked.values())
        if told[f"replacement_{status}"] != count:
            yield f"{order}: {count} are {status}, its history knows {told[f'replacement_{status}']}"
    asked_about = {row.line_id for row in order.replacements.filter(status=ReplacementStatus.PROPOSED)}
    unpicked = {line.pk for line in order.lines.all() if line.status == "not_picked"}
    if order.status in domain.BEING_PICKED:
        waits = bool(asked_about) and unpicked <= asked_about
        if waits != (order.status == "verifying_replacements"):
            yield f"{order}: unpicked {unpicked}, asked about {asked_about}"


def _lines(order: models.Order, picking: Picking) -> Iterator[str]:
    by_id = {row.pk: row for row in order.replacements.all()}
    picked = {line.line_id: line for line in store.PickLine.objects.filter(store_order_id=picking.store_order_id)}
    for line in order.lines.all():
        there = picked[line.pk]
        mine = by_id[line.replacement_id] if line.replacement_id else None
        seen = (line.status, mine.proposal_id if mine else None)
        if seen != (there.status, there.replaced_by_id):
            yield f"{line}: {seen} for the customer, {(there.status, there.replaced_by_id)} in the store"
        if mine is not None and (mine.status not in ACCEPTED or line.found_quantity != mine.quantity):
            yield f"{line}: delivered as {mine}"
        if line.wish_version != there.wish_version or line.replacement_item_id != there.replacement_item_id:
            yield f"{line}: the store has not heard what the customer wants"


def _money(order: models.Order) -> Iterator[str]:
    """A replaced line costs what its replacement is charged, goods and deposit; the final lines are there once."""
    final = list(order.adjustments.filter(phase="final"))
    items = Counter(entry.line_id for entry in final if entry.kind == "item")
    if final and (len(items) != order.lines.count() or set(items.values()) != {1}):
        yield f"{order}: {items} item lines"
    for line in order.lines.exclude(replacement_id=None) if final else ():
        charged = order.replacements.get(pk=line.replacement_id).charged_cents
        paid = sum(entry.amount_cents for entry in final if entry.line_id == line.pk)
        if paid != charged:
            yield f"{line}: {paid} cents are paid, {charged} charged"


def _stock(picking: Picking) -> Iterator[str]:
    """Promised is what was ordered and is not sold or given up, and what replaces it or may; the rest is free."""
    needed: Counter[int] = Counter()
    reserved = inventory.Reservation.objects.filter(store_id=picking.market.store_id, state="committed")
    for row in reserved:
        needed[row.item_id] += row.quantity
    row = store.StoreOrder.objects.get(pk=picking.store_order_id)
    order = models.Order.objects.get(pk=picking.order_id)
    has_goods = row.status in ("waiting", "assigned", "picking") and order.status not in domain.UNDONE
    current = {line.replaced_by_id for line in row.lines.all()}
    for proposal in row.proposals.exclude(item_id=None):
        if has_goods and (proposal.status == ReplacementStatus.PROPOSED or proposal.pk in current):
            needed[proposal.item_id or 0] += proposal.quantity
    for level in inventory.StockLevel.objects.filter(store_id=picking.market.store_id):
        if level.reserved != Decimal(needed[level.item_id]):
            yield f"item {level.item_id}: {level.reserved} reserved, {needed[level.item_id]} needed"
