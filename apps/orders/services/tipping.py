"""Tips after the delivery: up by the customer, each time with a payment of its own; down for a reason only."""

from datetime import datetime

import sharding
from apps.common import outbox
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.orders import domain, models, selectors
from apps.orders.domain import Phase, Status, TipStatus
from apps.orders.errors import OrderNotFound, TipInvalid, TipNotLowered, TipNotNow, TipUnderWay
from apps.orders.events import OrderTipChanged
from apps.orders.services import moving, refunding
from apps.payments import selectors as payment_selectors
from apps.payments import services as payments
from apps.payments.errors import CardNotFound, PaymentConflict, ProviderUnavailable
from apps.payments.types import SMALLEST_CENTS
from apps.pricing.types import TIP


@sharding.repeatable
def raise_tip(*, order_id: int, customer_id: int, to: Money, now: datetime, card_id: int | None = None) -> str:
    """See to it that the whole tip is ``to``; a ``TipStatus``, or empty where it was as much from the beginning.

    The difference is charged at once, with a payment of its own, to the order's card or the one named. ``asked``: the
    provider has not said yet, the sweep finds out. ``declined``: nothing was charged, and another card may be tried.
    Said again it is charged once: by a second click, a second device or after a crash.

    Raises:
        OrderNotFound: no such order, or not this customer's.
        TipNotNow: the order is not delivered and paid for, or was delivered more than ``domain.TIP_WITHIN`` ago.
        TipInvalid: less than the tip is, more than ``domain.most_tip``, or by less than a card is charged with.
        TipUnderWay: another amount is being charged at this moment.
        CardNotFound: not a card of this customer's.
    """
    if card_id is not None:
        payment_selectors.card(customer_id=customer_id, card_id=card_id)
    with sharding.atomic(sharding.alias_of_id("customer", order_id)):
        order = _locked(order_id)
        if order.customer_id != customer_id:
            raise OrderNotFound(f"There is no order {order_id}.")
        asked = order.tips.filter(status=TipStatus.ASKED).first()
        present = selectors.tip_cents(order)
        if asked is None and to == Money(present, order.currency):
            last = order.tips.order_by("-number").first()
            return TipStatus.CHARGED if last is not None and last.status == TipStatus.CHARGED else ""
        if asked is not None and to.cents != present + asked.amount_cents:
            raise TipUnderWay("Your tip is being changed at this moment; look again in a minute.")
        if asked is None:
            _check(order, present, to, now)
            if _was_declined(order, to.cents - present, card_id or order.card_id, now):
                return TipStatus.DECLINED
            models.OrderTip.objects.create(
                order=order,
                customer_id=customer_id,
                number=order.tips.count() + 1,
                amount_cents=to.cents - present,
                card_id=card_id or order.card_id,
                status=TipStatus.ASKED,
                asked_at=now,
                changed_at=now,
            )
            models.Order.objects.filter(pk=order_id).update(due_at=now + domain.PATIENCE)
    return charge_tip(order_id=order_id, now=now)


def charge_tip(*, order_id: int, now: datetime) -> str:
    """Go on with the tip that is being charged: the ``TipStatus`` it has then, empty where there is none.

    Repeating is harmless, and a provider that does not answer is asked again by the sweep.
    """
    tip = models.OrderTip.objects.filter(order_id=order_id, status=TipStatus.ASKED).select_related("order").first()
    if tip is None:
        last = models.OrderTip.objects.filter(order_id=order_id).order_by("-number").first()
        return "" if last is None else last.status
    status, failure_code = TipStatus.ASKED, ""
    try:
        payment = payments.charge(
            customer_id=tip.customer_id,
            order_id=order_id,
            step=step(tip.number),
            amount=Money(tip.amount_cents, tip.order.currency),
            card_id=tip.card_id,
            now=now,
        )
    except ProviderUnavailable:
        return status
    except (CardNotFound, PaymentConflict) as refusal:
        status, failure_code = TipStatus.DECLINED, refusal.code
    else:
        if payment.status == "captured":
            status = TipStatus.CHARGED
        elif payment.status == "declined":
            status, failure_code = TipStatus.DECLINED, payment.failure_code
    return _ended(order_id, tip.number, status, failure_code, now=now)


