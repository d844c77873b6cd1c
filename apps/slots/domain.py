"""How long an order takes, and how opening hours become delivery windows."""

import math
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from apps.slots.errors import HoldDiffers, HoldGone, HoldNotFound, WindowInvalid
from apps.slots.types import Plan, PlannedWindow
from apps.stores.types import OpeningHours

IMMEDIATE, SCHEDULED = "immediate", "scheduled"
KINDS = (IMMEDIATE, SCHEDULED)
HELD, CONFIRMED, RELEASED = "held", "confirmed", "released"
HOLD_STATES = (HELD, CONFIRMED, RELEASED)

DAYS_AHEAD = 7
MAX_DAYS = 31
MAX_MINUTES = 24 * 60

_BASE_MINUTES = Decimal(12)  # to walk in, check out, bag and hand over
_LINE_MINUTES = Decimal("1.25")
_UNIT_MINUTES = Decimal("0.1")


def minutes_needed(lines: int, units: Decimal | int) -> int:
    """Shopper-minutes of an order of ``lines`` lines and ``units`` pieces (or pounds) altogether, rounded up."""
    return math.ceil(_BASE_MINUTES + _LINE_MINUTES * lines + _UNIT_MINUTES * Decimal(units))


def checked_minutes(minutes: int) -> int:
    """Raises ``WindowInvalid`` for none, and for more than a day."""
    if not 0 < minutes <= MAX_MINUTES:
        raise WindowInvalid("An order takes between one minute and a day.")
    return minutes


def checked_plan(plan: Plan, *, days: int) -> Plan:
    """Raises ``WindowInvalid`` for a plan that would never end or hold nothing."""
    positive = (plan.length_minutes, plan.capacity_minutes, plan.immediate_capacity_minutes)
    others = (plan.lead_minutes, plan.fee_cents, plan.immediate_length_minutes, plan.immediate_fee_cents)
    if plan.length_minutes < 15 or min(positive) <= 0 or min(others) < 0 or not 0 <= days <= MAX_DAYS:
        raise WindowInvalid("Windows last 15 minutes or more, have a capacity, and are opened for 31 days at most.")
    return plan


def windows(
    *, hours: Collection[OpeningHours], timezone: str, first_day: date, days: int, plan: Plan
) -> Iterator[PlannedWindow]:
    """Windows of ``days`` local days from ``first_day`` on.

    Cut from the moment of opening to the moment of closing, in real time: on the day the clocks
    change, a store open through the night has one window less or more, and each lasts as long as the
    others. With immediate delivery, one more window starts beside each scheduled one, as long as it
    ends before the store closes; it takes orders until the next one starts.
    """
    by_weekday = {day.weekday: day for day in hours}
    zone = ZoneInfo(timezone)
    length = timedelta(minutes=plan.length_minutes)
    for day in (first_day + timedelta(days=n) for n in range(days)):
        if (today := by_weekday.get(day.weekday())) is None:
            continue
        start, closes = opening(today, day=day, zone=zone)
        while start + length <= closes:
            yield PlannedWindow(
                starts_at=start,
                ends_at=start + length,
                kind=SCHEDULED,
                cutoff_at=start - timedelta(minutes=plan.lead_minutes),
                capacity_minutes=plan.capacity_minutes,
                fee_cents=plan.fee_cents,
            )
            immediate_end = start + timedelta(minutes=plan.immediate_length_minutes)
            if plan.immediate_length_minutes and immediate_end <= closes:
                yield PlannedWindow(
                    starts_at=start,
                    ends_at=immediate_end,
                    kind=IMMEDIATE,
                    cutoff_at=start + length,
                    capacity_minutes=plan.immediate_capacity_minutes,
                    fee_cents=plan.immediate_fee_cents,
                )
            start += length


def opening(hours: OpeningHours, *, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to when (UTC) the store is open on the local ``day``.

    A time that the clocks skip is the same moment written in the time before; of one that comes
    twice, the store opens at the first and closes at the second.
    """
    last_day = day if hours.closes > hours.opens else day + timedelta(days=1)
    opens = datetime.combine(day, hours.opens, zone).replace(fold=0)
    closes = datetime.combine(last_day, hours.closes, zone)
    if closes.replace(fold=0).utcoffset() > closes.replace(fold=1).utcoffset():  # type: ignore[operator]
        closes = closes.replace(fold=1)
    return opens.astimezone(UTC), closes.astimezone(UTC)


def check_same(held_window_id: int, held_minutes: int, *, window_id: int, minutes: int) -> None:
    """Raises ``HoldDiffers`` unless the order holds just this window, for as long."""
    if (held_window_id, held_minutes) != (window_id, minutes):
        raise HoldDiffers("This order holds another window.")


def must_confirm(state: str | None) -> bool:
    """Whether confirming has something to do. Raises ``HoldNotFound``, ``HoldGone``."""
    if state is None:
        raise HoldNotFound("This order holds no window.")
    if state == RELEASED:
        raise HoldGone("The window was released.")
    return state == HELD
