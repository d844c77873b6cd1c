"""Propose something else for a line that is out, and go by what the customer says to it.

The store's shard keeps what was proposed, and the stock for it; the customer's shard decides (see ``orders``). So a
line waits, neither found nor refunded, from the proposal until word of the answer is back, whatever the answer is.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

import sharding
from apps.catalog import selectors as catalog
from apps.common import outbox
from apps.fulfilment import domain, models
from apps.fulfilment.domain import LineStatus, Status
from apps.fulfilment.errors import (
    LineNotFound,
    LineTakenOut,
    ReplacementInvalid,
    ReplacementNotWanted,
    StoreOrderNotFound,
)
from apps.fulfilment.events import ReplacementProposed, ReplacementWithdrawn
from apps.fulfilment.services import lines, stages
from apps.inventory import services as inventory
from apps.orders import selectors as orders
from apps.orders.errors import QuestionOpen
from apps.orders.types import LineReason, ReplacementStatus

ACCEPTED = (ReplacementStatus.APPROVED, ReplacementStatus.AUTO_APPROVED)


def propose(
    *,
    store_order_id: int,
    line_id: int,
    shopper_id: int,
    item_id: int,
    quantity: Decimal,
    key: str,
    now: datetime,
) -> int:
    """Propose ``quantity`` of another item of the store, which is kept for the order; the proposal's id.

    A weight is what the scale says. The same ``key`` again is the same proposal.

    Raises:
        StoreOrderNotFound, LineNotFound, ItemNotFound: not this shopper's, not on the order, not sold here.
        OrderWasCanceled, WrongStage: the order is not being picked.
        LineTakenOut: the customer does not want it any more.
        QuestionOpen: another proposal for the line has no answer yet.
        ReplacementNotWanted: the customer wants the money back instead.
        ReplacementInvalid: the line's own item, alcohol where none was ordered, or no quantity of it.
        OutOfStock: it is promised to others.
    """
    row = _mine(store_order_id, shopper_id)
    item = catalog.item(store_id=row.store_id, item_id=item_id)
    domain.checked_offered(quantity, sold_by=item.sold_by, most=item.max_in_cart)
    if item.alcoholic and not row.has_alcohol:
        raise ReplacementInvalid("No alcohol was ordered, so none can be brought instead: propose another item.")
    offered = {
        "item_id": item.id,
        "name": item.name,
        "code": item.lookup_code,
        "cost_unit": item.cost_unit,
        "sold_by": item.sold_by,
        "quantity": quantity,
        "unit_price_cents": item.price.cents,
        "list_price_cents": item.list_price.cents,
        "unit_grams": item.unit_grams,
        "tax_category": item.tax_category,
        "deposit_cents": item.deposit.cents,
    }
    return _propose(store_order_id, line_id, shopper_id, offered, key, now)


def propose_own(
    *,
    store_order_id: int,
    line_id: int,
    shopper_id: int,
    name: str,
    price_cents: int,
    code: str,
    quantity: Decimal,
    key: str,
    now: datetime,
) -> int:
    """Propose something on the shelf that the catalogue does not know, by the piece at ``price_cents``.

    It is taxed as the line is. Else as ``propose``.
    """
    domain.checked_offered(quantity, sold_by="count", most=domain.MOST_OF_OWN)
    if not 0 < price_cents <= domain.MOST_CENTS_OF_OWN:
        raise ReplacementInvalid(f"One of them costs more than 0 and at most {domain.MOST_CENTS_OF_OWN} cents.")
    name, code = domain.checked_text(name, longest=200), domain.checked_text(code, longest=64)
    if not name:
        raise ReplacementInvalid("Say what it is, as its label does.")
    offered = {
        "name": name,
        "code": code,
        "cost_unit": "each",
        "sold_by": "count",
        "quantity": quantity,
        "unit_price_cents": price_cents,
        "list_price_cents": price_cents,
    }
    return _propose(store_order_id, line_id, shopper_id, offered, key, now)


@sharding.repeatable
def withdraw(*, store_order_id: int, line_id: int, shopper_id: int, now: datetime) -> bool:
    """Take the open proposal of a line back. False where none is open, or it was taken back before.

    The line stays closed until word is back: where the customer was faster, their answer counts. Raises
    ``StoreOrderNotFound``.
    """
    with sharding.atomic(sharding.home_of_id("store", store_order_id)):
        row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)
        models.StoreOrder.objects.filter(pk=row.pk).update(progress_at=now)
        return _withdraw(row.proposals.filter(line_id=line_id)) > 0


def withdraw_all(row: models.StoreOrder) -> None:
    """Nobody asks for the order's shopper any more. In the caller's transaction, the row locked."""
    _withdraw(row.proposals.all())


@sharding.repeatable
def hear_answer(*, proposal_id: int, now: datetime) -> bool:
    """Do as the customer's shard says about a proposal. False where that was done, or nothing is said yet.

    Accepted, the line is replaced; else what was kept for it goes back to the shelf, and the line is to be picked, or
    to be refunded where that is what the customer said.
    """
    proposal = models.Proposal.objects.get(pk=proposal_id)
    answer = orders.answer(order_id=proposal.order_id, proposal_id=proposal_id)
    if answer is None or answer.status == ReplacementStatus.PROPOSED:
        return False
    with sharding.atomic(sharding.home_of_id("store", proposal_id)):
        row = models.StoreOrder.objects.select_for_update(no_key=True).get(pk=proposal.store_order_id)
        open_one = row.proposals.filter(pk=proposal_id, status=ReplacementStatus.PROPOSED)
        if not open_one.update(status=answer.status, answered_at=now):
            return False
        line = row.lines.filter(line_id=proposal.line_id)
        if answer.status in ACCEPTED:
            lines.move(line, LineStatus.REPLACED, replaced_by=proposal_id)
            return True
        inventory.release_replacement(store_id=row.store_id, claim_id=proposal_id)
        if answer.line_status == LineStatus.TO_REFUND:
            unchanged = line.filter(wish_version__lte=answer.wish_version)
            lines.move(unchanged, LineStatus.TO_REFUND, refund_reason=LineReason.NOT_REPLACED)
    return True


@sharding.repeatable
def note_wish(*, store_id: int, order_id: int, line_id: int, policy: str, item_id: int | None, version: int) -> bool:
    """The customer says anew what they want where the line is out; one given up is to be picked again.

    False for old news. Raises ``StoreOrderNotFound`` while the store has not heard of the order; the message is
    delivered again then.
    """
    with sharding.atomic(sharding.home("store", store_id)):
        mine = models.StoreOrder.objects.filter(store_id=store_id, order_id=order_id)
        row = mine.select_for_update(no_key=True).first()
        if row is None:
            raise StoreOrderNotFound(f"Store {store_id} has not heard of order {order_id} yet.")
        line = row.lines.filter(line_id=line_id, wish_version__lt=version)
        if not line.update(replacement_policy=policy, replacement_item_id=item_id, wish_version=version):
            return False
        if row.status in (Status.WAITING, *domain.TO_BE_PICKED):
            given_up = row.lines.filter(line_id=line_id, status=LineStatus.TO_REFUND)
            lines.move(given_up.exclude(refund_reason=LineReason.TAKEN_OUT), LineStatus.NOT_PICKED)
    return True


def is_asked_about(row: models.StoreOrder, line_id: int) -> bool:
    """Something is proposed for the line, and word of the answer is not back."""
    return row.proposals.filter(line_id=line_id, status=ReplacementStatus.PROPOSED).exists()


def refuse_while_asking(row: models.StoreOrder, line_id: int) -> None:
    """Raises ``QuestionOpen`` while the customer is being asked about the line."""
    if is_asked_about(row, line_id):
        raise QuestionOpen(
            "The customer is being asked about this item: wait for the answer, or withdraw the proposal."
        )


def put_back(line: models.PickLine) -> None:
    """What the line was replaced by is not taken after all. In the caller's transaction, which writes the line."""
    if line.replaced_by_id is not None:
        inventory.release_replacement(store_id=line.store_id, claim_id=line.replaced_by_id)


