"""The receipt of an order, from its lines and money lines as they are: kinds and codes that are new here show too."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from apps.common.money import Money
from apps.orders.domain import LineStatus, Phase, RefundStatus
from apps.orders.errors import ReceiptInconsistent, ReceiptNotReady
from apps.orders.types import Adjustment, Order, OrderLine, Receipt, ReceiptCharge, ReceiptLine, ReceiptPayment, Refund
from apps.payments.types import Card, Payment
from apps.pricing.types import DEPOSIT, DISCOUNT, FEE, ITEM, SALE, SURGE, TAX, TIP

logger = logging.getLogger(__name__)

_STAGES = (SALE, DISCOUNT, FEE, DEPOSIT, TAX, SURGE, TIP)
"""In which order a receipt names them; what is none of these comes behind."""
_HELD = frozenset({"authorised", "capturing", "captured"})


def made(
    order: Order,
    *,
    sold_cents: int,
    tax_percents: Mapping[str, str],
    refunds: Sequence[Refund],
    payments: Sequence[Payment],
    cards: Sequence[Card],
) -> Receipt:
    """Raises ``ReceiptNotReady`` and ``ReceiptInconsistent``; ``sold_cents`` is what the ledger says was sold."""
    if order.delivered_at is None and not sold_cents:
        raise ReceiptNotReady("There is a receipt once the order is delivered.")
    currency = order.total.currency
    final = [entry for entry in order.adjustments if entry.phase == Phase.FINAL]
    of_lines = {line.id for line in order.lines}
    prices = Counter[int]()
    charged: list[Adjustment] = []
    for entry in final:
        if entry.kind == ITEM and entry.line_id in of_lines:
            prices[entry.line_id or 0] += entry.amount.cents
        else:
            charged.append(entry)
    picker = _picker(order)
    reasons = {entry.line_id: entry.reason for entry in final if entry.kind == ITEM}
    lines = tuple(
        _line(line, Money(prices[line.id], currency), reasons.get(line.id, ""), picker) for line in order.lines
    )
    charges = tuple(_charges(charged, order.lines, tax_percents))
    total = Money(sold_cents, currency)
    _check(order, lines, charges, total, refunds)
    paid = tuple(_payment(one, cards) for one in payments)
    captured = Money.total((one.captured for one in paid), currency)
    return Receipt(
        order_id=order.id,
        customer_id=order.customer_id,
        store_id=order.store_id,
        status=order.status,
        placed_at=order.placed_at,
        delivered_at=order.delivered_at,
        window_starts_at=order.window_starts_at,
        window_ends_at=order.window_ends_at,
        address=order.address,
        lines=lines,
        charges=charges,
        total=total,
        payments=paid,
        authorised=Money.total((one.authorised for one in paid if one.status in _HELD), currency),
        captured=captured,
        outstanding=Money(max(0, total.cents - captured.cents), currency),
        refunds=tuple(refunds),
        refunded=Money.total((one.amount for one in refunds if one.status != RefundStatus.FAILED), currency),
    )


def _line(line: OrderLine, amount: Money, reason: str, picker: str) -> ReceiptLine:
    return ReceiptLine(
        line_id=line.id,
        name=line.name,
        note=line.note,
        ordered=line.quantity,
        delivered=line.found_quantity or Decimal(0),
        cost_unit=line.cost_unit,
        sold_by=line.sold_by,
        unit_price=line.list_price,
        amount=amount,
        outcome=_outcome(line),
        reason=reason,
        actor=picker,
    )


def _outcome(line: OrderLine) -> str:
    if line.status == LineStatus.FOUND:
        return "short" if (line.found_quantity or 0) < line.quantity else "found"
    return "refunded" if line.status == LineStatus.TO_REFUND else line.status


def _picker(order: Order) -> str:
    """Who picked it last; it may have changed hands."""
    return next((event.actor for event in reversed(order.events) if event.to_status == "picking"), "system")


def _charges(
    entries: Iterable[Adjustment], lines: Sequence[OrderLine], tax_percents: Mapping[str, str]
) -> list[ReceiptCharge]:
    """By stage; a promotion, which is kept by item, is one charge of the whole order."""
    names = {line.id: line.name for line in lines}
    shown: dict[tuple[object, ...], ReceiptCharge] = {}
    for entry in entries:
        stage = _stage(entry)
        is_promotion = stage == DISCOUNT
        key = (entry.kind, entry.code, entry.label, None if is_promotion else entry.line_id)
        before = shown.get(key)
        shown[key] = ReceiptCharge(
            stage=stage,
            kind=entry.kind,
            code=entry.code,
            label=entry.label,
            amount=entry.amount if before is None else before.amount + entry.amount,
            line_name="" if is_promotion else names.get(entry.line_id or 0, ""),
            percent=Decimal(tax_percents[entry.code]) if entry.kind == TAX and entry.code in tax_percents else None,
            base=entry.base,
            reason=entry.reason,
        )
    return sorted(shown.values(), key=lambda one: _STAGES.index(one.stage) if one.stage in _STAGES else len(_STAGES))


def _stage(entry: Adjustment) -> str:
    if entry.kind == DISCOUNT:
        return SALE if entry.code == SALE else DISCOUNT
    return SURGE if entry.kind == FEE and entry.code == SURGE else entry.kind


def _payment(payment: Payment, cards: Sequence[Card]) -> ReceiptPayment:
    card = next((card for card in cards if card.id == payment.card_id), None)
    return ReceiptPayment(
        step=payment.step,
        status=payment.status,
        brand=card.brand if card else "",
        last4=card.last4 if card else "",
        authorised=payment.amount,
        captured=payment.captured,
        refunded=payment.refunded,
    )


def _check(
    order: Order,
    lines: Sequence[ReceiptLine],
    charges: Sequence[ReceiptCharge],
    total: Money,
    refunds: Sequence[Refund],
) -> None:
    shown = sum(line.amount.cents for line in lines) + sum(charge.amount.cents for charge in charges)
    returned = -sum(entry.amount.cents for entry in order.adjustments if entry.phase == Phase.REFUND)
    decided = sum(one.amount.cents for one in refunds)
    if (shown, returned) != (total.cents, decided):
        logger.error(
            "orders.receipt_inconsistent %s lines=%s ledger=%s refund_lines=%s refunds=%s",
            *(order.id, shown, total.cents, returned, decided),
        )
        raise ReceiptInconsistent("This receipt is being checked; please come back later.")
