"""What customers are told of their orders by e-mail: when, and what it says. How it is sent: apps.notifications."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.shortcuts import resolve_url

from apps.common import clock
from apps.notifications import services as notifications
from apps.notifications.errors import NothingToSay, NotYet
from apps.notifications.types import Letter, Row, Table
from apps.orders import selectors as orders
from apps.orders.errors import OrderNotFound, ReceiptInconsistent
from apps.orders.types import Order, Receipt
from apps.stores import selectors as directory
from apps.stores.types import Store
from apps.web import receipts, wording

PATIENCE: Final = timedelta(minutes=10)
"""How long the letter with the receipt waits for the card to be charged; then it says what is outstanding."""
_LOOK_AGAIN: Final = timedelta(seconds=15)

_WHY_REJECTED: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "out_of_stock": "Something in your order sold out meanwhile. Nothing was charged.",
        "card_declined": "Your bank declined the card. Nothing was charged.",
        "": "The payment could not be made in time. Nothing was charged.",
    },
    "es": {
        "out_of_stock": "Algo de tu pedido se agotó entretanto. No se te ha cobrado nada.",
        "card_declined": "Tu banco rechazó la tarjeta. No se te ha cobrado nada.",
        "": "El pago no se pudo hacer a tiempo. No se te ha cobrado nada.",
    },
}
_WHY_CANCELED: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "customer": "You canceled this order.",
        "card_declined": "Your bank did not agree to set the money aside, so we had to cancel it.",
        "payment_not_completed": "The payment could not be completed in time, so we had to cancel it.",
        "": "We had to cancel this order.",
    },
    "es": {
        "customer": "Cancelaste este pedido.",
        "card_declined": "Tu banco no aceptó reservar el dinero, así que tuvimos que cancelarlo.",
        "payment_not_completed": "El pago no se pudo completar a tiempo, así que tuvimos que cancelarlo.",
        "": "Tuvimos que cancelar este pedido.",
    },
}
_MONEY: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "charged": "Your card was charged {captured}.",
        "outstanding": "Your card will be charged {outstanding} shortly.",
        "nothing": "Nothing was found, so nothing is charged.",
        "checked": "Your receipt is being checked; you will find it on your order's page.",
    },
    "es": {
        "charged": "Se han cobrado {captured} en tu tarjeta.",
        "outstanding": "En breve se cobrarán {outstanding} en tu tarjeta.",
        "nothing": "No se encontró nada, así que no se cobra nada.",
        "checked": "Estamos revisando tu recibo; lo encontrarás en la página de tu pedido.",
    },
}


def tell(kind: str, *, customer_id: int, order_id: int, occasion: str = "", **facts: object) -> None:
    """Have the customer told once; ``occasion`` tells apart what can happen to an order more than once."""
    notifications.notify(
        customer_id=customer_id,
        kind=kind,
        key=f"{kind}:{order_id}:{occasion}",
        facts={"order_id": order_id, **facts},
        now=clock.now(),
    )


@notifications.composer("order_placed")
def placed(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, zone = _order(customer_id, facts)
    if order.status in ("canceled", "rejected"):
        raise NothingToSay
    window = _window(order.window_starts_at, order.window_ends_at, zone, language)
    return _letter(order, store=store.name, window=window, total=str(order.total), hold=str(order.authorised))


@notifications.composer("payment_waiting")
def payment_waiting(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, zone = _order(customer_id, facts)
    if order.status != "payment_pending":
        raise NothingToSay
    return _letter(order, store=store.name, deadline=receipts.moment(order.pay_by, zone, language))


@notifications.composer("order_rejected")
def rejected(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, _ = _order(customer_id, facts)
    whys = _WHY_REJECTED[language]
    return _letter(order, store=store.name, why=whys.get(order.rejected_code, whys[""]))


@notifications.composer("order_rescheduled")
def rescheduled(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, zone = _order(customer_id, facts)
    starts_at, ends_at = (datetime.fromisoformat(facts[name]) for name in ("window_starts_at", "window_ends_at"))
    return _letter(
        order, store=store.name, window=_window(starts_at, ends_at, zone, language), total=str(order.estimate)
    )


@notifications.composer("order_canceled")
def canceled(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, _ = _order(customer_id, facts)
    step = next((event for event in order.events if event.to_status == "canceled"), None)
    whys = _WHY_CANCELED[language]
    reason = str(step.data.get("reason", "")) if step else ""
    who = step.actor.partition(":")[0] if step else ""
    return _letter(order, store=store.name, why=whys.get(who) or whys.get(reason) or whys[""])


@notifications.composer("order_on_the_way")
def on_the_way(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, _ = _order(customer_id, facts)
    if order.status != "delivering":
        raise NothingToSay
    return _letter(order, store=store.name)


@notifications.composer("order_delivered")
def delivered(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, zone = _order(customer_id, facts)
    delivered_at = order.delivered_at or order.window_ends_at
    when = receipts.moment(delivered_at, zone, language)
    try:
        receipt = orders.receipt(order_id=order.id, customer_id=customer_id)
    except ReceiptInconsistent:
        return _letter(order, store=store.name, delivered=when, money=_MONEY[language]["checked"])
    if receipt.outstanding and clock.now() < delivered_at + PATIENCE:
        raise NotYet(_LOOK_AGAIN)
    return _letter(
        order,
        path="web:receipt",
        tables=_tables(receipt, language),
        store=store.name,
        delivered=when,
        money=_money(receipt, language),
    )


@notifications.composer("refund_made")
def refunded(customer_id: int, facts: Mapping[str, Any], language: str) -> Letter:
    order, store, _ = _order(customer_id, facts)
    refund = next((one for one in orders.refunds(order_id=order.id) if one.number == facts["number"]), None)
    if refund is None or refund.status != "paid":
        raise NothingToSay
    why = receipts.reason(refund.reason, language)
    return _letter(order, path="web:receipt", store=store.name, amount=str(refund.amount), why=why)


def _order(customer_id: int, facts: Mapping[str, Any]) -> tuple[Order, Store, ZoneInfo]:
    try:
        order = orders.order(order_id=facts["order_id"], customer_id=customer_id)
    except OrderNotFound:
        raise NothingToSay from None
    store = directory.store(store_id=order.store_id)
    return order, store, ZoneInfo(store.timezone)


def _letter(order: Order, *, path: str = "web:order", tables: tuple[Table, ...] = (), **values: str) -> Letter:
    return Letter(
        values=values,
        link=f"{settings.PUBLIC_URL}{resolve_url(path, order.id)}",
        account_link=f"{settings.PUBLIC_URL}{resolve_url('web:account')}#letters",
        tables=tables,
    )


def _window(starts_at: datetime, ends_at: datetime, zone: ZoneInfo, language: str) -> str:
    if language == "en":
        return wording.window(starts_at, ends_at, zone)
    until = wording.clock_time(ends_at, zone)
    return f"el {receipts.day(starts_at, zone, language)}, de {wording.clock_time(starts_at, zone)} a {until}"


def _money(receipt: Receipt, language: str) -> str:
    texts = _MONEY[language]
    said = [
        texts["charged"].format(captured=receipt.captured) if receipt.captured else "",
        texts["outstanding"].format(outstanding=receipt.outstanding) if receipt.outstanding else "",
    ]
    return " ".join(filter(None, said)) or texts["nothing"]


def _tables(receipt: Receipt, language: str) -> tuple[Table, ...]:
    """The receipt as its page has it, in rows of a label and an amount."""
    texts, shown = receipts.TEXTS[language], receipts.shown(receipt, language)
    items = [
        Row(
            label=f"{line.delivered} {line.name}",
            amount=str(line.amount),
            detail=" · ".join(
                part
                for part in (
                    texts["ordered"].format(quantity=line.ordered) if line.is_changed else "",
                    line.unit_price,
                    line.outcome,
                )
                if part
            ),
        )
        for line in shown.lines
    ]
    charges = [
        Row(label=entry.label, amount=str(entry.amount), detail=entry.detail)
        for section in shown.sections
        for entry in section.entries
    ]
    paid = [Row(label=entry.label, amount=str(entry.amount), detail=entry.detail) for entry in shown.payments]
    given_back = [Row(label=entry.label, amount=str(entry.amount), detail=entry.detail) for entry in shown.refunds]
    total = Row(label=texts["total"], amount=str(receipt.total), is_total=True)
    tables = (
        Table(title=texts["items"], rows=(*items, *charges, total)),
        Table(title=texts["payment"], rows=tuple(paid)),
        Table(title=texts["refunds"], rows=tuple(given_back)),
    )
    return tuple(table for table in tables if table.rows)
