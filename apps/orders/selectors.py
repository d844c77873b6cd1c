"""Questions about orders. An order's id names its shard, so none of these asks more than one database."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, Sum

import sharding
from apps.carts.types import Cart
from apps.common.api import ids
from apps.common.geo import Point
from apps.common.money import Money
from apps.inventory import selectors as inventory
from apps.ledger import selectors as ledger
from apps.orders import domain, estimates, models, receipts, replacements
from apps.orders.domain import LineStatus, Phase, RefundReason, Status, TipStatus
from apps.orders.errors import OrderNotFound
from apps.orders.types import (
    Adjustment,
    Alternative,
    Answer,
    Cancellation,
    DropOff,
    Order,
    OrderEvent,
    OrderLine,
    OrderSummary,
    Page,
    Preview,
    Receipt,
    Refund,
    Replacement,
    ReplacementStatus,
    Tip,
)
from apps.payments import selectors as payments
from apps.pricing import selectors as pricing
from apps.pricing.types import ACKNOWLEDGED, TIP
from apps.slots.types import Window
from apps.stores import selectors as stores
from apps.stores.types import Store

MAX_PAGE = 100


def preview(
    *,
    customer_id: int,
    cart: Cart,
    store: Store,
    window: Window | None,
    point: Point | None,
    tip: Money,
    now: datetime,
    promotion_code: str = "",
) -> Preview:
    """What ``cart`` would cost in that window at that address, priced as ``services.place`` prices it.

    Without a window or an address their fees are left out. Raises ``TipInvalid`` and what the code's promotion refuses.
    4 queries; none where the store's fees and promotions were asked for lately, and see ``pricing.discounts``.
    """
    fees = estimates.fees(store=store, window=window, point=point, now=now)
    lines = estimates.priced(cart)
    discounts = estimates.discounts(customer_id=customer_id, store=store, lines=lines, code=promotion_code, now=now)
    quote = pricing.quote(lines=lines, fees=replace(fees, discounts=discounts), tip=tip)
    return Preview(charges=quote.charges, total=quote.total, hold=domain.amount_to_authorise(quote.total))


def order(*, order_id: int, customer_id: int) -> Order:
    """The customer's order with everything on it; raises ``OrderNotFound`` for anyone else's. 5 queries."""
    row = models.Order.objects.filter(pk=order_id, customer_id=customer_id).first()
    return _whole(_existing(row, order_id))


def order_for_staff(*, order_id: int) -> Order:
    """Any order, for the people who run the market; whoever asks has been checked. 5 queries."""
    return _whole(_row(order_id))


def orders(*, customer_id: int, after: str | None = None, limit: int = 20) -> Page:
    """The customer's orders, newest first; ``after`` is the last page's ``next_cursor``. 3 queries.

    Raises ``NotFound`` for a cursor that is none.
    """
    limit = max(1, min(limit, MAX_PAGE))
    found = models.Order.objects.filter(customer_id=customer_id)
    if after is not None:
        found = found.filter(pk__lt=ids.parse(after))
    rows = list(found.order_by("-pk")[: limit + 1])
    page = rows[:limit]
    sums = _sums(page)
    return Page(
        orders=tuple(
            OrderSummary(
                id=row.pk,
                store_id=row.store_id,
                status=row.status,
                status_title=domain.TITLES[Status(row.status)],
                placed_at=row.placed_at,
                window_starts_at=row.window_starts_at,
                window_ends_at=row.window_ends_at,
                total=sums[row.pk][0],
                line_count=sums[row.pk][1],
            )
            for row in page
        ),
        next_cursor=str(page[-1].pk) if len(rows) > limit else None,
    )


def owner(*, order_id: int) -> int:
    """Id of the customer whose order this is. 1 query."""
    return _row(order_id).customer_id


def edits(*, order_id: int) -> int:
    """How often the order's lines were changed. 1 query."""
    return _row(order_id).edits


def drop_off(*, order_id: int) -> DropOff:
    """Name and address to bring the order to; whoever asks has been checked. 1 query.

    Raises ``OrderNotFound`` also when the customer has been erased.
    """
    found = _row(order_id).drop_off
    if found is None:
        raise OrderNotFound(f"There is no address for order {order_id} any more.")
    return found


