"""Another list of lines for an order under way: planned and paid for here, decided by its store, then written here.

``fulfilment.services.edit`` goes through the steps; the store's shard decides, because it knows what is in the bag.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import sharding
from apps.carts import selectors as carts
from apps.carts.errors import BelowMinimum, CartFull, LineTwice
from apps.carts.types import BEST_MATCH, Cart
from apps.catalog import selectors as catalog
from apps.catalog.types import Item
from apps.common.money import Money
from apps.inventory import selectors as inventory
from apps.inventory.errors import OutOfStock
from apps.orders import domain, models
from apps.orders.domain import LineStatus, Phase
from apps.orders.errors import (
    EditOverlaps,
    ItemsUnavailable,
    LineAlreadyPicked,
    NothingLeft,
    OrderNotFound,
    QuestionOpen,
    TooLateToEdit,
)
from apps.orders.services import amounts, covering, moving, picking
from apps.orders.types import Edit, EditedLine, LineReason, LineWish
from apps.pricing.types import Charge
from apps.stores import selectors as stores

_DETAILS = (
    *("position", "name", "department", "aisle", "rank", "cost_unit", "sold_by", "unit_price_cents"),
    *("list_price_cents", "unit_grams", "tax_category", "deposit_cents", "note", "replacement_policy"),
)
"""The columns of a new line that its item decides."""


def plan_edit(
    *, order_id: int, wishes: Collection[LineWish], actor: str, birth_date: date | None, now: datetime
) -> Edit | None:
    """What it takes to make the order's lines be of these quantities; None where they are.

    Nothing of the order changes by this; but where its card is not authorised for enough, the difference is held (a
    payment of its own, ``added-1`` and so on), and what is held stays held for the next try. A line keeps the price
    it was ordered at, a new one costs what the item costs now; fees, rates and promotions are those of the order.

    Raises:
        OrderNotFound, TooLateToEdit
        LineTwice, ItemsUnavailable, OutOfStock, QuantityOutOfRange, QuantityNotWhole, CartFull
        LineAlreadyPicked: it is in the bag already and is to become less, or was replaced, or looked for in vain.
        QuestionOpen: the customer is being asked about a replacement of the line.
        NothingLeft, BelowMinimum: too little would be left of the order.
        BirthDateMissing, UnderAge, AlcoholNotHere: see ``carts.check_age``; the order had no alcohol before.
        EditNotCovered, EditNeedsBank: see ``covering.covered``, and what ``payments.authorise`` raises.
    """
    order = _order(order_id)
    if order.status not in domain.EDITABLE:
        raise TooLateToEdit(f"An order that is {order.status} can no longer be changed.")
    if len({wish.item_id for wish in wishes}) != len(wishes):
        raise LineTwice("Name each item once.")
    rows = list(order.lines.order_by("position"))
    there = {row.item_id: row for row in rows}
    before = {item_id: Decimal(0) if row.is_taken_out else row.quantity for item_id, row in there.items()}
    wanted = {wish.item_id: wish.quantity for wish in wishes if wish.quantity != before.get(wish.item_id, 0)}
    if not wanted:
        return None
    asked = picking.asked_about(order)
    for row in rows:
        if row.item_id in wanted and row.pk in asked:
            raise QuestionOpen(f"Your shopper asks you about {row.name}: answer that first.")
    items = catalog.items_by_id(store_id=order.store_id, item_ids=wanted)
    for item_id, quantity in wanted.items():
        _check_line(there.get(item_id), items.get(item_id), quantity, before.get(item_id, Decimal(0)))
    _check_stock(order, {item_id: quantity - before.get(item_id, 0) for item_id, quantity in wanted.items()})
    present = _sum(amounts.estimated(order, rows), order)
    edited = _edited(order, rows, wanted, items)
    minimum_age = max(order.minimum_age, _checked_age(order, list(items.values()), birth_date, now))
    estimate = _sum(amounts.estimated(order, edited), order)
    by_item = {row.item_id: row for row in edited}
    return Edit(
        number=order.edits + 1,
        lines=tuple(
            EditedLine(
                line_id=by_item[item_id].pk,
                item_id=item_id,
                before=before.get(item_id, Decimal(0)),
                quantity=quantity,
                details=None if item_id in there else {name: getattr(by_item[item_id], name) for name in _DETAILS},
            )
            for item_id, quantity in sorted(wanted.items())
        ),
        authorise_cents=covering.covered(order, estimate, present=present, now=now),
        minimum_age=minimum_age,
        actor=actor,
    )


@sharding.repeatable
def apply_edit(*, order_id: int, edit: Edit, now: datetime) -> bool:
    """Write a change that the store has agreed to into the order. False, and nothing happens, if that was done before

    or the order has ended. Its estimate is reckoned anew; what it was before is in the history.

    Raises ``OrderNotFound``, and ``EditOverlaps`` while an earlier change is not written yet.
    """
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = models.Order.objects.filter(pk=order_id).select_for_update(of=("self",), no_key=True).first()
        if order is None:
            raise OrderNotFound(f"There is no order {order_id}.")
        if order.edits >= edit.number or order.status in domain.UNDONE:
            return False
        if order.edits != edit.number - 1:
            raise EditOverlaps("An earlier change of this order is still on its way here; try again.")
        rows = {row.pk: row for row in order.lines.order_by("position")}
        changes = [_write(order, rows, line) for line in edit.lines]
        was, charges = _total(order), amounts.estimated(order, list(rows.values()))
        order.adjustments.filter(phase=Phase.ESTIMATE).delete()
        models.OrderAdjustment.objects.bulk_create(
            amounts.adjustments(order, list(rows.values()), charges, phase=Phase.ESTIMATE)
        )
        columns = {
            "edits": edit.number,
            "authorise_cents": max(order.authorise_cents, edit.authorise_cents),
            "minimum_age": edit.minimum_age,
            "sequence": order.sequence + 1,
        }
        models.Order.objects.filter(pk=order_id).update(**columns)
        for column, value in columns.items():
            setattr(order, column, value)
        data = {"lines": changes, "from_cents": was, "to_cents": sum(charge.amount.cents for charge in charges)}
        moving.note(order, before=domain.Status(order.status), actor=edit.actor, now=now, name=domain.EDITED, data=data)
        if order.status in domain.BEING_PICKED:
            picking.follow_questions(order, actor=edit.actor, now=now)
    return True


def _check_line(row: models.OrderLine | None, item: Item | None, quantity: Decimal, before: Decimal) -> None:
    if row is not None and not row.is_taken_out:
        is_in_the_bag = row.status == LineStatus.FOUND and quantity < before
        if is_in_the_bag or row.status in (LineStatus.TO_REFUND, LineStatus.REPLACED):
            raise LineAlreadyPicked(f"Your shopper has dealt with {row.name} already.")
    if quantity and (item is None or not item.in_assortment):
        raise ItemsUnavailable("The store does not sell that any more; you may only take it out.")
    if item is not None:
        carts.checked_quantity(item, quantity)


def _check_stock(order: models.Order, deltas: Mapping[int, Decimal]) -> None:
    """Before the bank is asked for anything; the reservation decides."""
    more = {item_id: delta for item_id, delta in deltas.items() if delta > 0}
    free = inventory.available(store_id=order.store_id, item_ids=more)
    short = [item_id for item_id, delta in more.items() if free[item_id] < delta]
    if short:
        raise OutOfStock(short)


def _edited(
    order: models.Order, rows: Sequence[models.OrderLine], wanted: Mapping[int, Decimal], items: Mapping[int, Item]
) -> list[models.OrderLine]:
    """The lines as they are to be, not saved; new ones with the ids they will have."""
    goods_before = _goods(order, rows)
    there = {row.item_id for row in rows}
    for row in rows:
        if row.item_id in wanted:
            _set(row, wanted[row.item_id])
    new = [item_id for item_id in sorted(wanted.keys() - there) if wanted[item_id]]
    ids = sharding.reserve_ids(sharding.home("customer", order.customer_id), len(new)) if new else []
    position = max(row.position for row in rows)
    added = [
        amounts.line_of(
            order,
            items[item_id],
            wanted[item_id],
            id=line_id,
            position=position + place,
            replacement_policy=BEST_MATCH,
        )
        for place, (item_id, line_id) in enumerate(zip(new, ids, strict=True), start=1)
    ]
    edited = [*rows, *added]
    left = [row for row in edited if not row.is_taken_out]
    if not left:
        raise NothingLeft("Nothing would be left of this order; cancel it instead.")
    if len(edited) > domain.MAX_LINES:
        raise CartFull(f"An order holds at most {domain.MAX_LINES} different items.")
    goods = _goods(order, edited)
    minimum = stores.store(store_id=order.store_id).minimum_basket
    if goods < goods_before and goods.cents < minimum.cents:
        raise BelowMinimum(f"The store delivers for {minimum} and more.")
    return edited


def _goods(order: models.Order, rows: Sequence[models.OrderLine]) -> Money:
    prices = (Money(row.unit_price_cents, order.currency).times(row.quantity) for row in rows if not row.is_taken_out)
    return Money.total(prices, order.currency)


def _checked_age(order: models.Order, items: Collection[Item], birth_date: date | None, now: datetime) -> int:
    """How old one has to be for ``items``; asked only where the order had nothing of the kind before."""
    least = carts.minimum_age(items)
    drop_off = order.drop_off
    if least > order.minimum_age and drop_off is not None:
        store = stores.store(store_id=order.store_id)
        cart = Cart(
            id=None, store_id=store.id, version=0, lines=(), subtotal=Money(0, order.currency), minimum_age=least
        )
        today = now.astimezone(ZoneInfo(store.timezone)).date()
        carts.check_age(cart, birth_date=birth_date, today=today, state=drop_off.state, postcode=drop_off.postcode)
    return least


def _set(row: models.OrderLine, quantity: Decimal) -> None:
    """Let the line be of ``quantity``: looked for anew, or not any more."""
    row.pieces = None
    if quantity:
        row.quantity, row.reason = quantity, ""
        if row.status != LineStatus.FOUND or quantity > (row.found_quantity or 0):
            row.status, row.found_quantity = LineStatus.NOT_PICKED, None
    else:
        row.status, row.found_quantity, row.reason = LineStatus.TO_REFUND, Decimal(0), LineReason.TAKEN_OUT


def _write(order: models.Order, rows: dict[int, models.OrderLine], line: EditedLine) -> dict[str, str]:
    """Save the line as it is to be; what the history says of it."""
    if line.details is not None:
        row = rows[line.line_id] = models.OrderLine.objects.create(
            id=line.line_id,
            order=order,
            customer_id=order.customer_id,
            item_id=line.item_id,
            quantity=line.quantity,
            **line.details,
        )
    else:
        row = rows[line.line_id]
        _set(row, line.quantity)
        row.save(update_fields=["quantity", "pieces", "status", "found_quantity", "reason"])
    return {"name": row.name, "from": f"{line.before.normalize():f}", "to": f"{line.quantity.normalize():f}"}


def _sum(charges: Sequence[Charge], order: models.Order) -> Money:
    return Money.total((charge.amount for charge in charges), order.currency)


def _total(order: models.Order) -> int:
    return sum(order.adjustments.filter(phase=Phase.ESTIMATE).values_list("amount_cents", flat=True))


def _order(order_id: int) -> models.Order:
    order = models.Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order
