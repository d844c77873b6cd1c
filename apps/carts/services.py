from decimal import Decimal

import sharding
from apps.carts import domain, models
from apps.carts.errors import CartFull, CartStale, NotSoldHere
from apps.carts.types import BEST_MATCH
from apps.catalog import selectors as catalog
from apps.stores import selectors as stores


def set_line(
    *,
    customer_id: int,
    store_id: int,
    item_id: int,
    quantity: Decimal,
    note: str = "",
    replacement_policy: str = BEST_MATCH,
    version: int | None = None,
) -> int:
    """Make the customer's cart at that store hold exactly ``quantity`` of the item; zero takes it out.

    Returns the cart's version, one more if anything changed. Setting rather than adding makes a
    repeated request harmless; also one that carries the ``version`` it has itself made old.

    Raises:
        StoreNotFound: no such store.
        NotSoldHere: the store does not carry the item. (Taking out is always possible.)
        QuantityOutOfRange, QuantityNotWhole, NoteTooLong, NoteUnprintable, ReplacementPolicyUnknown
        CartStale: ``version`` is given and the cart is at another one.
        CartFull: the cart has ``domain.MAX_LINES`` other lines already.
    """
    wanted = None
    if not quantity.is_finite() or quantity:
        quantity = _checked(store_id=store_id, item_id=item_id, quantity=quantity)
        wanted = {
            "quantity": quantity,
            "note": domain.checked_note(note),
            "replacement_policy": domain.checked_policy(replacement_policy),
        }

    def change() -> int:
        if wanted is not None:
            models.Cart.objects.get_or_create(customer_id=customer_id, store_id=store_id)
        cart = models.Cart.objects.filter(customer_id=customer_id, store_id=store_id).select_for_update().first()
        if cart is None:
            return 0
        lines = models.CartLine.objects.filter(customer_id=customer_id, cart_id=cart.pk)
        there = lines.filter(item_id=item_id).values("quantity", "note", "replacement_policy").first()
        if there == wanted:
            return cart.version
        if version is not None and version != cart.version:
            raise CartStale("Your cart was changed meanwhile; look at it again.")
        if wanted is None:
            lines.filter(item_id=item_id).delete()
        elif there is not None:
            lines.filter(item_id=item_id).update(**wanted)
        elif lines.count() >= domain.MAX_LINES:
            raise CartFull(f"A cart holds at most {domain.MAX_LINES} different items.")
        else:
            models.CartLine.objects.create(cart_id=cart.pk, customer_id=customer_id, item_id=item_id, **wanted)
        return _changed(cart)

    return sharding.run(sharding.home("customer", customer_id), change)


@sharding.repeatable
def clear(*, customer_id: int, store_id: int, version: int) -> bool:
    """Empty the cart if it is still at ``version``; False when it has changed since (and stays as it is).

    Repeating is harmless: the first call makes a new version. It may be part of the transaction that
    makes an order of the cart.
    """
    with sharding.atomic(sharding.home("customer", customer_id)):
        rows = models.Cart.objects.filter(customer_id=customer_id, store_id=store_id, version=version)
        cart = rows.select_for_update().first()
        if cart is None:
            return False
        models.CartLine.objects.filter(customer_id=customer_id, cart_id=cart.pk).delete()
        _changed(cart)
    return True


def _checked(*, store_id: int, item_id: int, quantity: Decimal) -> Decimal:
    stores.store(store_id=store_id)
    item = catalog.items_by_id(store_id=store_id, item_ids=[item_id]).get(item_id)
    if item is None or not item.in_assortment:
        raise NotSoldHere("This store does not sell that.")
    return domain.checked_quantity(quantity, sold_by=item.sold_by, most=item.max_in_cart)


def _changed(cart: models.Cart) -> int:
    cart.version += 1
    cart.save(update_fields=["version", "changed_at"])
    return cart.version
