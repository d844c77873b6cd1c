"""How a receipt reads, on its page and in letters, in each language. What is new here is shown as it is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from apps.common.money import Money
from apps.orders.types import Receipt, ReceiptCharge, ReceiptLine, ReceiptPayment, Refund
from apps.pricing.types import DEPOSIT, DISCOUNT, FEE, SALE, SURGE, TAX, TIP

Texts = Mapping[str, str]

TEXTS: Final[Mapping[str, Texts]] = {
    "en": {
        "items": "Items",
        "total": "Total",
        "held": "Set aside by your bank",
        "payment": "Payment",
        "refunds": "Refunds",
        "ordered": "ordered {quantity}",
        "card": "{brand} ending in {last4}",
        "some_card": "A card that is no longer saved",
        "by": " by {who}",
    },
    "es": {
        "items": "Artículos",
        "total": "Total",
        "held": "Reservado por tu banco",
        "payment": "Pago",
        "refunds": "Reembolsos",
        "ordered": "pedido: {quantity}",
        "card": "{brand} terminada en {last4}",
        "some_card": "Una tarjeta que ya no está guardada",
        "by": " por {who}",
    },
}
_STAGES: Final[Mapping[str, Texts]] = {
    "en": {
        SALE: "Sale prices",
        DISCOUNT: "Promotions",
        FEE: "Fees",
        DEPOSIT: "Deposits",
        TAX: "Taxes",
        SURGE: "Busy time",
        TIP: "Tip",
    },
    "es": {
        SALE: "Ofertas",
        DISCOUNT: "Promociones",
        FEE: "Cargos",
        DEPOSIT: "Depósitos",
        TAX: "Impuestos",
        SURGE: "Alta demanda",
        TIP: "Propina",
    },
}
_OUTCOMES: Final[Mapping[str, Texts]] = {
    "en": {
        "found": "Found{by}",
        "short": "Found in part{by}",
        "refunded": "Not found{by}, not charged",
        "replaced": "Replaced{by}",
    },
    "es": {
        "found": "Encontrado{by}",
        "short": "Encontrado en parte{by}",
        "refunded": "No encontrado{by}, no cobrado",
        "replaced": "Reemplazado{by}",
    },
}
_PEOPLE: Final[Mapping[str, Texts]] = {
    "en": {"shopper": "your shopper", "customer": "you", "staff": "our support", "store": "the store"},
    "es": {"shopper": "tu comprador", "customer": "tú", "staff": "nuestro equipo", "store": "la tienda"},
}
_REASONS: Final[Mapping[str, Texts]] = {
    "en": {
        "missing": "missing",
        "damaged": "damaged",
        "wrong_item": "wrong item",
        "poor_quality": "poor quality",
        "late": "late",
        "goodwill": "goodwill",
        "other": "other",
    },
    "es": {
        "missing": "faltaba",
        "damaged": "dañado",
        "wrong_item": "artículo equivocado",
        "late": "tarde",
        "poor_quality": "mala calidad",
        "goodwill": "cortesía",
        "other": "otro",
    },
}
_REFUND_STATES: Final[Mapping[str, Texts]] = {
    "en": {"requested": "on its way", "paid": "sent to your card", "failed": "did not arrive; we look into it"},
    "es": {"requested": "en camino", "paid": "enviado a tu tarjeta", "failed": "no llegó; lo estamos revisando"},
}
_STEPS: Final[Mapping[str, Texts]] = {
    "en": {"estimate": "Your order", "tip": "Tip"},
    "es": {"estimate": "Tu pedido", "tip": "Propina"},
}
_SPANISH_CHARGES: Final[Texts] = {
    "delivery": "Entrega",
    "service": "Cargo por servicio",
    "small_basket": "Cesta pequeña",
    "bag": "Bolsas",
    "priority": "Prioridad",
    "heavy": "Pedido pesado",
    "distance": "Larga distancia",
    SURGE: "Alta demanda",
    "authorized": "No más de lo que autorizaste",
    TIP: "Propina",
}
_SPANISH_TAXES: Final[Texts] = {
    "grocery": "Impuesto sobre alimentos",
    "general": "Impuesto sobre las ventas",
    "alcohol": "Impuesto al alcohol",
    "service": "Impuesto sobre el servicio",
    "delivery": "Impuesto sobre la entrega",
    SURGE: "Impuesto sobre el cargo por alta demanda",
}
_SPANISH_MONTHS: Final = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    amount: Money
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The charges of one stage of the pricing."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class ShownLine:
    name: str
    note: str
    ordered: str
    delivered: str
    is_changed: bool
    unit_price: str
    amount: Money
    outcome: str
    """What became of it, and by whom."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A receipt in words; every amount is the receipt's own."""

    lines: tuple[ShownLine, ...]
    items: Money
    sections: tuple[Section, ...]
    payments: tuple[Entry, ...]
    refunds: tuple[Entry, ...]
    kept: Money
    """What was charged less what was given back."""


