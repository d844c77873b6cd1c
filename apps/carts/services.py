from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import NamedTuple

from django.db.models import F
from django.db.models.functions import Now

import sharding
from apps.carts import domain, models
from apps.carts.errors import CartFull, CartStale, LineTwice, NotSoldHere, ReplacementInvalid
from apps.carts.types import BEST_MATCH, ITEM, LineInput
from apps.catalog import selectors as catalog
from apps.catalog.types import Item
from apps.stores import selectors as stores


def set_line(
    *,
    customer_id: int,
    store_id: int,
    item_id: int,
    quantity: Decimal,
    note: str = "",
    replacement_policy: str | None = None,
    replacement_item_id: int | None = None,
    in_pieces: bool = False,
    version: int | None = None,
) -> int:
    """``set_lines`` of one."""
    line = LineInput(
        item_id=item_id,
        quantity=quantity,
        in_pieces=in_pieces,
        note=note,
        replacement_policy=replacement_policy,
        replacement_item_id=replacement_item_id,
    )
    return set_lines(customer_id=customer_id, store_id=store_id, lines=[line], version=version)


def set_lines(*, customer_id: int, store_id: int, lines: Collection[LineInput], version: int | None = None) -> int:
    """Make the customer's cart at that store hold exactly these quantities; zero takes an item out.

    All or nothing. What the cart holds of other items stays. Returns the cart's version, one more if
    anything changed. Setting rather than adding makes a repeated request harmless; also one that
    carries the ``version`` it has itself made old. 6 queries, however many lines; 1 more to remember what is wanted
    when an item is out.

    Raises:
        StoreNotFound: no such store.
        NotSoldHere: the store does not carry an item. (Taking out is always possible.)
        QuantityOutOfRange, QuantityNotWhole, NotSoldInPieces, NoteTooLong, NoteUnprintable
        ReplacementPolicyUnknown, ReplacementInvalid: the item must be another one that the store sells.
        LineTwice: two of ``lines`` are about the same item.
        CartStale: ``version`` is given and the cart is at another one.
        CartFull: the cart would hold more than ``domain.MAX_LINES`` items.
    """
    last = _remembered(customer_id, lines)
    wanted = _checked(store_id, lines, last)
    choices = _choices(customer_id, lines, last)
    is_filled = any(values is not None for values in wanted.values())

    def change() -> int:
        carts = models.Cart.objects.filter(customer_id=customer_id, store_id=store_id).select_for_update()
        cart = carts.first()
        if cart is None and not is_filled:
            return 0
        if cart is None:
            made = models.Cart(customer_id=customer_id, store_id=store_id)
            models.Cart.objects.bulk_create([made], ignore_conflicts=True)
            cart = carts.get()
        rows = models.CartLine.objects.filter(customer_id=customer_id, cart_id=cart.pk)
        there = {item_id: _Values(*values) for item_id, *values in rows.values_list("item_id", *_Values._fields)}
        changed = {item_id: values for item_id, values in wanted.items() if _said(there.get(item_id)) != _said(values)}
        if not changed:
            return cart.version
        if version is not None and version != cart.version:
            raise CartStale("Your cart was changed meanwhile; look at it again.")
        gone = [item_id for item_id, values in changed.items() if values is None]
        put = {item_id: values for item_id, values in changed.items() if values is not None}
        if len(there.keys() | put.keys()) - len(gone) > domain.MAX_LINES and put.keys() - there.keys():
            raise CartFull(f"A cart holds at most {domain.MAX_LINES} different items.")
        if gone:
            rows.filter(item_id__in=gone).delete()
        if put:
            models.CartLine.objects.bulk_create(
                [
                    models.CartLine(cart_id=cart.pk, customer_id=customer_id, item_id=item_id, **values._asdict())
                    for item_id, values in put.items()
                ],
                update_conflicts=True,
                unique_fields=["customer_id", "cart", "item_id"],
                update_fields=_Values._fields,
            )
        if choices:
            models.ReplacementChoice.objects.bulk_create(
                choices,
                update_conflicts=True,
                unique_fields=["customer_id", "item_id"],
                update_fields=["replacement_policy", "replacement_item_id"],
            )
        return _changed(cart)

    return sharding.run(sharding.home("customer", customer_id), change)


@sharding.repeatable
def clear(*, customer_id: int, store_id: int, version: int) -> bool:
    """Empty the cart if it is still at ``version``; False when it has changed since (and stays as it is).

    Repeating is harmless: the first call makes a new version. It may be part of the transaction that
    makes an order of the cart.
    """
    with sharding.atomic(sharding.home("customer", customer_id), savepoint=False):
        rows = models.Cart.objects.filter(customer_id=customer_id, store_id=store_id, version=version)
        if not rows.update(version=F("version") + 1, changed_at=Now()):
            return False
        models.CartLine.objects.filter(customer_id=customer_id, cart__store_id=store_id).delete()
    return True


