"""How the pages say what the system knows: steps, time lines, endings."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apps.carts.types import BEST_MATCH, ITEM
from apps.common.money import Money
from apps.dispatch.types import Eta
from apps.orders.types import Adjustment, Order, OrderEvent, OrderLine, Replacement
from apps.pricing.types import DISCOUNT, SALE, Charge
from apps.slots.types import Window

_STEPS = (
    ("We got your order", {"pending", "payment_pending", "brand_new"}),
    ("Shopper found", {"acknowledged"}),
    ("Shopping", {"picking", "verifying_replacements", "checkout", "bags_check", "staged"}),
    ("On the way", {"delivering", "customer_missing"}),
    ("Delivered", {"delivered", "returned"}),
)

_EVENTS = {
    "pending": "Order received",
    "payment_pending": "Waiting for the payment provider",
    "brand_new": "Payment held, order confirmed",
    "acknowledged": "A shopper took your order",
    "picking": "Shopping started",
    "verifying_replacements": "Waiting for your answer about a replacement",
    "checkout": "Shopping done",
    "bags_check": "Bags packed",
    "staged": "Ready to leave the store",
    "delivering": "On the way to you",
    "delivered": "Delivered",
    "customer_missing": "The shopper could not find you",
    "returned": "Brought back to the store",
    "rejected": "The order could not be placed",
    "canceled": "Order cancelled",
}

KINDS = {"immediate": "As soon as possible", "priority": "Priority"}

_NOTES = {
    "settled": "Your card was charged",
    "rescheduled": "Moved to another delivery time",
    "replacement_proposed": "{name} is out; {instead} was proposed",
    "replacement_approved": "You agreed to {instead} instead of {name}",
    "replacement_auto_approved": "{instead} replaces {name}, as you had said",
    "replacement_rejected": "{instead} was turned down instead of {name}",
    "replacement_withdrawn": "{instead} is no longer proposed instead of {name}",
    "replacement_chosen": "You asked for {instead} instead of {name}",
    "edited": "You changed your order",
    "overage_held": "Your card was held for what it came to cost more",
    "overage_left_behind": "Your card would not pay for everything: some of it stayed in the store",
    "overage_forgiven": "Your card would not pay for everything: the rest is on us",
    "tip_raised": "You raised the tip",
    "tip_lowered": "The tip was lowered",
    "fee_charged": "The fee was charged",
}

_NOT_BROUGHT = {
    "out_of_stock": "Out of stock; you do not pay for it",
    "poor_quality": "Not good enough today; you do not pay for it",
    "wrong_price": "The store asked for more than we told you; you do not pay for it",
    "not_replaced": "Out of stock and not replaced; you do not pay for it",
    "taken_out": "You took this out",
    "not_paid_for": "Your card would not pay for it; it stayed in the store",
}

_REJECTIONS = {
    "out_of_stock": "Something in your cart sold out while you were ordering. Nothing was charged.",
    "window_full": "The delivery window filled up while you were ordering. Nothing was charged.",
    "window_closed": "The delivery window closed while you were ordering. Nothing was charged.",
    "card_declined": "Your bank declined the card. Nothing was charged; try another one.",
}


@dataclass(frozen=True, slots=True)
class Step:
    label: str
    state: str
    """``done``, ``now`` or ``next``."""


def steps(status: str) -> list[Step]:
    """The way from order to door with the present step marked."""
    position = next((n for n, (_, statuses) in enumerate(_STEPS) if status in statuses), -1)
    last = len(_STEPS) - 1
    return [
        Step(label, "done" if n < position or position == last else "now" if n == position else "next")
        for n, (label, _) in enumerate(_STEPS)
    ]


def event(entry: OrderEvent) -> str:
    if entry.from_status == entry.to_status:
        note = _NOTES.get(entry.name, entry.name.replace("_", " ").capitalize())
        return note.format_map(entry.data) if entry.name.startswith("replacement_") else note
    if (entry.from_status, entry.to_status) == ("verifying_replacements", "picking"):
        return "Shopping goes on"
    return _EVENTS.get(entry.to_status, entry.to_status)


@dataclass(frozen=True, slots=True)
class ShownCharge:
    label: str
    amount: Money


def outcome(line: OrderLine) -> str:
    """What became of a line; nothing where it is as ordered, or not picked yet."""
    if line.status == "to_refund":
        return _NOT_BROUGHT.get(line.reason, "Not available; you do not pay for it")
    if line.is_partial and line.found_quantity is not None:
        unit = f" {line.cost_unit}" if line.sold_by == "weight" else ""
        return f"Only {line.found_quantity.normalize():f}{unit} of {line.quantity.normalize():f}{unit} were there"
    return ""


def charges(entries: Iterable[Charge | Adjustment]) -> list[ShownCharge]:
    """The lines of a bill; a promotion, which is kept by item, is one line of it."""
    shown: list[ShownCharge] = []
    before = None
    for entry in entries:
        promotion = (entry.code, entry.label) if entry.kind == DISCOUNT and entry.code != SALE else None
        if promotion and promotion == before:
            shown[-1] = ShownCharge(entry.label, shown[-1].amount + entry.amount)
        else:
            shown.append(ShownCharge(entry.label, entry.amount))
        before = promotion
    return shown


@dataclass(frozen=True, slots=True)
class Question:
    """A replacement that waits for an answer, and what happens without one."""

    line: OrderLine
    replacement: Replacement
    otherwise: str


def questions(order: Order, zone: ZoneInfo) -> list[Question]:
    lines = {line.id: line for line in order.lines}
    return [
        Question(line, one, f"Answer by {clock_time(one.answer_by, zone)}. {_otherwise(line, one)}")
        for one in order.questions
        if (line := lines.get(one.line_id)) is not None
    ]


def _otherwise(line: OrderLine, replacement: Replacement) -> str:
    """What the customer's word at ordering means for it (see ``orders.replacements.unanswered``)."""
    is_theirs = line.replacement_policy == ITEM and line.replacement_item_id == replacement.item_id
    if line.replacement_policy == BEST_MATCH or is_theirs:
        return "After that we bring it, and you pay at most a tenth more than for what you ordered."
    return "After that we leave it out, and you do not pay for it."