def answer(*, order_id: int, proposal_id: int) -> Answer | None:
    """What became of the question with the store's number, for the store; None where it was never asked. 1 query."""
    alias = sharding.alias_of_id("customer", order_id)
    mine = models.Replacement.objects.using(alias).filter(order_id=order_id, proposal_id=proposal_id)
    found = mine.values_list("status", "line__status", "line__wish_version").first()
    return Answer(status=found[0], line_status=found[1], wish_version=found[2]) if found else None


def alternatives(*, order_id: int, customer_id: int, line_id: int) -> tuple[Alternative, ...]:
    """What the customer may ask for instead of a line, with what it would cost. 6 or 8 queries.

    Raises ``OrderNotFound``. Empty for a line that the order has not, or that cannot be changed any more.
    """
    row = _existing(models.Order.objects.filter(pk=order_id, customer_id=customer_id).first(), order_id)
    line = row.lines.filter(pk=line_id).first() if row.status in domain.WISHABLE else None
    if line is None or not domain.takes_wishes(line.status, line.reason):
        return ()
    found = inventory.alternatives(
        store_id=row.store_id,
        item_id=line.item_id,
        quantity=line.quantity,
        chosen_id=line.replacement_item_id,
    )
    return tuple(
        Alternative(item=item, quantity=quantity, cost=replacements.cost(item.price, item.deposit, quantity))
        for item in found
        if not item.alcoholic or row.minimum_age
        if (quantity := replacements.quantity_of(item, line.quantity, sold_by=line.sold_by, pieces=line.pieces))
    )


def total(*, order_id: int, phase: Phase, kind: str | None = None) -> Money:
    """Sum of the order's money lines of one phase, all or those of one ``kind``. 2 queries."""
    row = _row(order_id)
    lines = row.adjustments.filter(phase=phase)
    cents = (lines.filter(kind=kind) if kind else lines).aggregate(cents=Sum("amount_cents"))["cents"]
    return Money(cents or 0, row.currency)


def cents_by_kind(*, order_id: int, phase: Phase) -> dict[str, int]:
    """Sums of the order's money lines of one phase, by kind. 2 queries."""
    sums = _row(order_id).adjustments.filter(phase=phase).values("kind").annotate(cents=Sum("amount_cents")).order_by()
    return {row["kind"]: row["cents"] for row in sums}


def cancellation(*, order_id: int, customer_id: int) -> Cancellation:
    """What it would cost the customer to cancel their order now. 1 query, and 4 more where it costs something.

    Raises ``OrderNotFound``, also for anyone else's.
    """
    row = _existing(models.Order.objects.filter(pk=order_id, customer_id=customer_id).first(), order_id)
    is_free = row.status in domain.FREELY_CANCELABLE or row.status not in domain.CANCELABLE
    fee = Money(0, row.currency) if is_free else ending_fee(row, ACKNOWLEDGED)
    return Cancellation(is_possible=row.status in domain.CANCELABLE, fee=fee)


def ending_fee(row: models.Order, ending: str) -> Money:
    """What the order costs if it ends so: at most what is held. 3 queries, of the store's too."""
    store = stores.store(store_id=row.store_id)
    fee = pricing.ending_fee(ending=ending, zone_id=store.zone_id, currency=row.currency)
    held = row.authorise_cents if row.held_cents is None else row.held_cents
    return Money(min(fee.cents, held), row.currency)


def tip(*, order_id: int, customer_id: int, now: datetime) -> Tip | None:
    """The tip of the customer's order, and whether it can be raised; None before it is delivered and paid. 4 queries.

    Raises ``OrderNotFound``, also for anyone else's.
    """
    row = _existing(models.Order.objects.filter(pk=order_id, customer_id=customer_id).first(), order_id)
    if row.captured_cents is None or row.delivered_at is None:
        return None
    last = row.tips.order_by("-number").first()
    until = row.delivered_at + domain.TIP_WITHIN
    paid = _paid_without_tip(row)
    return Tip(
        amount=Money(tip_cents(row), row.currency),
        paid=paid,
        most=domain.most_tip(paid),
        raisable_until=until,
        is_raisable=now <= until,
        is_under_way=last is not None and last.status == TipStatus.ASKED,
        declined_code=(last.failure_code or last.status) if last and last.status == TipStatus.DECLINED else "",
    )


def tip_cents(row: models.Order) -> int:
    """The whole tip of an order that is paid for: chosen when ordering, and raised or lowered since. 1 query."""
    return _tip_cents(row.adjustments.all())


def _tip_cents(adjustments: Iterable[models.OrderAdjustment]) -> int:
    return sum(
        line.amount_cents
        for line in adjustments
        if (line.phase == Phase.FINAL and line.kind == TIP) or line.reason == RefundReason.TIP_LOWERED
    )