@sharding.repeatable
def _propose(
    store_order_id: int, line_id: int, shopper_id: int, offered: dict[str, Any], key: str, now: datetime
) -> int:
    target = sharding.home_of_id("store", store_order_id)
    with sharding.atomic(target):
        row = stages.locked(store_order_id=store_order_id, shopper_id=shopper_id)
        again: int | None = row.proposals.filter(key=key).values_list("pk", flat=True).first()
        if again is not None:
            return again
        line = _replaceable(row, line_id, offered.get("item_id"))
        proposal = models.Proposal.objects.create(
            store_order=row,
            store_id=row.store_id,
            order_id=row.order_id,
            line_id=line_id,
            key=key,
            shopper_id=shopper_id,
            proposed_at=now,
            **offered,
        )
        put_back(line)
        if proposal.item_id is not None:
            inventory.hold_replacement(
                store_id=row.store_id,
                order_id=row.order_id,
                claim_id=proposal.pk,
                item_id=proposal.item_id,
                quantity=proposal.quantity,
            )
        lines.move(row.lines.filter(pk=line.pk), LineStatus.NOT_PICKED)
        models.StoreOrder.objects.filter(pk=row.pk).update(progress_at=now)
        event = ReplacementProposed(
            proposal_id=proposal.pk, order_id=row.order_id, store_id=row.store_id, line_id=line_id
        )
        outbox.emit(event, using=target.alias)
    proposal_id: int = proposal.pk
    return proposal_id


def _replaceable(row: models.StoreOrder, line_id: int, item_id: int | None) -> models.PickLine:
    if row.status != Status.PICKING:
        stages.refuse(row, f"The order is not being picked: it is {row.status}.")
    line = row.lines.filter(line_id=line_id).first()
    if line is None:
        raise LineNotFound("There is no such line on this order.")
    if line.is_taken_out:
        raise LineTakenOut("The customer took this out of the order; bring nothing instead.")
    refuse_while_asking(row, line_id)
    if line.replacement_policy == "refund":
        raise ReplacementNotWanted("The customer wants no replacement of this item: mark it to_refund.")
    if item_id == line.item_id:
        raise ReplacementInvalid("That is the item which was ordered: mark it found.")
    return line


def _mine(store_order_id: int, shopper_id: int) -> models.StoreOrder:
    row = models.StoreOrder.objects.filter(pk=store_order_id, shopper_id=shopper_id).first()
    if row is None:
        raise StoreOrderNotFound("There is no such order among yours.")
    return row


def _withdraw(proposals: QuerySet[models.Proposal]) -> int:
    open_ones = list(proposals.filter(status=ReplacementStatus.PROPOSED, is_withdrawn=False).order_by("pk"))
    for proposal in open_ones:
        models.Proposal.objects.filter(pk=proposal.pk).update(is_withdrawn=True)
        event = ReplacementWithdrawn(
            proposal_id=proposal.pk,
            order_id=proposal.order_id,
            store_id=proposal.store_id,
            line_id=proposal.line_id,
        )
        outbox.emit(event, using=sharding.alias_of_id("store", proposal.pk))
    return len(open_ones)