def ending(order: Order) -> str:
    """Why an order ended without a delivery, and what that cost."""
    if order.status == "rejected":
        return _REJECTIONS.get(order.rejected_code, "The order could not be placed. Nothing was charged.")
    last = next((entry for entry in reversed(order.events) if entry.to_status != entry.from_status), None)
    is_theirs = last is not None and last.actor.startswith("customer:")
    who = "You cancelled this order." if is_theirs else "We had to cancel this order, and we are sorry."
    if order.status == "returned":
        who = "Nobody was there, so your shopper brought the goods back to the store."
    if order.total.cents > 0 and any(entry.phase == "final" for entry in order.adjustments):
        return f"{who} {order.total} of the hold on your card is charged, the rest released."
    return f"{who} The hold on your card is released; your bank shows that within days."


def day(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Today, Tomorrow, or the day's name and date in the store's time zone."""
    local, today = moment.astimezone(zone).date(), now.astimezone(zone).date()
    if local == today:
        return "Today"
    if local == today + timedelta(days=1):
        return "Tomorrow"
    return f"{local:%A %-d %B}"


def clock_time(moment: datetime, zone: ZoneInfo) -> str:
    """9 AM, 9:30 AM."""
    local = moment.astimezone(zone)
    return f"{local:%-I %p}" if local.minute == 0 else f"{local:%-I:%M %p}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%A %-d %B}, {clock_time(at, zone)}"


def window(starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> str:
    return f"{starts_at.astimezone(zone):%A %-d %B}, {clock_time(starts_at, zone)} to {clock_time(ends_at, zone)}"


def choice(window: Window, zone: ZoneInfo) -> str:
    """9 AM to 10 AM · Priority · $9.99."""
    times = f"{clock_time(window.starts_at, zone)} to {clock_time(window.ends_at, zone)}"
    parts = (times, KINDS.get(window.kind, ""), str(window.fee) if window.fee.cents else "free")
    return " · ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a page says of an ETA: ``likely`` by the clock, and a sentence around it."""

    likely: str
    detail: str


def arrival(eta: Eta, now: datetime, zone: ZoneInfo) -> Arrival:
    """In steps of five minutes, the bounds rounded away from each other; nothing that is over is said to come."""
    if eta.latest <= now:
        return Arrival("Any minute now", "It takes longer than we thought; your shopper is not far.")
    earliest = _on_five(max(eta.earliest, now), down=True)
    latest = _on_five(eta.latest, down=False)
    likely = min(max(_on_five(max(eta.likely, now) + timedelta(seconds=150), down=True), earliest), latest)
    between = f"Between {clock_time(earliest, zone)} and {clock_time(latest, zone)}"
    return Arrival(f"Likely {clock_time(likely, zone)}", f"{between}.")


def _on_five(moment: datetime, *, down: bool) -> datetime:
    over = timedelta(minutes=moment.minute % 5, seconds=moment.second, microseconds=moment.microsecond)
    return moment - over if down or not over else moment - over + timedelta(minutes=5)