def most_tip(row: models.Order) -> Money:
    """The largest tip of an order that is paid for. 1 query."""
    return domain.most_tip(_paid_without_tip(row))


def _paid_without_tip(row: models.Order) -> Money:
    lines = row.adjustments.filter(phase=Phase.FINAL).exclude(kind=TIP)
    return Money(sum(lines.values_list("amount_cents", flat=True)), row.currency)


def refunds(*, order_id: int) -> tuple[Refund, ...]:
    """What was decided to be given back, oldest first; whoever asks has been checked. 2 queries."""
    row = _row(order_id)
    return tuple(refund_of(one, row.currency) for one in row.refunds.order_by("number"))


def receipt(*, order_id: int, customer_id: int) -> Receipt:
    """The receipt of the customer's order. 9 queries, however long it is.

    Raises ``OrderNotFound`` for anyone else's, ``ReceiptNotReady`` before the delivery, and ``ReceiptInconsistent``,
    which is logged too, where its lines do not come to what the ledger says was sold.
    """
    row = _existing(models.Order.objects.filter(pk=order_id, customer_id=customer_id).first(), order_id)
    balance = ledger.balance(customer_id=customer_id, order_id=order_id)
    return receipts.made(
        _whole(row),
        sold_cents=sum(balance.sold_cents.values()) if balance else 0,
        tax_percents=row.fees["tax_percent"],
        refunds=[refund_of(one, row.currency) for one in row.refunds.order_by("number")],
        payments=payments.payments(customer_id=customer_id, order_id=order_id),
        cards=payments.cards(customer_id=customer_id),
    )


def refund_of(row: models.OrderRefund, currency: str) -> Refund:
    return Refund(
        number=row.number,
        amount=Money(row.amount_cents, currency),
        reason=row.reason,
        status=row.status,
        actor=row.actor,
        requested_at=row.requested_at,
    )


def replacement_of(row: models.Replacement, currency: str) -> Replacement:
    return Replacement(
        id=row.pk,
        line_id=row.line_id,
        status=row.status,
        item_id=row.item_id,
        name=row.name,
        code=row.code,
        quantity=row.quantity,
        cost_unit=row.cost_unit,
        sold_by=row.sold_by,
        unit_price=Money(row.unit_price_cents, currency),
        shown=Money(row.shown_cents, currency),
        ordered=Money(row.ordered_cents, currency),
        charged=None if row.charged_cents is None else Money(row.charged_cents, currency),
        asked_at=row.asked_at,
        answer_by=row.answer_by,
        answered_at=row.answered_at,
        proposed_by=row.proposed_by,
        answered_by=row.answered_by,
        alternative_item_id=row.alternative_item_id,
    )


def stuck(*, using: str, now: datetime) -> tuple[int, ...]:
    """Orders of one customer shard that need a person, at most 100 of them. 1 query.

    Long past their window and not at their end, or long at their end with something still owed: money
    not taken, a reservation not released.
    """
    long_ago = now - domain.STUCK_AFTER
    under_way = Q(window_ends_at__lt=long_ago) & ~Q(status__in=[str(status) for status in sorted(domain.TERMINAL)])
    tipping = models.OrderTip.objects.filter(order=OuterRef("pk"), status=TipStatus.ASKED, asked_at__gte=long_ago)
    owed = Q(due_at__isnull=False) & (Q(delivered_at__lt=long_ago) | Q(ended_at__lt=long_ago)) & ~Exists(tipping)
    late = sharding.owned(models.Order.objects, using).filter(under_way | owed)
    return tuple(late.order_by("pk").values_list("pk", flat=True)[:MAX_PAGE])


def _row(order_id: int) -> models.Order:
    return _existing(models.Order.objects.filter(pk=order_id).first(), order_id)


def _existing(row: models.Order | None, order_id: int) -> models.Order:
    if row is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return row


def _sums(page: Sequence[models.Order]) -> dict[int, tuple[Money, int]]:
    """Total (final if there is one, else the estimate) and number of lines of each order of one customer. 2 queries."""
    if not page:
        return {}
    mine = {"customer_id": page[0].customer_id, "order_id__in": [row.pk for row in page]}
    cents = (
        models.OrderAdjustment.objects.filter(**mine).values("order_id", "phase").annotate(cents=Sum("amount_cents"))
    )
    totals = {(row["order_id"], row["phase"]): row["cents"] for row in cents.order_by()}
    counts = models.OrderLine.objects.filter(**mine).values("order_id").annotate(count=Count("pk")).order_by()
    lines = {row["order_id"]: row["count"] for row in counts}
    return {
        row.pk: (
            Money(totals.get((row.pk, Phase.FINAL), totals.get((row.pk, Phase.ESTIMATE), 0)), row.currency),
            lines.get(row.pk, 0),
        )
        for row in page
    }


