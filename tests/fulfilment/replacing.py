"""An order that is being picked, in a store that has something else on its shelves too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

import sharding
from apps.carts import selectors as carts
from apps.carts import services as cart_services
from apps.catalog import services as catalog
from apps.catalog.types import FeedItem
from apps.common import outbox
from apps.fulfilment import models, selectors, services
from apps.fulfilment.types import PickLine
from apps.inventory import models as inventory
from apps.orders import selectors as orders
from apps.orders import services as order_services
from apps.orders.types import Order, OrderLine, Replacement
from tests.orders.factories import BANANAS, BEER, MILK, MORNING, Market, make_market, make_ready, set_stock

ME = 31
OAT, CREAM, COLA, SPARKLING, APPLES = "oat", "cream", "cola", "sparkling", "4131"
ORDERED = {BANANAS: Decimal("2.5"), MILK: Decimal(2), BEER: Decimal(1)}
_keys = count(1)


def _item(code: str, name: str, price_cents: int, **more: object) -> FeedItem:
    usual = {"department": "Dairy", "aisle": "7", "rank": 3, "tax_category": "grocery"}
    return FeedItem(lookup_code=code, name=name, price_cents=price_cents, **(usual | more))  # type: ignore[arg-type]


DRINKS = {"department": "Drinks", "aisle": "9", "tax_category": "general"}
MORE = (
    _item(OAT, "Oat milk", 369),
    _item(CREAM, "Cream", 520),
    _item(COLA, "Cola, 6 bottles", 1250, deposit_cents=90, **DRINKS),
    _item(SPARKLING, "Sparkling wine", 1099, alcoholic=True, **DRINKS),
    _item(APPLES, "Apples", 61, cost_unit="lb", department="Produce", aisle="1"),
)


def make_wide_market(*, stock: Mapping[str, str] | None = None, now: datetime = MORNING) -> Market:
    """``make_market`` and, beside its milk (349), bananas (59 a pound) and beer (1099 and 60 deposit), ``MORE``."""
    market = make_market(now=now)
    put = {item.lookup_code: catalog.put_item(store_id=market.store_id, item=item, now=now) for item in MORE}
    market = Market(store_id=market.store_id, item_ids={**market.item_ids, **put}, window_ids=market.window_ids)
    set_stock(market.store_id, market.item_ids, {code: (stock or {}).get(code, "50") for code in put}, now=now)
    return market


@dataclass
class Picking:
    """An order of 2.5 lb of bananas, 2 milk and 1 beer, its shopper in the store; all of it told.

    ``policies`` by code: the policy and the item wanted instead.
    """

    market: Market = field(default_factory=make_wide_market)
    policies: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    order_id: int = 0
    customer_id: int = 0
    store_order_id: int = 0

    def __post_init__(self) -> None:
        ready = make_ready(market=self.market)
        for code, (policy, instead) in self.policies.items():
            cart_services.set_line(
                customer_id=ready.customer.id,
                store_id=self.market.store_id,
                item_id=self.market.item_ids[code],
                quantity=ORDERED[code],
                replacement_policy=policy,
                replacement_item_id=self.market.item_ids[instead] if instead else None,
            )
        version = carts.cart(customer_id=ready.customer.id, store_id=self.market.store_id).version
        self.order_id = ready.place(cart_version=version).order_id
        self.customer_id = ready.customer.id
        self.tell()
        row = models.StoreOrder.objects.get(store_id=self.market.store_id, order_id=self.order_id)
        self.store_order_id = row.pk
        services.assign(store_id=self.market.store_id, store_order_ids=[row.pk], shopper_id=ME, now=MORNING)
        services.start_picking(store_order_id=row.pk, shopper_id=ME, now=MORNING)
        self.tell()

    def tell(self) -> None:
        """Deliver what the two shards of this order have to tell, until nothing is left."""
        outbox.drain(aliases=self.shards)

    def tell_once(self) -> None:
        """One round of the relay over these two, as if a day later; failing messages stay for the next."""
        for alias in self.shards:
            outbox.relay(using=alias, now=MORNING + timedelta(days=3650))

    @property
    def shards(self) -> list[str]:
        homes = {sharding.alias_for("customer", self.customer_id), sharding.alias_for("store", self.market.store_id)}
        return sorted(homes)

    @property
    def order(self) -> Order:
        return orders.order_for_staff(order_id=self.order_id)

    def line(self, code: str) -> OrderLine:
        """As the customer sees it."""
        return next(line for line in self.order.lines if line.item_id == self.market.item_ids[code])

    def pick_line(self, code: str) -> PickLine:
        """As the shopper sees it."""
        seen = selectors.store_order(store_order_id=self.store_order_id, shopper_id=ME)
        return next(line for line in seen.lines if line.item_id == self.market.item_ids[code])

    def question(self, code: str) -> Replacement:
        """The one open question about the line."""
        line = self.line(code)
        (found,) = [one for one in self.order.questions if one.line_id == line.id]
        return found

    def propose(self, code: str, instead: str, quantity: str = "2", *, key: str = "", tell: bool = True) -> int:
        proposal_id = services.propose(
            store_order_id=self.store_order_id,
            line_id=self.line(code).id,
            shopper_id=ME,
            item_id=self.market.item_ids[instead],
            quantity=Decimal(quantity),
            key=key or f"key-{next(_keys)}",
            now=MORNING,
        )
        if tell:
            self.tell()
        return proposal_id

    def withdraw(self, code: str, *, tell: bool = True) -> bool:
        done = services.withdraw(
            store_order_id=self.store_order_id, line_id=self.line(code).id, shopper_id=ME, now=MORNING
        )
        if tell:
            self.tell()
        return done

    def answer(self, replacement_id: int, *, approve: bool, tell: bool = True, now: datetime = MORNING) -> str:
        status = order_services.answer_replacement(
            order_id=self.order_id,
            customer_id=self.customer_id,
            replacement_id=replacement_id,
            approve=approve,
            now=now,
        )
        if tell:
            self.tell()
        return status

    def choose(self, code: str, instead: str, *, tell: bool = True) -> None:
        order_services.choose_instead(
            order_id=self.order_id,
            customer_id=self.customer_id,
            line_id=self.line(code).id,
            item_id=self.market.item_ids[instead],
            now=MORNING,
        )
        if tell:
            self.tell()

    def found(self, code: str, quantity: str | None = None, *, tell: bool = True) -> None:
        services.mark_found(
            store_order_id=self.store_order_id,
            line_id=self.line(code).id,
            shopper_id=ME,
            quantity=Decimal(quantity or ORDERED[code]),
            now=MORNING,
        )
        if tell:
            self.tell()

    def refund(self, code: str) -> None:
        services.mark_refund(
            store_order_id=self.store_order_id,
            line_id=self.line(code).id,
            shopper_id=ME,
            reason="out_of_stock",
            now=MORNING,
        )
        self.tell()

    def check_out(self) -> None:
        services.check_out(store_order_id=self.store_order_id, shopper_id=ME, now=MORNING)
        self.tell()

    def reserved(self) -> dict[str, Decimal]:
        """What of each item is promised to anybody, where it is more than nothing."""
        return {code: level.reserved for code, level in self._levels().items() if level.reserved}

    def on_hand(self, code: str) -> Decimal:
        return self._levels()[code].on_hand

    def _levels(self) -> dict[str, inventory.StockLevel]:
        rows = {row.item_id: row for row in inventory.StockLevel.objects.filter(store_id=self.market.store_id)}
        return {code: rows[item_id] for code, item_id in self.market.item_ids.items()}
