from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal

from django.db.models import Count

from apps.carts import domain, models
from apps.carts.errors import AlcoholNotHere, BelowMinimum, CartEmpty, CartStale
from apps.carts.types import Cart, CartLine, CartSummary
from apps.catalog import selectors as catalog
from apps.catalog.types import Item
from apps.common.money import Money
from apps.common.remembered import Remembered
from apps.inventory import selectors as inventory
from apps.stores.types import Store


def cart(*, customer_id: int, store_id: int) -> Cart:
    """The customer's cart at that store at today's prices; an empty one where there is none.

    3 queries, 2 for an empty cart and for none. An item the store has given up stays as a line that
    is not available and costs nothing, so that the customer sees what became of it.
    """
    row, lines = _rows(customer_id, store_id)
    return _cart(store_id, row, lines)


def cart_to_order(*, customer_id: int, store: Store, version: int) -> Cart:
    """``cart``, if it can become an order as the customer saw it. Same queries.

    Raises ``CartStale`` when the cart is not at ``version`` any more, without asking the store's shard;
    ``CartEmpty``; and ``BelowMinimum`` when its goods do not reach the store's minimum basket.
    """
    row, lines = _rows(customer_id, store.id)
    if (row.version if row else 0) != version:
        raise CartStale("Your cart was changed meanwhile; look at it again.")
    if not lines:
        raise CartEmpty("Your cart is empty.")
    found = _cart(store.id, row, lines)
    if found.subtotal.cents < store.minimum_basket.cents:
        raise BelowMinimum(f"{store.name} delivers for {store.minimum_basket} and more.")
    return found


def check_age(cart: Cart, *, birth_date: date | None, today: date, state: str, postcode: str) -> None:
    """Whether who was born on ``birth_date`` may have ``cart`` brought there. The date is kept nowhere.

    No query for a cart without alcohol; else 1 where the state's rules were not asked for lately. Raises
    ``AlcoholNotHere``, ``BirthDateMissing``, ``UnderAge``. Identification is checked at the door as well.
    """
    if not cart.minimum_age:
        return
    rules = [rule for rule in _alcohol_rules.one(state) or () if postcode.startswith(rule.postcode_prefix)]
    nearest = max(rules, key=lambda rule: len(rule.postcode_prefix), default=None)
    if nearest is not None and not nearest.is_allowed:
        raise AlcoholNotHere("Alcohol may not be delivered to this address. Take it out to order the rest.")
    domain.check_age(birth_date, today=today, least=cart.minimum_age)


def minimum_age(items: Collection[Item]) -> int:
    """In years, of who may order ``items``; 0 where everybody may. No query."""
    return domain.DRINKING_AGE if any(item.alcoholic for item in items) else 0


def checked_quantity(item: Item, quantity: Decimal) -> Decimal:
    """``quantity`` when so much of the item may be ordered (or 0); see ``domain.checked_quantity``. No query."""
    return domain.checked_quantity(quantity, sold_by=item.sold_by, most=item.max_in_cart)


def carts(*, customer_id: int) -> tuple[CartSummary, ...]:
    """The customer's carts that hold something, last changed first. 1 query."""
    carts = (
        models.CartLine.objects.filter(customer_id=customer_id)
        .values("cart_id", "cart__store_id", "cart__version")
        .annotate(line_count=Count("id"))
        .order_by("-cart__changed_at", "-cart_id")
    )
    return tuple(
        CartSummary(
            id=cart["cart_id"],
            store_id=cart["cart__store_id"],
            version=cart["cart__version"],
            line_count=cart["line_count"],
        )
        for cart in carts
    )


def _alcohol_rules_of(states: Collection[str]) -> dict[str, list[models.AlcoholRule]]:
    rows = list(models.AlcoholRule.objects.filter(state__in=states))
    return {state: [row for row in rows if row.state == state] for state in states}


_alcohol_rules = Remembered(_alcohol_rules_of)


def _rows(customer_id: int, store_id: int) -> tuple[models.Cart | None, list[models.CartLine]]:
    of_cart = models.CartLine.objects.filter(customer_id=customer_id, cart__store_id=store_id)
    lines = list(of_cart.select_related("cart").order_by("id"))
    if lines:
        return lines[0].cart, lines
    return models.Cart.objects.filter(customer_id=customer_id, store_id=store_id).first(), []


def _cart(store_id: int, row: models.Cart | None, wanted: Sequence[models.CartLine]) -> Cart:
    item_ids = [line.item_id for line in wanted]
    named = [line.replacement_item_id for line in wanted if line.replacement_item_id is not None]
    items = catalog.items_by_id(store_id=store_id, item_ids=[*item_ids, *named]) if wanted else {}
    stock = inventory.available(store_id=store_id, item_ids=item_ids) if wanted else {}
    lines = tuple(_line(line, items, stock) for line in wanted)
    currency = lines[0].total.currency if lines else "USD"
    subtotal = Money.total((line.total for line in lines), currency)
    return Cart(
        id=row.pk if row else None,
        store_id=store_id,
        version=row.version if row else 0,
        lines=lines,
        subtotal=subtotal,
        minimum_age=minimum_age([line.item for line in lines if line.item]),
    )


def _line(line: models.CartLine, items: Mapping[int, Item], stock: Mapping[int, Decimal]) -> CartLine:
    item = items.get(line.item_id)
    if item is None:
        return CartLine(
            item_id=line.item_id,
            name="No longer sold",
            quantity=line.quantity,
            cost_unit="each",
            sold_by="count",
            unit_price=Money(0),
            total=Money(0),
            note=line.note,
            replacement_policy=line.replacement_policy,
            replacement_item_id=line.replacement_item_id,
            replacement_name="",
            pieces=line.pieces,
            price_before=None,
            is_available=False,
            item=None,
        )
    none = Money(0, item.price.currency)
    other = items.get(line.replacement_item_id or 0)
    before = item.price if line.seen_price_cents is None else Money(line.seen_price_cents, item.price.currency)
    return CartLine(
        item_id=line.item_id,
        name=item.name,
        quantity=line.quantity,
        cost_unit=item.cost_unit,
        sold_by=item.sold_by,
        unit_price=item.price,
        total=item.price.times(line.quantity) if item.in_assortment else none,
        note=line.note,
        replacement_policy=line.replacement_policy,
        replacement_item_id=line.replacement_item_id,
        replacement_name=other.name if other else "",
        pieces=line.pieces,
        price_before=before if before != item.price else None,
        is_available=item.in_assortment and stock.get(item.id, Decimal(0)) >= line.quantity,
        item=item,
    )