def _whole(row: models.Order) -> Order:
    lines = list(row.lines.order_by("position"))
    questions = {one.pk: replacement_of(one, row.currency) for one in row.replacements.order_by("pk")}
    asked = {one.line_id for one in questions.values() if one.status == ReplacementStatus.PROPOSED}
    adjustments = list(row.adjustments.order_by("pk"))
    events = list(row.events.order_by("sequence"))
    status = Status(row.status)

    def money(cents: int) -> Money:
        return Money(cents, row.currency)

    def sum_of(phase: Phase) -> Money:
        return Money.total((money(a.amount_cents) for a in adjustments if a.phase == phase), row.currency)

    is_final = any(adjustment.phase == Phase.FINAL for adjustment in adjustments) or any(
        event.to_status == Status.CHECKOUT for event in events
    )
    return Order(
        id=row.pk,
        customer_id=row.customer_id,
        store_id=row.store_id,
        status=row.status,
        status_title=domain.TITLES[status],
        sequence=row.sequence,
        rejected_code=row.rejected_code,
        window_id=row.window_id,
        window_starts_at=row.window_starts_at,
        window_ends_at=row.window_ends_at,
        window_minutes=row.window_minutes,
        address=row.drop_off,
        tip=money(_tip_cents(adjustments) if row.captured_cents is not None else row.tip_cents),
        estimate=sum_of(Phase.ESTIMATE),
        total=sum_of(Phase.FINAL if is_final else Phase.ESTIMATE),
        authorised=money(row.authorise_cents),
        refunded=-sum_of(Phase.REFUND),
        captured=None if row.captured_cents is None else money(row.captured_cents),
        pin=row.pin,
        is_cancelable=status in domain.CANCELABLE,
        is_cancelable_for_customer=status in domain.CANCELABLE_FOR_CUSTOMER,
        is_reschedulable=status is Status.BRAND_NEW,
        is_editable=status in domain.EDITABLE,
        placed_at=row.placed_at,
        pay_by=row.pay_by,
        confirmed_at=row.confirmed_at,
        delivered_at=row.delivered_at,
        lines=tuple(
            OrderLine(
                id=line.pk,
                position=line.position,
                item_id=line.item_id,
                name=line.name,
                department=line.department,
                aisle=line.aisle,
                rank=line.rank,
                quantity=line.quantity,
                found_quantity=line.found_quantity,
                cost_unit=line.cost_unit,
                sold_by=line.sold_by,
                unit_price=money(line.unit_price_cents),
                list_price=money(line.list_price_cents or line.unit_price_cents),
                note=line.note,
                replacement_policy=line.replacement_policy,
                replacement_item_id=line.replacement_item_id,
                pieces=line.pieces,
                status=line.status,
                replacement=questions[line.replacement_id] if line.replacement_id else None,
                takes_wishes=status in domain.WISHABLE
                and domain.takes_wishes(line.status, line.reason)
                and line.pk not in asked,
                is_asked_about=line.pk in asked,
                reason=line.reason,
                is_partial=line.found_quantity is not None
                and line.status == LineStatus.FOUND
                and domain.is_partial(line.found_quantity, ordered=line.quantity, sold_by=line.sold_by),
                is_taken_out=line.is_taken_out,
            )
            for line in lines
        ),
        replacements=tuple(questions.values()),
        adjustments=tuple(
            Adjustment(
                kind=adjustment.kind,
                code=adjustment.code,
                label=adjustment.label,
                amount=money(adjustment.amount_cents),
                line_id=adjustment.line_id,
                phase=adjustment.phase,
                reason=adjustment.reason,
                actor=adjustment.actor,
                base=None if adjustment.base_cents is None else money(adjustment.base_cents),
            )
            for adjustment in adjustments
        ),
        events=tuple(
            OrderEvent(
                sequence=event.sequence,
                name=event.name,
                from_status=event.from_status,
                to_status=event.to_status,
                actor=event.actor,
                at=event.at,
                data=event.data,
            )
            for event in events
        ),
    )