@sharding.repeatable
def lower_tip(
    *, order_id: int, to: Money, key: str, actor: str, now: datetime, issue_id: int | None = None, reason: str = ""
) -> None:
    """Bring the whole tip down ``to`` less; the difference goes back to the card, and the shopper's earnings follow.

    For support: ``issue_id`` is the customer's report that it rests on, or else ``reason`` is an operator's own, in
    words; both go into the history. Sent again with the same ``key`` nothing more happens.

    Raises:
        OrderNotFound
        TipNotLowered: there is neither an issue nor a reason, or the order is not paid for, or ``to`` is not less.
        TipUnderWay: more is being charged at this moment.
    """
    reason = domain.plain(reason, domain.MAX_REASON_LENGTH)
    if issue_id is None and not reason.strip():
        raise TipNotLowered("A tip is lowered for a reported issue, or for a reason: say which.")
    why = {"issue": None if issue_id is None else str(issue_id), "reason": reason}
    with sharding.atomic(sharding.alias_of_id("customer", order_id)) as alias:
        order = _locked(order_id)
        if order.refunds.filter(key=domain.checked_key(key)).exists():
            return
        if order.tips.filter(status=TipStatus.ASKED).exists():
            raise TipUnderWay("The tip is being raised at this moment; try again in a minute.")
        present = selectors.tip_cents(order)
        if order.captured_cents is None or to.currency != order.currency or not 0 <= to.cents < present:
            raise TipNotLowered(f"The tip is {Money(present, order.currency)}; it can be lowered to less than that.")
        less = Money(present - to.cents, order.currency)
        number = refunding.decide_tip(order, less, key=key, actor=actor, now=now)
        _noted(order, domain.TIP_LOWERED, actor, {"cents": -less.cents, **why}, now)
        outbox.emit(_changed(order, number, -less), using=alias)


def step(number: int) -> str:
    """Name of a tip's payment."""
    return f"tip:{number}"


def _locked(order_id: int) -> models.Order:
    order = models.Order.objects.filter(pk=order_id).select_for_update(of=("self",), no_key=True).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return order


def _check(order: models.Order, present: int, to: Money, now: datetime) -> None:
    if order.status != Status.DELIVERED or order.captured_cents is None or order.delivered_at is None:
        raise TipNotNow("You can change the tip once the order is delivered and your card is charged for it.")
    if now > order.delivered_at + domain.TIP_WITHIN:
        hours = int(domain.TIP_WITHIN.total_seconds() // 3600)
        raise TipNotNow(f"A tip can be raised within {hours} hours of the delivery.")
    most = selectors.most_tip(order)
    if to.currency != order.currency or to.cents > most.cents:
        raise TipInvalid(f"For this order a tip can be {most} at most.")
    if to.cents < present:
        raise TipInvalid("A tip goes down only for a problem with the order: report it, and say what you would tip.")
    if to.cents < present + SMALLEST_CENTS:
        raise TipInvalid(f"Raise the tip by {Money(SMALLEST_CENTS, order.currency)} or more.")


def _was_declined(order: models.Order, cents: int, card_id: int, now: datetime) -> bool:
    """Whether just that was declined a moment ago."""
    same = order.tips.filter(status=TipStatus.DECLINED, amount_cents=cents, card_id=card_id)
    return same.filter(changed_at__gt=now - domain.TIP_ASK_AGAIN_AFTER).exists()


@sharding.repeatable
def _ended(order_id: int, number: int, status: TipStatus, failure_code: str, *, now: datetime) -> str:
    """Write down how it ended, once, with its money line, the ledger and the word to the shopper."""
    if status is TipStatus.ASKED:
        return status
    with sharding.atomic(sharding.alias_of_id("customer", order_id)) as alias:
        order = _locked(order_id)
        tip = order.tips.get(number=number)
        open_ones = order.tips.filter(number=number, status=TipStatus.ASKED)
        if not open_ones.update(status=status, failure_code=failure_code, changed_at=now):
            return tip.status
        models.Order.objects.filter(pk=order_id).update(due_at=None)
        if status is TipStatus.CHARGED:
            amount = Money(tip.amount_cents, order.currency)
            actor = f"customer:{order.customer_id}"
            models.OrderAdjustment.objects.create(
                order=order,
                customer_id=order.customer_id,
                kind=TIP,
                code=step(number),
                label="Tip, added later",
                amount_cents=amount.cents,
                phase=Phase.FINAL,
                reason="added after the delivery",
                actor=actor,
            )
            raised = {"captured_cents": (order.captured_cents or 0) + amount.cents}
            raised["tipped_cents"] = order.tipped_cents + amount.cents
            models.Order.objects.filter(pk=order_id).update(**raised)
            ledger.book_tip(customer_id=order.customer_id, order_id=order_id, number=number, amount=amount, now=now)
            _noted(order, domain.TIP_RAISED, actor, {"cents": amount.cents}, now)
            outbox.emit(_changed(order, number, amount), using=alias)
    return status


def _noted(order: models.Order, name: str, actor: str, data: dict[str, object], now: datetime) -> None:
    order.sequence += 1
    models.Order.objects.filter(pk=order.pk).update(sequence=order.sequence)
    moving.note(order, before=Status(order.status), actor=actor, now=now, name=name, data=data)


def _changed(order: models.Order, number: int, amount: Money) -> OrderTipChanged:
    return OrderTipChanged(
        order_id=order.pk,
        customer_id=order.customer_id,
        store_id=order.store_id,
        number=number,
        amount_cents=amount.cents,
        currency=order.currency,
    )