def set_alcohol_rule(*, state: str, postcode_prefix: str = "", is_allowed: bool) -> None:
    """From now on alcohol is, or is not, brought to addresses there."""
    models.AlcoholRule.objects.update_or_create(
        state=state.upper(), postcode_prefix=postcode_prefix, defaults={"is_allowed": is_allowed}
    )


class _Values(NamedTuple):
    """What a line says of its item."""

    quantity: Decimal
    note: str
    replacement_policy: str
    replacement_item_id: int | None
    pieces: int | None
    seen_price_cents: int | None


def _said(values: _Values | None) -> _Values | None:
    """``values`` without the price, which the shop says: a line put in again as it is was not changed."""
    return values and values._replace(seen_price_cents=None)


_Choice = tuple[str, int | None]
"""Policy, and the item that is wanted."""


def _remembered(customer_id: int, lines: Collection[LineInput]) -> dict[int, _Choice]:
    """What the customer wanted last when these items are out, by item id. 1 query."""
    asked = [line.item_id for line in lines]
    rows = models.ReplacementChoice.objects.filter(customer_id=customer_id, item_id__in=asked)
    return {row.item_id: (row.replacement_policy, row.replacement_item_id) for row in rows}


def _choices(
    customer_id: int, lines: Collection[LineInput], last: Mapping[int, _Choice]
) -> list[models.ReplacementChoice]:
    """What the lines say that is not remembered yet; the best match goes without saying."""
    return [
        models.ReplacementChoice(
            customer_id=customer_id,
            item_id=line.item_id,
            replacement_policy=line.replacement_policy,
            replacement_item_id=line.replacement_item_id,
        )
        for line in sorted(lines, key=lambda line: line.item_id)
        if line.replacement_policy is not None
        and line.quantity
        and (line.replacement_policy, line.replacement_item_id) != last.get(line.item_id, (BEST_MATCH, None))
    ]


def _checked(store_id: int, lines: Collection[LineInput], last: Mapping[int, _Choice]) -> dict[int, _Values | None]:
    """By item id, what the cart is to hold; None for what goes."""
    if len({line.item_id for line in lines}) != len(lines):
        raise LineTwice("Name each item once.")
    filled = [line for line in lines if not line.quantity.is_finite() or line.quantity]
    wanted: dict[int, _Values | None] = {line.item_id: None for line in lines}
    if not filled:
        return wanted
    stores.store(store_id=store_id)
    chosen: dict[int, _Choice] = {
        line.item_id: last.get(line.item_id, (BEST_MATCH, None))
        if line.replacement_policy is None
        else (line.replacement_policy, line.replacement_item_id)
        for line in filled
    }
    named = [item_id for _, item_id in chosen.values() if item_id is not None]
    items = catalog.items_by_id(store_id=store_id, item_ids=[*(line.item_id for line in filled), *named])
    for line in filled:
        item = items.get(line.item_id)
        if item is None or not item.in_assortment:
            raise NotSoldHere("This store does not sell that.")
        in_pieces = line.in_pieces and item.sold_by == "weight"
        quantity = domain.weight_of(line.quantity, par_weight=item.par_weight) if in_pieces else line.quantity
        policy, other_id = chosen[line.item_id]
        other = items.get(other_id) if other_id is not None else None
        if line.replacement_policy is None and policy == ITEM and (other is None or not other.in_assortment):
            policy, other_id = BEST_MATCH, None  # what was chosen then is not sold any more
        wanted[line.item_id] = _Values(
            quantity=domain.checked_quantity(quantity, sold_by=item.sold_by, most=item.max_in_cart),
            note=domain.checked_note(line.note),
            replacement_policy=domain.checked_policy(policy),
            replacement_item_id=_checked_replacement(item, policy, other_id, other),
            pieces=int(line.quantity) if in_pieces else None,
            seen_price_cents=item.price.cents,
        )
    return wanted


def _checked_replacement(item: Item, policy: str, other_id: int | None, other: Item | None) -> int | None:
    if policy != ITEM:
        if other_id is not None:
            raise ReplacementInvalid("An item to replace it goes with the policy item.")
        return None
    if other is None or not other.in_assortment or other.id == item.id:
        raise ReplacementInvalid("Name another item of this store to replace it.")
    return other.id


def _changed(cart: models.Cart) -> int:
    cart.version += 1
    cart.save(update_fields=["version", "changed_at"])
    return cart.version