def shown(receipt: Receipt, language: str) -> Shown:
    return Shown(
        lines=tuple(_line(line, language) for line in receipt.lines),
        items=Money.total((line.amount for line in receipt.lines), receipt.total.currency),
        sections=tuple(
            Section(title, tuple(entries))
            for title, entries in (
                (_stage(kind, language), [_charge(one, language) for one in group])
                for kind, group in groupby(receipt.charges, key=lambda charge: charge.stage)
            )
        ),
        payments=tuple(_payment(payment, language) for payment in receipt.payments),
        refunds=tuple(_refund(refund, language) for refund in receipt.refunds),
        kept=receipt.captured - receipt.refunded,
    )


def moment(at: datetime, zone: ZoneInfo, language: str) -> str:
    """Date and time in the store's time zone: Monday 2 March 2026, 10:05 AM EST."""
    return f"{day(at, zone, language)}, {at.astimezone(zone):%-I:%M %p %Z}"


def day(at: datetime, zone: ZoneInfo, language: str) -> str:
    local = at.astimezone(zone)
    if language == "es":
        return f"{local.day} de {_SPANISH_MONTHS[local.month - 1]} de {local.year}"
    return f"{local:%A %-d %B %Y}"


def reason(code: str, language: str) -> str:
    return _REASONS[language].get(code, code.replace("_", " "))


def quantity(amount: Decimal, line: ReceiptLine) -> str:
    """2.35 lb, 2."""
    plain = f"{Decimal(amount).normalize():f}"
    return f"{plain} {line.cost_unit}" if line.sold_by == "weight" else plain


def who(actor: str, language: str) -> str:
    """``shopper:7`` as the customer knows them; empty for what went by itself."""
    return _PEOPLE[language].get(actor.partition(":")[0], "")


def _line(line: ReceiptLine, language: str) -> ShownLine:
    person = who(line.actor, language)
    by = TEXTS[language]["by"].format(who=person) if person else ""
    known = _OUTCOMES[language].get(line.outcome)
    return ShownLine(
        name=line.name,
        note=line.note,
        ordered=quantity(line.ordered, line),
        delivered=quantity(line.delivered, line),
        is_changed=line.ordered != line.delivered,
        unit_price=f"{line.unit_price}/{line.cost_unit}" if line.cost_unit != "each" else str(line.unit_price),
        amount=line.amount,
        outcome=known.format(by=by) if known else line.outcome.replace("_", " ").capitalize(),
    )


def _stage(kind: str, language: str) -> str:
    return _STAGES[language].get(kind, kind.replace("_", " ").capitalize())


def _charge(charge: ReceiptCharge, language: str) -> Entry:
    label, detail = charge.label, ""
    if language == "es":
        label = _spanish(charge)
    if charge.percent is not None and charge.base is not None:
        detail = f"{charge.percent.normalize():f} % \N{MULTIPLICATION SIGN} {charge.base}"
    return Entry(label, charge.amount, detail)


def _spanish(charge: ReceiptCharge) -> str:
    if charge.kind == TAX:
        return _SPANISH_TAXES.get(charge.code, charge.label)
    if charge.line_name and charge.stage in (SALE, DEPOSIT):
        return f"{'Oferta' if charge.code == SALE else 'Depósito'}, {charge.line_name}"
    return _SPANISH_CHARGES.get(charge.code, charge.label)


def _payment(payment: ReceiptPayment, language: str) -> Entry:
    texts = TEXTS[language]
    card = texts["card"].format(brand=payment.brand.title(), last4=payment.last4) if payment.last4 else ""
    step = _STEPS[language].get(payment.step, payment.step.replace("_", " ").capitalize())
    held = f"{texts['held']}: {payment.authorised}"
    return Entry(step, payment.captured, f"{card or texts['some_card']}. {held}")


def _refund(refund: Refund, language: str) -> Entry:
    person = who(refund.actor, language)
    state = _REFUND_STATES[language].get(refund.status, refund.status)
    what = reason(refund.reason, language).capitalize()
    return Entry(what, -refund.amount, " · ".join(filter(None, (state, person))))
