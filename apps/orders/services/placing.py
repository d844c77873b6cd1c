"""Make an order out of a cart."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import IntegrityError

import sharding
from apps.accounts import selectors as accounts
from apps.accounts.types import Address
from apps.carts import selectors as carts
from apps.carts import services as cart_services
from apps.carts.errors import CartStale
from apps.carts.types import Cart
from apps.common.api.idempotency import fingerprint
from apps.common.errors import DomainError, IdempotencyConflict
from apps.common.money import Money
from apps.inventory.errors import OutOfStock
from apps.orders import domain, models
from apps.orders.domain import Phase, Status
from apps.orders.errors import ItemsUnavailable, PriceChanged
from apps.orders.services import amounts, completing, moving
from apps.orders.types import DropOff, Placed
from apps.payments import selectors as payments
from apps.pricing import services as pricing
from apps.pricing.errors import TipInvalid
from apps.slots import selectors as slots
from apps.slots.errors import WindowClosed, WindowFull
from apps.slots.types import Window
from apps.stores import selectors as stores
from apps.stores.errors import OutOfArea, StorePaused
from apps.stores.types import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What the customer asked for."""

    customer_id: int
    store_id: int
    cart_version: int
    window_id: int
    address_id: int
    card_id: int
    tip: Money
    promotion_code: str
    seen_total: Money | None
    birth_date: date | None
    idempotency_key: str

    @property
    def fingerprint(self) -> str:
        """Of what the order is; ``seen_total`` and ``birth_date`` only guard it."""
        wanted = [self.store_id, self.cart_version, self.window_id, self.address_id, self.card_id, self.tip.cents]
        return fingerprint(*wanted, *([self.promotion_code] if self.promotion_code else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """What an order is made from, read and found good."""

    store: Store
    window: Window
    minutes: int
    cart: Cart
    drop_off: DropOff
    estimate: amounts.Estimate


def place(
    *,
    customer_id: int,
    store_id: int,
    cart_version: int,
    window_id: int,
    address_id: int,
    card_id: int,
    tip: Money,
    idempotency_key: str,
    now: datetime,
    promotion_code: str = "",
    seen_total: Money | None = None,
    birth_date: date | None = None,
) -> Placed:
    """Order what is in the cart, reserve it, hold the window and authorise the card.

    The answer's status says how far that came: ``brand_new``; ``pending`` with an ``action_url`` for
    the customer's bank; ``payment_pending`` while the provider is silent; ``rejected`` with a code
    (out of stock, window full, card declined), and then nothing stays reserved or authorised.

    Sent again with the same key it answers for the same order; without a key (an empty one) the
    cart's version sees to it that one cart becomes one order.

    The order costs what it costs at this moment. ``seen_total`` is what the customer was shown: where it has become
    more, nothing is placed; where less, less is charged.

    Raises:
        IdempotencyConflict: the key was used for another request.
        CartStale, CartEmpty, BelowMinimum, ItemsUnavailable, OutOfStock: this cart cannot be ordered.
        StoreNotFound, StorePaused, OutOfArea, WindowNotFound, WindowClosed, WindowFull: not there, or
            not now.
        AddressNotFound, CardNotFound: not this customer's.
        BirthDateMissing, UnderAge, AlcoholNotHere: there is alcohol in the cart; see ``carts.check_age``.
        PriceChanged: it costs more than ``seen_total``.
        PromotionUnknown and the other refusals of ``pricing.discounts``; PromotionUsed also for a last use that
            another order has just taken.
        TipInvalid, IdempotencyKeyMissing: see ``pricing.quote`` and ``domain.checked_key``.
    """
    request = _Request(
        customer_id=customer_id,
        store_id=store_id,
        cart_version=cart_version,
        window_id=window_id,
        address_id=address_id,
        card_id=card_id,
        tip=tip,
        promotion_code=promotion_code.strip().upper(),
        seen_total=seen_total,
        birth_date=birth_date,
        idempotency_key=domain.checked_key(idempotency_key),
    )
    try:
        placed, lines = _create(request, _checked(request, now), now)
    except (DomainError, IntegrityError):
        order = _earlier(request)  # the same request, a moment ago or a moment faster: it has emptied the cart
        if order is None:
            raise
    else:
        return completing.complete(placed, lines, now=now)
    if order.fingerprint != request.fingerprint:
        raise IdempotencyConflict("This idempotency key was used before for another order.")
    if now < order.placed_at + domain.PATIENCE:  # the first call may still be at it
        return completing.standing(order)
    return completing.resume(order_id=order.pk, now=now)


def return_to_cart(*, order_id: int) -> None:
    """Put a rejected order's lines back where its customer's cart holds none of the item. Repeating is harmless."""
    order = models.Order.objects.get(pk=order_id)
    cart = carts.cart(customer_id=order.customer_id, store_id=order.store_id)
    held = {line.item_id for line in cart.lines}
    for line in order.lines.order_by("position"):
        if line.item_id in held:
            continue
        try:
            cart_services.set_line(
                customer_id=order.customer_id,
                store_id=order.store_id,
                item_id=line.item_id,
                quantity=line.quantity if line.pieces is None else Decimal(line.pieces),
                in_pieces=line.pieces is not None,
                note=line.note,
                # An item to replace it may be gone: the choice is remembered, and falls back to the best match then.
                replacement_policy=None if line.replacement_item_id else line.replacement_policy,
            )
        except DomainError:  # the store stopped selling it in between
            continue


def _earlier(request: _Request) -> models.Order | None:
    if not request.idempotency_key:
        return None
    mine = models.Order.objects.filter(customer_id=request.customer_id)
    return mine.filter(idempotency_key=request.idempotency_key).first()


def _checked(request: _Request, now: datetime) -> _Checked:
    store = stores.store(store_id=request.store_id)
    cart = carts.cart_to_order(customer_id=request.customer_id, store=store, version=request.cart_version)
    if store.is_paused:
        raise StorePaused(f"{store.name} takes no orders at the moment.")
    if request.tip.currency != store.currency:
        raise TipInvalid(f"{store.name} is paid in {store.currency}.")
    window = slots.window(store_id=store.id, window_id=request.window_id)
    if window.is_withdrawn or window.cutoff_at <= now or (window.kind != "scheduled" and now < window.starts_at):
        raise WindowClosed("This delivery window takes no orders at the moment.")
    gone = [line.name for line in cart.lines if line.item is None or not line.item.in_assortment]
    if gone:
        raise ItemsUnavailable(f"Not sold any more: {', '.join(gone)}.")
    short = [line.item_id for line in cart.lines if not line.is_available]
    if short:
        raise OutOfStock(short)
    name, address = accounts.recipient(customer_id=request.customer_id, address_id=request.address_id)
    if not stores.delivers_to(store=store, point=address.point):
        raise OutOfArea(f"{store.name} does not deliver there.")
    units = sum(line.quantity for line in cart.lines)
    minutes = slots.minutes_needed(lines=len(cart.lines), units=units, store=store, door=address.point)
    if window.free_minutes < minutes:
        raise WindowFull("This delivery window has no time left for an order of this size and distance.")
    today = now.astimezone(ZoneInfo(store.timezone)).date()
    carts.check_age(cart, birth_date=request.birth_date, today=today, state=address.state, postcode=address.postcode)
    payments.card(customer_id=request.customer_id, card_id=request.card_id)
    estimate = amounts.estimate(
        customer_id=request.customer_id,
        store=store,
        window=window,
        cart=cart,
        tip=request.tip,
        point=address.point,
        promotion_code=request.promotion_code,
        now=now,
    )
    if request.seen_total is not None and estimate.total > request.seen_total:
        raise PriceChanged(total=estimate.total, seen=request.seen_total)
    return _Checked(
        store=store,
        window=window,
        minutes=minutes,
        cart=cart,
        drop_off=_drop_off(name, address),
        estimate=estimate,
    )


@sharding.repeatable
def _create(request: _Request, checked: _Checked, now: datetime) -> tuple[models.Order, Sequence[models.OrderLine]]:
    """Order, lines, estimate, history and event in one transaction, and the cart emptied in it."""
    customer_id = request.customer_id
    estimate = checked.estimate
    with sharding.atomic(sharding.home("customer", customer_id)):
        if not cart_services.clear(customer_id=customer_id, store_id=request.store_id, version=request.cart_version):
            raise CartStale("Your cart was changed meanwhile; look at it again.")
        order = models.Order.objects.create(
            customer_id=customer_id,
            store_id=request.store_id,
            status=Status.PENDING,
            sequence=1,
            idempotency_key=request.idempotency_key,
            fingerprint=request.fingerprint,
            window_id=checked.window.id,
            window_starts_at=checked.window.starts_at,
            window_ends_at=checked.window.ends_at,
            window_minutes=checked.minutes,
            **models.sealed(drop_off=checked.drop_off, pin=f"{secrets.randbelow(10_000):04}"),
            card_id=request.card_id,
            tip_cents=request.tip.cents,
            currency=request.tip.currency,
            fees=estimate.fees,
            minimum_age=checked.cart.minimum_age,
            surge_percent=estimate.surge_percent,
            authorise_cents=domain.amount_to_authorise(estimate.total).cents,
            placed_at=now,
            pay_by=domain.pay_by(now, checked.window.cutoff_at),
            due_at=now + domain.PATIENCE,
        )
        pricing.redeem(customer_id=customer_id, order_id=order.pk, discounts=estimate.discounts, now=now)
        lines = models.OrderLine.objects.bulk_create(amounts.lines(order, checked.cart))
        models.OrderAdjustment.objects.bulk_create(
            amounts.adjustments(order, lines, estimate.charges, phase=Phase.ESTIMATE)
        )
        moving.note(order, before=None, actor=f"customer:{customer_id}", now=now, name="placed")
    return order, lines


def _drop_off(name: str, address: Address) -> DropOff:
    return DropOff(
        name=name,
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        state=address.state,
        postcode=address.postcode,
        instructions=address.instructions,
        point=address.point,
    )
